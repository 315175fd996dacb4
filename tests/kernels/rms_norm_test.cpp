// RMSNorm against the formula in fp64. A result must be the one rounding of a value whose fp32 error is bounded so: the sum of
// squares adds at most n = 8·⌈cols / 2048⌉ + 13 terms one after another, the root halves that error, and mean, root, 1 + weight
// and two products round once each: (n / 2 + 6) · 2⁻²⁴ relative, taken twice.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/rms_norm.cu"

namespace {

constexpr f32 EPS = 1e-6f;

void run(const TestMatrix<bf16>& dst, const TestMatrix<bf16>& x, const DeviceArray<f32>& weight, Rows rows) {
    launch(KERNEL_OF(rms_norm), {rows.to - rows.from}, 256, 32,
           RmsNormArgs{dst.address(), x.address(), weight.address(), rows, x.cols(), dst.stride(), x.stride(), EPS});
}

std::vector<bf16> row_of(const TestMatrix<bf16>& m, i32 row) {
    std::vector<bf16> values;
    for (i32 c = 0; c < m.cols(); c++) values.push_back(m.at(row, c));
    return values;
}

void check_row(const TestMatrix<bf16>& dst, i32 row, const std::vector<bf16>& x, const DeviceArray<f32>& weight) {
    double sum = 0;
    for (bf16 v : x) sum += as_double(v) * as_double(v);
    double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + static_cast<double>(EPS));
    double error = 2 * (4 * std::ceil(static_cast<double>(x.size()) / 2048) + 12.5) * FP32;
    for (size_t c = 0; c < x.size(); c++) {
        double y = as_double(x[c]) * scale * (1 + as_double(weight[c]));
        check_rounded(dst.at(row, static_cast<i32>(c)), y, error * std::abs(y), "column " + std::to_string(c));
    }
}

DeviceArray<f32> deviations(i32 count, Random& random) {
    DeviceArray<f32> weight(static_cast<size_t>(count), "weight");
    for (f32& w : weight.span()) w = static_cast<f32>(0.5 * random.normal());
    return weight;
}

}  // namespace

TEST(rms_norm_of_every_width) {
    for_all_schedules([](const Schedule&) {
        // Around the unit, the warp, the block's span, and what registers hold (8192).
        for (i32 cols : {1, 7, 8, 9, 255, 256, 257, 1024, 2047, 2048, 2049, 5120, 8192, 8193, 10249}) {
            Random random(static_cast<u64>(cols));
            TestMatrix<bf16> x(3, cols, 1, "x"), dst(3, cols, 0, "dst");
            x.randomize(random, 3);
            DeviceArray<f32> weight = deviations(cols, random);
            run(dst, x, weight, {0, 0, 3});
            for (i32 r = 0; r < 3; r++) check_row(dst, r, row_of(x, r), weight);
            dst.check_untouched_outside(0, 3);
        }
    });
}

TEST(rms_norm_of_small_large_and_zero_rows) {
    for_all_schedules([](const Schedule&) {
        Random random(1);
        TestMatrix<bf16> x(4, 130, 0, "x"), dst(4, 130, 0, "dst");
        x.randomize(random);
        for (i32 c = 0; c < 130; c++) {
            x.at(0, c) = to_bf16(0);
            x.at(1, c) = to_bf16(to_float(x.at(1, c)) * 1e-3f);  // eps counts
            x.at(2, c) = to_bf16(to_float(x.at(2, c)) * 1e-12f);
            x.at(3, c) = to_bf16(to_float(x.at(3, c)) * 1e16f);
        }
        DeviceArray<f32> weight = deviations(130, random);
        weight[5] = -1;  // a channel that is switched off
        run(dst, x, weight, {0, 0, 4});
        for (i32 r = 0; r < 4; r++) check_row(dst, r, row_of(x, r), weight);
    });
}

TEST(rms_norm_in_place) {
    for_all_schedules([](const Schedule&) {
        for (i32 cols : {136, 2056, 9001}) {
            Random random(2);
            TestMatrix<bf16> x(2, cols, 0, "x");
            x.randomize(random);
            std::vector<bf16> before[2] = {row_of(x, 0), row_of(x, 1)};
            DeviceArray<f32> weight = deviations(cols, random);
            run(x, x, weight, {0, 0, 2});
            for (i32 r = 0; r < 2; r++) check_row(x, r, before[r], weight);
            x.check_untouched_outside(0, 2);
        }
    });
}

TEST(rms_norm_gives_a_row_the_same_bits_alone_and_in_company) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 ROWS = 6;
        Random random(3);
        TestMatrix<bf16> x(ROWS, 1031, 0, "x"), all(ROWS, 1031, 0, "dst"), some(ROWS, 1031, 0, "dst");
        x.randomize(random);
        DeviceArray<f32> weight = deviations(1031, random);
        run(all, x, weight, {0, 0, ROWS});
        for (i32 r : {0, 1, 4, 5}) x.poison_row(r);
        StepBlock step(std::vector<TestSequence>{{4}});
        run(some, x, weight, step.live_rows(step.step().rows, 2, ROWS));
        for (i32 r = 2; r < 4; r++) {
            for (i32 c = 0; c < 1031; c++) check_equal(some.at(r, c).bits, all.at(r, c).bits, "column " + std::to_string(c));
        }
        some.check_untouched_outside(2, 4);
    });
}
