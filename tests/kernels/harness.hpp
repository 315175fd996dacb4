// What a native kernel test is written with: device arrays with red zones, launches on the emulated device, all schedules
// and copy modes, seeded random numbers, and checks. A test includes this file and then the kernel's .cu file, and consists
// of TEST(name) { … } blocks; main is here. Arrays start as 0xFF, which is not-a-number in every floating-point format, so
// that reading what nobody wrote shows.
#pragma once
#include <cmath>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "common/port.cuh"
#include "launch.hpp"
#include "memory.hpp"

/// A failed check; ends the test.
struct TestFailure {
    std::string text;
};

/// One of the ways to run a kernel that a correct kernel cannot tell apart.
struct Schedule {
    brantas::emulator::Settings settings;
    std::string name() const;
};

/// Blocks of a launch.
struct Grid {
    Grid(i64 x_blocks, i64 y_blocks = 1, i64 z_blocks = 1) : x(x_blocks), y(y_blocks), z(z_blocks) {}
    i64 x, y, z;
};

[[noreturn]] void fail_test(const std::string& text, Site site);
void register_test(const char* name, void (*body)());
/// Settings of the next launches: in order and eager unless for_all_schedules says otherwise.
const brantas::emulator::Settings& current_settings();
/// Runs `body` once for every schedule and copy mode. The body makes its own arrays, so that each run starts afresh.
void for_all_schedules(const std::function<void(const Schedule&)>& body);
/// Launches and returns the violation, or an empty text; the red zones of all arrays are part of it.
std::string launch_violation(
    const brantas::emulator::Entry& kernel, Grid grid, i64 threads, i64 shared_bytes, const void* args, size_t args_bytes);

#define TEST(name)                                                                      \
    static void test_##name();                                                          \
    static const bool registered_##name = (register_test(#name, test_##name), true);    \
    static void test_##name()

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) fail_test("does not hold: " #condition, Site::current()); \
    } while (false)

/// The entry of a kernel whose source this file includes.
#define KERNEL_OF(name) brantas_kernel_##name

/// Launches; a violation fails the test.
template <class Args>
void launch(const brantas::emulator::Entry& kernel, Grid grid, i64 threads, i64 shared_bytes, const Args& args,
            Site site = Site::current()) {
    std::string violation = launch_violation(kernel, grid, threads, shared_bytes, &args, sizeof(Args));
    if (!violation.empty()) fail_test(violation, site);
}

/// `count` elements of device memory: exactly so many, between red zones, poisoned. Host code reads and writes them in place.
/// Above 256 MiB they begin as zeros, red zones are not looked at, and only what is touched costs memory.
template <class T>
class DeviceArray {
public:
    explicit DeviceArray(size_t count, const std::string& name = "array", Site site = Site::current())
        : count_(count),
          address_(brantas::emulator::allocate(
              count * sizeof(T), name + " of line " + std::to_string(site.line()))) {
        if (address_ == 0) fail_test("the emulated device has no room for " + name, site);
    }
    DeviceArray(const std::vector<T>& values, const std::string& name = "array", Site site = Site::current())
        : DeviceArray(values.size(), name, site) {
        for (size_t i = 0; i < count_; i++) data()[i] = values[i];
    }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    DeviceArray(DeviceArray&& other) noexcept : count_(other.count_), address_(other.address_) { other.address_ = 0; }
    ~DeviceArray() {
        if (address_ != 0) brantas::emulator::release(address_);
    }

    u64 address() const { return address_; }
    size_t size() const { return count_; }
    T* data() { return reinterpret_cast<T*>(address_); }
    const T* data() const { return reinterpret_cast<const T*>(address_); }
    T& operator[](size_t i) { return data()[checked(i)]; }
    const T& operator[](size_t i) const { return data()[checked(i)]; }
    std::span<T> span() { return {data(), count_}; }
    std::span<const T> span() const { return {data(), count_}; }
    std::vector<T> values() const { return std::vector<T>(data(), data() + count_); }
    void fill(T value) {
        for (size_t i = 0; i < count_; i++) data()[i] = value;
    }
    /// Whether element i still holds the poison that it began with.
    bool is_untouched(size_t i) const {
        const auto* bytes = reinterpret_cast<const unsigned char*>(data() + checked(i));
        for (size_t b = 0; b < sizeof(T); b++)
            if (bytes[b] != 0xff) return false;
        return true;
    }

private:
    size_t checked(size_t i) const {
        if (i >= count_) fail_test("the test itself reads past an array", Site::current());
        return i;
    }

    size_t count_;
    u64 address_;
};

/// Random numbers from the printed seed (BRANTAS_TEST_SEED overrides it) and a number that tells generators apart.
class Random {
public:
    explicit Random(u64 stream = 0);
    u64 bits();
    /// In [0, 1).
    double unit() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
    double uniform(double from, double to) { return from + (to - from) * unit(); }
    double normal();
    /// In [from, to], both included.
    i64 integer(i64 from, i64 to) { return from + static_cast<i64>(bits() % static_cast<u64>(to - from + 1)); }

private:
    u64 state_;
};

inline u16 to_f16(f32 value) {
    return brantas_to_f16(value);
}
inline f32 from_f16(u16 value) {
    return brantas_from_f16(value);
}
/// A value that is exactly a bf16, as fp32.
inline f32 rounded_to_bf16(f32 value) {
    return to_float(to_bf16(value));
}

inline double as_double(bf16 v) {
    return static_cast<double>(to_float(v));
}
template <class T>
    requires std::is_arithmetic_v<T>
double as_double(T v) {
    return static_cast<double>(v);
}

void check_close_values(double actual, double expected, double tolerance, const std::string& what, Site site);

/// |actual − expected| ≤ tolerance; not-a-number is never close.
template <class A, class E>
void check_close(A actual, E expected, double tolerance, const std::string& what = "value", Site site = Site::current()) {
    check_close_values(as_double(actual), as_double(expected), tolerance, what, site);
}

template <class A, class E>
void check_equal(const A& actual, const E& expected, const std::string& what = "value", Site site = Site::current()) {
    if (!(actual == expected))
        fail_test(what + " is " + std::to_string(actual) + ", expected " + std::to_string(expected), site);
}

/// ‖actual − expected‖₂ / ‖expected‖₂; infinite if anything is not a number.
template <class A, class E>
double relative_l2(std::span<A> actual, std::span<E> expected) {
    if (actual.size() != expected.size()) return HUGE_VAL;
    double error = 0, norm = 0;
    for (size_t i = 0; i < actual.size(); i++) {
        double a = as_double(actual[i]), e = as_double(expected[i]);
        error += (a - e) * (a - e);
        norm += e * e;
    }
    if (std::isnan(error) || std::isnan(norm)) return HUGE_VAL;
    return norm == 0 ? (error == 0 ? 0 : HUGE_VAL) : std::sqrt(error / norm);
}
template <class A, class E>
double relative_l2(const std::vector<A>& actual, const std::vector<E>& expected) {
    return relative_l2(std::span<const A>(actual), std::span<const E>(expected));
}
