// gemv with norms: every fused variant gives, bit for bit, what the kernels of its parts give one after the other, for every
// number of rows that a block takes and more, odd widths, rows named by the step's outputs, and blocks that take several tiles;
// poison behind the columns and in rows that are not asked for stays out, and nothing else is written. What the parts give is
// compared with fp64 in their own tests; SwiGLU, whose parts are not kernels, is computed here from the fp32 sums.
#include "products.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/gated_norm.cu"
#include "../../cuda-kernels/gather_rows.cu"
#include "../../cuda-kernels/gemv.cu"
#include "../../cuda-kernels/rms_norm.cu"

namespace {

constexpr f32 EPS = 1e-6f;

i64 staged_bytes(i32 rows, i32 depth) {
    return static_cast<i64>(sizeof(StagedShared)) + std::min(rows, STAGED_ROWS) * staged_pitch(depth) * 2;
}

/// Weights, whose columns beyond the last are zero up to whole pieces, and norm weights.
struct Weights {
    HostMatrix host;
    DeviceArray<bf16> matrix;
    DeviceArray<f32> norm;

    Weights(i32 outputs, i32 cols, i32 norm_cols, Random& random)
        : host(outputs, cols, random, 1 / std::sqrt(static_cast<double>(cols))), matrix(host.values, "weight"),
          norm(static_cast<size_t>(norm_cols), "norm") {
        for (f32& w : norm.span()) w = static_cast<f32>(0.5 + 0.5 * random.normal());
    }
};

struct Shape {
    i32 from, to, live;  // live −1: no live count
    i32 outputs, cols;
    i32 end() const { return live < 0 ? to : std::min(to, live); }
};

// Widths around the unit, the step and the norm's span of 2048.
const Shape SHAPES[] = {
    {0, 1, -1, 16, 64}, {0, 1, 1, 33, 8},    {1, 3, -1, 17, 1},     {0, 3, 2, 40, 131},  {0, 4, -1, 23, 2048},
    {2, 6, -1, 9, 2057}, {0, 4, 0, 18, 72}, {0, 6, -1, 35, 1000}, {0, 9, 7, 16, 4104},
};

/// Rows [from, end) of both are equal, and in `fused` nothing else is written but these columns, where `start` says what was there.
template <class T>
void check_equal_rows(const TestMatrix<T>& fused, const TestMatrix<T>& parts, i32 from, i32 end) {
    for (i32 r = 0; r < fused.rows(); r++) {
        for (i32 c = 0; c < fused.stride(); c++) {
            if (r >= from && r < end && c < fused.cols()) CHECK(same_bits(fused.at(r, c), parts.at(r, c)));
        }
    }
    fused.check_untouched_outside(from, end);
}

template <class T>
void check_equal_everywhere(const TestMatrix<T>& a, const TestMatrix<T>& b) {
    for (i32 r = 0; r < a.rows(); r++) {
        for (i32 c = 0; c < a.stride(); c++) CHECK(same_bits(a.at(r, c), b.at(r, c)));
    }
}

/// x normed by its own kernel, with room for whole pieces.
void norm_alone(const TestMatrix<bf16>& dst, const TestMatrix<bf16>& x, const Weights& w, Rows rows) {
    launch(KERNEL_OF(rms_norm), {rows.to - rows.from}, 256, 32,
           RmsNormArgs{dst.address(), x.address(), w.norm.address(), rows, x.cols(), dst.stride(), x.stride(), EPS});
}

template <class T>
void product_alone(const brantas::emulator::Entry& entry, const TestMatrix<T>& dst, const TestMatrix<bf16>& x, const Weights& w, Rows rows) {
    const i32 blocks = (rows.to - rows.from + 7) / 8 * ((w.host.rows + 15) / 16);
    launch(entry, {blocks}, GEMV_THREADS, 4096,
           GemvArgs{dst.address(), x.address(), w.matrix.address(), rows, dst.stride(), x.stride(), w.host.stride,
                    rounded_up(w.host.cols, 8), w.host.rows, 0});
}

/// Columns that a product reads behind the last one are zero, as the host leaves them.
void clear_padding(TestMatrix<bf16>& m) {
    for (i32 r = 0; r < m.rows(); r++) {
        for (i32 c = m.cols(); c < m.stride(); c++) m.at(r, c) = bf16{0};
    }
}

struct Fused {
    Shape shape;
    TestMatrix<bf16> x, normed;
    Weights weights;
    DeviceArray<i32> live;

    Fused(const Shape& s, Random& random)
        : shape(s), x(s.to + 1, s.cols, 1, "x"), normed(s.to + 1, s.cols, 0, "normed"), weights(s.outputs, s.cols, s.cols, random),
          live(1, "live") {
        x.randomize(random, 2);
        for (i32 r = 0; r < x.rows(); r++) {
            if (r < s.from || r >= s.end()) x.poison_row(r);
        }
        live[0] = s.live;
        clear_padding(normed);
        norm_alone(normed, x, weights, rows());
    }
    Rows rows() const { return {shape.live < 0 ? 0 : live.address(), shape.from, shape.to}; }

    void run(const brantas::emulator::Entry& entry, const TestMatrix<bf16>& dst, Rows of, i32 tile_blocks) const {
        const i32 count = of.to - of.from;
        launch(entry, {(count + 3) / 4 * tile_blocks}, GEMV_THREADS, staged_bytes(count, x.cols()),
               GemvNormArgs{dst.address(), x.address(), weights.norm.address(), weights.matrix.address(), of, dst.stride(), x.stride(),
                            weights.host.stride, x.cols(), shape.outputs, EPS});
    }

    /// With a block a tile and with one for all, and the last row alone: as `parts`.
    void check(const brantas::emulator::Entry& entry, const TestMatrix<bf16>& parts) const {
        for (i32 blocks : {(shape.outputs + 15) / 16, 1}) {
            TestMatrix<bf16> dst(x.rows(), parts.cols(), 0, "dst");
            run(entry, dst, rows(), blocks);
            check_equal_rows(dst, parts, shape.from, shape.end());
        }
        if (shape.end() <= shape.from) return;
        TestMatrix<bf16> alone(x.rows(), parts.cols(), 0, "alone");
        run(entry, alone, {0, shape.end() - 1, shape.end()}, 1);
        check_equal_rows(alone, parts, shape.end() - 1, shape.end());
    }
};

/// Value heads with o and a projected row, whose other columns are poison.
struct Gated {
    i32 heads, z;
    TestMatrix<bf16> o, projected, normed, residual;
    Weights weights;

    Gated(i32 rows, i32 value_heads, i32 outputs, Random& random)
        : heads(value_heads), z(256 * ((heads + 1) / 2) + 128 * heads), o(rows, 128 * heads, 1, "o"),
          projected(rows, z + 128 * heads + 2 * heads, 0, "projected"), normed(rows, 128 * heads, 0, "normed"),
          residual(rows, outputs, 1, "residual"), weights(outputs, 128 * heads, 128, random) {
        o.randomize(random, 0.3);
        residual.randomize(random, 3);
        for (i32 r = 0; r < rows; r++) {
            for (i32 c = 0; c < 128 * heads; c++) projected.at(r, z + c) = to_bf16(static_cast<f32>(3 * random.normal()));
        }
    }
    TestMatrix<bf16> start() const {
        TestMatrix<bf16> copy(residual.rows(), residual.cols(), 1, "dst");
        for (i32 r = 0; r < copy.rows(); r++) {
            for (i32 c = 0; c < copy.cols(); c++) copy.at(r, c) = residual.at(r, c);
        }
        return copy;
    }
    void run(const TestMatrix<bf16>& dst, Rows rows, i32 tile_blocks) const {
        const i32 count = rows.to - rows.from;
        launch(KERNEL_OF(gemv_gated_add), {(count + 3) / 4 * tile_blocks}, GEMV_THREADS, staged_bytes(count, 128 * heads),
               GemvGatedArgs{dst.address(), o.address(), projected.address(), weights.norm.address(), weights.matrix.address(), rows,
                             dst.stride(), o.stride(), projected.stride(), weights.host.stride, heads, z, residual.cols(), EPS});
    }
};

}  // namespace

TEST(gemv_norm_bf16_is_norm_and_product) {
    Random random(1);
    for (const Shape& shape : SHAPES) {
        for_all_schedules([&](const Schedule&) {
            const Fused f(shape, random);
            TestMatrix<bf16> parts(f.x.rows(), shape.outputs, 0, "parts");
            product_alone(KERNEL_OF(gemv_bf16_8), parts, f.normed, f.weights, f.rows());
            f.check(KERNEL_OF(gemv_norm_bf16), parts);
        });
    }
}

TEST(gemv_norm_swiglu_is_norm_product_and_swiglu) {
    Random random(2);
    for (Shape shape : SHAPES) {
        shape.outputs = rounded_up(shape.outputs, 16);
        for_all_schedules([&](const Schedule&) {
            const Fused f(shape, random);
            TestMatrix<f32> sums(f.x.rows(), shape.outputs, 0, "sums");
            TestMatrix<bf16> parts(f.x.rows(), shape.outputs / 2, 0, "parts"), plain(f.x.rows(), shape.outputs / 2, 0, "plain");
            product_alone(KERNEL_OF(gemv_f32_8), sums, f.normed, f.weights, f.rows());
            for (i32 r = shape.from; r < shape.end(); r++) {
                for (i32 c = 0; c < parts.cols(); c++) {
                    const i32 gate = c / 8 * 16 + c % 8;
                    parts.at(r, c) = to_bf16(silu(sums.at(r, gate)) * sums.at(r, gate + 8));
                }
            }
            f.check(KERNEL_OF(gemv_norm_swiglu), parts);
            product_alone(KERNEL_OF(gemv_swiglu_8), plain, f.normed, f.weights, f.rows());
            check_equal_rows(plain, parts, shape.from, shape.end());
        });
    }
}

TEST(gemv_norm_f32_is_gather_norm_and_product) {
    constexpr i32 ROWS = 12, OUTPUTS = 9;
    const i32 wanted[OUTPUTS] = {0, 3, 4, 7, 8, 8, 10, 11, 2};
    for (const auto& [cols, outputs] : {std::pair{64, 16}, {1, 5}, {1003, 37}, {2050, 16}}) {
        for_all_schedules([&, cols = cols, outputs = outputs](const Schedule&) {
            Random random(static_cast<u64>(cols));
            TestMatrix<bf16> x(ROWS, cols, 0, "x"), gathered(OUTPUTS, cols, 0, "gathered"), normed(OUTPUTS, cols, 0, "normed");
            TestMatrix<f32> parts(OUTPUTS, outputs, 0, "parts");
            x.randomize(random, 2);
            for (i32 r : {1, 5, 6, 9}) x.poison_row(r);
            StepBlock step(std::vector<TestSequence>{{ROWS}}, OUTPUTS);
            for (i32 o = 0; o < OUTPUTS; o++) step.output_row(o) = wanted[o];
            const Weights w(outputs, cols, cols, random);
            for (i32 from : {0, 3}) {
                step.step().window_from = from;
                step.step().window_rows = OUTPUTS - from;
                launch(KERNEL_OF(gather_rows), {OUTPUTS}, 256, 0,
                       GatherRowsArgs{gathered.address(), x.address(), step.address(), {0, 0, OUTPUTS}, cols, gathered.stride(),
                                      x.stride(), 0});
                clear_padding(normed);
                norm_alone(normed, gathered, w, {0, 0, OUTPUTS - from});
                product_alone(KERNEL_OF(gemv_f32_8), parts, normed, w, {0, 0, OUTPUTS - from});
                // More rows than the window has, rows that the live count ends, and one row.
                for (const auto& [first, to, live] : {std::tuple{0, OUTPUTS, -1}, {1, 4, 3}, {2, 3, -1}, {0, 4, 0}}) {
                    TestMatrix<f32> dst(OUTPUTS, outputs, 0, "dst");
                    const Rows rows = live < 0 ? Rows{0, first, to} : step.live_rows(live, first, to);
                    for (i32 blocks : {(outputs + 15) / 16, 1}) {
                        launch(KERNEL_OF(gemv_norm_f32), {(to - first + 3) / 4 * blocks}, GEMV_THREADS, staged_bytes(to - first, cols),
                               GemvLogitsArgs{dst.address(), x.address(), w.norm.address(), w.matrix.address(), step.address(), rows,
                                              dst.stride(), x.stride(), w.host.stride, cols, outputs, EPS});
                        check_equal_rows(dst, parts, first, std::min(live < 0 ? to : live, OUTPUTS - from));
                    }
                }
            }
        });
    }
}

TEST(gemv_gated_add_is_gated_norm_and_product_on_the_residual) {
    Random random(4);
    for (const auto& [rows, heads, outputs] : {std::tuple{1, 1, 16}, {2, 3, 17}, {3, 16, 40}, {4, 17, 5}, {6, 33, 24}}) {
        for_all_schedules([&, rows = rows, heads = heads, outputs = outputs](const Schedule&) {
            Gated g(rows, heads, outputs, random);
            launch(KERNEL_OF(gated_norm), {rows, (heads + 15) / 16}, 256, 0,
                   GatedNormArgs{g.normed.address(), g.o.address(), g.projected.address(), g.weights.norm.address(), {0, 0, rows},
                                 heads, g.z, g.normed.stride(), g.o.stride(), g.projected.stride(), EPS});
            const TestMatrix<bf16> parts = g.start();
            product_alone(KERNEL_OF(gemv_add_8), parts, g.normed, g.weights, {0, 0, rows});
            for (i32 blocks : {(outputs + 15) / 16, 1}) {
                const TestMatrix<bf16> dst = g.start();
                g.run(dst, {0, 0, rows}, blocks);
                check_equal_everywhere(dst, parts);
            }
            // The last row alone, the others unreadable.
            for (i32 r = 0; r + 1 < rows; r++) g.o.poison_row(r);
            const TestMatrix<bf16> before = g.start(), alone = g.start();
            g.run(alone, {0, rows - 1, rows}, 1);
            for (i32 r = 0; r < rows; r++) {
                for (i32 c = 0; c < outputs; c++) {
                    CHECK(same_bits(alone.at(r, c), r == rows - 1 ? parts.at(r, c) : before.at(r, c)));
                }
            }
        });
    }
}
