// Matrices of kernel tests as activations lie in device memory: rows begin 16 bytes aligned, and what lies between the last
// column and the next row is poison, not-a-number, that no kernel may read into a result or overwrite. And the sharpest check
// of a result that was rounded once: it must be a value that rounding can give.
#pragma once
#include "harness.hpp"

template <class T>
class TestMatrix {
public:
    /// `spare` more groups of padding columns behind the row than alignment asks for.
    TestMatrix(i32 rows, i32 cols, i32 spare = 0, const std::string& name = "matrix", Site site = Site::current())
        : rows_(rows), cols_(cols), stride_((cols + GROUP - 1) / GROUP * GROUP + spare * GROUP),
          values_(static_cast<size_t>(rows) * static_cast<size_t>(stride_), name, site) {}

    i32 rows() const { return rows_; }
    i32 cols() const { return cols_; }
    i32 stride() const { return stride_; }
    u64 address() const { return values_.address(); }
    T& at(i32 row, i32 col) { return values_[index(row, col)]; }
    const T& at(i32 row, i32 col) const { return values_[index(row, col)]; }
    bool is_untouched(i32 row, i32 col) const { return values_.is_untouched(index(row, col)); }

    /// Normal random values; the padding stays poisoned.
    void randomize(Random& random, double scale = 1) {
        for (i32 r = 0; r < rows_; r++)
            for (i32 c = 0; c < cols_; c++) set(at(r, c), static_cast<f32>(scale * random.normal()));
    }
    void poison_row(i32 row) {
        for (i32 c = 0; c < stride_; c++) set(at(row, c), NAN);
    }
    /// No value of these rows was ever written, nor any padding of the others.
    void check_untouched_outside(i32 from, i32 to, Site site = Site::current()) const {
        for (i32 r = 0; r < rows_; r++) {
            bool written = r >= from && r < to;
            for (i32 c = written ? cols_ : 0; c < stride_; c++)
                if (!is_untouched(r, c))
                    fail_test("written outside: row " + std::to_string(r) + ", column " + std::to_string(c), site);
        }
    }

private:
    static constexpr i32 GROUP = 16 / static_cast<i32>(sizeof(T));

    static void set(bf16& to, f32 value) { to = to_bf16(value); }
    static void set(f32& to, f32 value) { to = value; }
    size_t index(i32 row, i32 col) const {
        return static_cast<size_t>(row) * static_cast<size_t>(stride_) + static_cast<size_t>(col);
    }

    i32 rows_, cols_, stride_;
    DeviceArray<T> values_;
};

inline double nearest_bf16(double value) {
    return as_double(to_bf16(static_cast<f32>(value)));
}

/// A bf16 that arose by one rounding of a value at most `error` from `expected`.
inline void check_rounded(bf16 actual, double expected, double error, const std::string& what = "value",
                          Site site = Site::current()) {
    double value = as_double(actual);
    double low = nearest_bf16(expected - error), high = nearest_bf16(expected + error);
    if (value >= low && value <= high) return;
    char text[200];
    std::snprintf(text, sizeof text, " is %.9g, but %.9g within %.3g rounds to [%.9g, %.9g]", value, expected, error, low, high);
    fail_test(what + text, site);
}

/// The rounding error of one fp32 operation, relative.
constexpr double FP32 = 0x1p-24;
