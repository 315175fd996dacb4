// The gated norm against the formula in fp64. A result must be the one rounding of a value whose fp32 error is bounded so: the
// sum of squares adds at most 12 terms one after another, the root halves that error, mean, root and three products round once
// each, and SiLU adds 7: 18 · 2⁻²⁴ relative, taken twice. Below the normal numbers SiLU has an absolute error of 2⁻¹⁴⁸ · z.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/gated_norm.cu"

namespace {

constexpr f32 EPS = 1e-6f;
constexpr i32 DIM = 128;

/// Projected rows as a layer with `heads` value heads has them, other columns poisoned.
struct Layer {
    Layer(i32 rows, i32 value_heads, u64 seed)
        : heads(value_heads), z(2 * DIM * ((heads + 1) / 2) + DIM * heads), projected(rows, z + DIM * heads + 2 * heads, 0, "projected"),
          o(rows, DIM * heads, 1, "o"), dst(rows, DIM * heads, 0, "dst"), weight(DIM, "weight") {
        Random random(seed);
        o.randomize(random, 0.3);
        for (i32 r = 0; r < rows; r++)
            for (i32 c = 0; c < DIM * heads; c++) projected.at(r, z + c) = to_bf16(static_cast<f32>(3 * random.normal()));
        for (f32& w : weight.span()) w = static_cast<f32>(1 + 0.5 * random.normal());
    }

    void run(const TestMatrix<bf16>& to, Rows rows) {
        launch(KERNEL_OF(gated_norm), {rows.to - rows.from, (heads + 15) / 16}, 256, 0,
               GatedNormArgs{to.address(), o.address(), projected.address(), weight.address(), rows, heads, z, to.stride(),
                             o.stride(), projected.stride(), EPS});
    }

    void check_row(const TestMatrix<bf16>& got, i32 row, const std::vector<double>& core) {
        for (i32 h = 0; h < heads; h++) {
            double sum = 0;
            for (i32 i = 0; i < DIM; i++) sum += core[static_cast<size_t>(h * DIM + i)] * core[static_cast<size_t>(h * DIM + i)];
            double scale = 1 / std::sqrt(sum / DIM + static_cast<double>(EPS));
            for (i32 i = 0; i < DIM; i++) {
                i32 c = h * DIM + i;
                double gate = as_double(projected.at(row, z + c));
                double normed = core[static_cast<size_t>(c)] * scale * as_double(weight[static_cast<size_t>(i)]);
                double y = normed * gate / (1 + std::exp(-gate));
                check_rounded(got.at(row, c), y, 36 * FP32 * std::abs(y) + 0x1p-147 * std::abs(normed * gate),
                              "head " + std::to_string(h) + ", value " + std::to_string(i));
            }
        }
    }

    std::vector<double> core(i32 row) const {
        std::vector<double> values;
        for (i32 c = 0; c < DIM * heads; c++) values.push_back(as_double(o.at(row, c)));
        return values;
    }

    i32 heads, z;
    TestMatrix<bf16> projected, o, dst;
    DeviceArray<f32> weight;
};

}  // namespace

TEST(gated_norm_for_every_number_of_heads) {
    for_all_schedules([](const Schedule&) {
        for (i32 heads : {1, 2, 3, 15, 16, 17, 32, 33, 48}) {
            Layer layer(2, heads, static_cast<u64>(heads));
            layer.run(layer.dst, {0, 0, 2});
            for (i32 r = 0; r < 2; r++) layer.check_row(layer.dst, r, layer.core(r));
            layer.dst.check_untouched_outside(0, 2);
        }
    });
}

TEST(gated_norm_in_place) {
    for_all_schedules([](const Schedule&) {
        Layer layer(3, 5, 100);
        std::vector<double> before[3] = {layer.core(0), layer.core(1), layer.core(2)};
        layer.run(layer.o, {0, 0, 3});
        for (i32 r = 0; r < 3; r++) layer.check_row(layer.o, r, before[r]);
        layer.o.check_untouched_outside(0, 3);
    });
}

TEST(gated_norm_of_zeros_and_extreme_gates) {
    for_all_schedules([](const Schedule&) {
        Layer layer(1, 3, 101);
        for (i32 i = 0; i < DIM; i++) {
            layer.o.at(0, i) = to_bf16(0);                                      // head 0: nothing
            layer.o.at(0, DIM + i) = to_bf16(i == 77 ? 1e-4f : 0);             // head 1: eps counts
            layer.projected.at(0, layer.z + 2 * DIM + i) = to_bf16(i % 2 == 0 ? 200.0f - i : -200.0f + i);
        }
        layer.run(layer.dst, {0, 0, 1});
        layer.check_row(layer.dst, 0, layer.core(0));
    });
}

TEST(gated_norm_gives_a_row_the_same_bits_alone_and_in_company) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 ROWS = 5;
        Layer layer(ROWS, 18, 102);
        layer.run(layer.dst, {0, 0, ROWS});
        TestMatrix<bf16> some(ROWS, DIM * 18, 0, "some");
        for (i32 r : {0, 3, 4}) layer.o.poison_row(r);
        StepBlock step(std::vector<TestSequence>{{3}});
        layer.run(some, step.live_rows(step.step().rows, 1, ROWS));
        for (i32 r = 1; r < 3; r++) {
            for (i32 c = 0; c < some.cols(); c++)
                check_equal(some.at(r, c).bits, layer.dst.at(r, c).bits, "column " + std::to_string(c));
        }
        some.check_untouched_outside(1, 3);
    });
}
