// SwiGLU against the formula in fp64. A result must be the one rounding of a value whose fp32 error is bounded so: the
// exponential is good to 2 ulp (4 · 2⁻²⁴ relative), sum, quotient and two products round once each: 8 · 2⁻²⁴ relative, taken
// twice. Below the normal numbers the exponential has an absolute error of 2⁻¹⁴⁸, times gate and up.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/swiglu.cu"

namespace {

void run(const TestMatrix<bf16>& dst, const TestMatrix<bf16>& gate_up, Rows rows) {
    launch(KERNEL_OF(swiglu), {rows.to - rows.from, (dst.cols() + 2047) / 2048}, 256, 0,
           SwiGluArgs{dst.address(), gate_up.address(), rows, dst.cols(), dst.stride(), gate_up.stride(), 0});
}

void check_row(const TestMatrix<bf16>& dst, i32 row, const TestMatrix<bf16>& gate_up) {
    i32 inner = dst.cols();
    for (i32 c = 0; c < inner; c++) {
        double gate = as_double(gate_up.at(row, c)), up = as_double(gate_up.at(row, inner + c));
        double y = gate / (1 + std::exp(-gate)) * up;
        check_rounded(dst.at(row, c), y, 16 * FP32 * std::abs(y) + 0x1p-147 * std::abs(gate * up),
                      "column " + std::to_string(c));
    }
}

}  // namespace

TEST(swiglu_of_every_width) {
    for_all_schedules([](const Schedule&) {
        for (i32 inner : {1, 4, 7, 8, 9, 12, 511, 512, 513, 2047, 2048, 2056, 4099}) {
            Random random(static_cast<u64>(inner));
            TestMatrix<bf16> gate_up(3, 2 * inner, 0, "gate_up"), dst(3, inner, 1, "dst");
            gate_up.randomize(random, 4);
            run(dst, gate_up, {0, 0, 3});
            for (i32 r = 0; r < 3; r++) check_row(dst, r, gate_up);
            dst.check_untouched_outside(0, 3);
        }
    });
}

TEST(swiglu_of_extreme_gates) {
    for_all_schedules([](const Schedule&) {
        std::vector<f32> gates = {0.0f, -0.0f, 1e-30f, -1e-30f, 20, -20, 80, -80, 88, -88, 90, -90, 104, -104, 1e4f, -1e4f, 1e30f, -1e30f};
        i32 inner = static_cast<i32>(gates.size());
        TestMatrix<bf16> gate_up(2, 2 * inner, 0, "gate_up"), dst(2, inner, 0, "dst");
        for (i32 r = 0; r < 2; r++) {
            for (i32 c = 0; c < inner; c++) {
                gate_up.at(r, c) = to_bf16(gates[static_cast<size_t>(c)]);
                gate_up.at(r, inner + c) = to_bf16(r == 0 ? 1.5f : -3e5f);
            }
        }
        run(dst, gate_up, {0, 0, 2});
        for (i32 r = 0; r < 2; r++) check_row(dst, r, gate_up);
    });
}

TEST(swiglu_works_on_live_rows_only) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 ROWS = 6;
        Random random(1);
        TestMatrix<bf16> gate_up(ROWS, 2 * 100, 0, "gate_up"), dst(ROWS, 100, 0, "dst");
        gate_up.randomize(random);
        for (i32 r : {0, 1, 4, 5}) gate_up.poison_row(r);
        StepBlock step(std::vector<TestSequence>{{4}});
        run(dst, gate_up, step.live_rows(step.step().rows, 2, ROWS));
        for (i32 r = 2; r < 4; r++) check_row(dst, r, gate_up);
        dst.check_untouched_outside(2, 4);
    });
}
