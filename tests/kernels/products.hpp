// What the tests of matrix products share: random bf16 matrices as they lie on the device, fp64 dot products with the error
// that fp32 accumulation may have, and the bookkeeping of the largest error.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "matrix.hpp"

inline i32 rounded_up(i32 value, i32 unit) {
    return (value + unit - 1) / unit * unit;
}

/// Rows of bf16 values on the host; columns beyond `cols` are zero up to a whole 16 bytes, and poison in `slack` more.
struct HostMatrix {
    i32 rows, cols, stride;
    std::vector<bf16> values;

    HostMatrix(i32 row_count, i32 col_count, Random& random, double scale, i32 slack = 0)
        : rows(row_count), cols(col_count), stride(rounded_up(col_count, 8) + slack),
          values(static_cast<size_t>(row_count) * static_cast<size_t>(stride), bf16{0}) {
        for (i32 r = 0; r < rows; r++) {
            for (i32 c = 0; c < cols; c++) at(r, c) = to_bf16(static_cast<f32>(scale * random.normal()));
            for (i32 c = stride - slack; c < stride; c++) at(r, c) = bf16{0xffff};
        }
    }
    bf16& at(i64 row, i64 col) { return values[static_cast<size_t>(row * stride + col)]; }
    const bf16& at(i64 row, i64 col) const { return values[static_cast<size_t>(row * stride + col)]; }
    /// A row that must not be read.
    void poison(i64 row) {
        for (i64 c = 0; c < stride; c++) at(row, c) = bf16{0xffff};
    }
};

/// The rows of a matrix so far apart that from row 4 on no index fits 32 bits; only what is touched costs memory.
struct FarMatrix {
    static constexpr i32 STRIDE = 1 << 29;
    DeviceArray<bf16> values;

    explicit FarMatrix(const HostMatrix& m) : values(static_cast<size_t>(m.rows) * STRIDE) {
        for (i32 r = 0; r < m.rows; r++)
            for (i32 c = 0; c < m.stride; c++) values[static_cast<size_t>(r) * STRIDE + static_cast<size_t>(c)] = m.at(r, c);
    }
    u64 address() const { return values.address(); }
};

/// A sum and how far an fp32 accumulation may be from it.
struct Sum {
    double value = 0;
    double error = 0;
};

/// Addition i of n rounds by 2⁻²⁴ of its partial sum at most, 2⁻²⁴/√3 of it in the mean square, and random terms tᵢ make partial
/// sums of √Σt² at most in the mean square: the errors add up to 2⁻²⁴·√(n·Σt²/3). Of many thousand results the worst may be four
/// times that; the last rounding, which sees the whole sum, is counted in full.
inline Sum dot(const bf16* a, const bf16* b, i32 cols) {
    double value = 0, squares = 0;
    for (i32 i = 0; i < cols; i++) {
        const double product = as_double(a[i]) * as_double(b[i]);
        value += product;
        squares += product * product;
    }
    return {value, FP32 * (4 * std::sqrt(cols * squares / 3) + std::fabs(value))};
}

/// SiLU(gate) · up. Its error follows from those of the two sums, SiLU's slope being below 1.1, and from five fp32 operations.
inline Sum swiglu(const Sum& gate, const Sum& up) {
    const double silu_of_gate = gate.value / (1 + std::exp(-gate.value));
    const double value = silu_of_gate * up.value;
    return {value, 1.1 * gate.error * std::fabs(up.value) + std::fabs(silu_of_gate) * up.error + 5 * FP32 * std::fabs(value)};
}

/// Checks results and prints the largest error of a test, of fp32 results as a fraction of what was allowed, of bf16 results in
/// units in the last place: 0.5 is a perfect rounding.
class Errors {
public:
    explicit Errors(const char* of) : of_(of) {}
    ~Errors() { std::printf("    %s: largest error %.3f, %.3g absolute\n", of_, largest_, absolute_); }

    void check(f32 actual, Sum expected, Site site = Site::current()) {
        check_close(actual, expected.value, expected.error, of_, site);
        note(std::fabs(actual - expected.value), expected.error);
    }
    void check(bf16 actual, Sum expected, Site site = Site::current()) {
        check_rounded(actual, expected.value, expected.error, of_, site);
        const double last_place = std::exp2(std::floor(std::log2(std::fabs(expected.value))) - 7);
        note(std::fabs(as_double(actual) - expected.value), last_place);
    }

private:
    void note(double error, double unit) {
        if (unit > 0) largest_ = std::max(largest_, error / unit);
        absolute_ = std::max(absolute_, error);
    }

    const char* of_;
    double largest_ = 0;
    double absolute_ = 0;
};

/// Bitwise equality.
template <class T>
bool same_bits(const T& a, const T& b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}
