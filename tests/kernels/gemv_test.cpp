// gemv without norms: all variants and results against fp64, odd sizes, live rows fewer than the launch has room for, blocks that
// take several tiles, and the promise that a row's bits depend neither on its company nor on how many rows go together.
#include "products.hpp"

#include "../../cuda-kernels/gemv.cu"

namespace {

using Entry = brantas::emulator::Entry;

struct Variant {
    i32 together;
    const Entry* bf16_entry;
    const Entry* add_entry;
    const Entry* f32_entry;
    const Entry* swiglu_entry;
};

#define VARIANT(n) \
    {n, &KERNEL_OF(gemv_bf16_##n), &KERNEL_OF(gemv_add_##n), &KERNEL_OF(gemv_f32_##n), &KERNEL_OF(gemv_swiglu_##n)}
const Variant VARIANTS[] = {VARIANT(8), VARIANT(16), VARIANT(32)};

struct Shape {
    i32 from, to, live;  // live −1: no live count
    i32 outputs, cols;
};

struct Problem {
    Shape shape;
    HostMatrix x, weight;
    std::vector<std::vector<Sum>> sums;  // of the live rows

    Problem(Shape s, Random& random)
        : shape(s), x(s.to + 2, s.cols, random, 1, 8),
          weight(s.outputs, s.cols, random, 1 / std::sqrt(static_cast<double>(s.cols))) {
        for (i32 r = 0; r < x.rows; r++) {
            if (r < s.from || r >= end()) x.poison(r);
        }
        for (i32 r = s.from; r < end(); r++) {
            sums.emplace_back();
            for (i32 o = 0; o < s.outputs; o++) sums.back().push_back(dot(&x.at(r, 0), &weight.at(o, 0), s.cols));
        }
    }
    i32 end() const { return shape.live < 0 ? shape.to : std::min(shape.to, shape.live); }

    /// Launches on rows [from, to) of `dst`, whose rows are as many as those of x, with so many blocks for the tiles of weights.
    template <class T>
    void run(const Entry& entry, i32 together, DeviceArray<T>& dst, i32 dst_stride, i32 from, i32 to, i32 tile_blocks) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_weight(weight.values, "weight");
        DeviceArray<i32> live(1, "live");
        live[0] = shape.live;
        const GemvArgs args = {dst.address(), device_x.address(), device_weight.address(),
                               {shape.live < 0 ? 0 : live.address(), from, to},
                               dst_stride, x.stride, weight.stride, rounded_up(shape.cols, 8), shape.outputs, 0};
        const i32 groups = (to - from + together - 1) / together;
        launch(entry, {groups * tile_blocks}, GEMV_THREADS, 4096 * together / DOT_COLUMNS, args);
    }

    /// All variants, with a block a tile and with fewer, and the last row alone, on copies of `start`: the bits are equal, nothing
    /// but `cols` columns of the live rows is written, and expected(row, col) is met.
    template <class T>
    void check(const Entry* Variant::*entry, const std::vector<T>& start, i32 stride, i32 cols, Errors& errors, auto expected) const {
        const i32 tiles = (shape.outputs + 15) / 16;
        std::vector<T> first;
        for (const Variant& v : VARIANTS) {
            for (i32 blocks : {tiles, (tiles + 1) / 2, 1}) {
                DeviceArray<T> dst(start, "dst");
                run(*(v.*entry), v.together, dst, stride, shape.from, shape.to, blocks);
                if (first.empty()) first = dst.values();
                for (size_t i = 0; i < first.size(); i++) CHECK(same_bits(dst[i], first[i]));
            }
        }
        for (i32 r = 0; r < x.rows; r++) {
            for (i32 c = 0; c < stride; c++) {
                const auto at = static_cast<size_t>(r * stride + c);
                if (r >= shape.from && r < end() && c < cols) errors.check(first[at], expected(r, c));
                else CHECK(same_bits(first[at], start[at]));
            }
        }
        if (end() <= shape.from) return;
        DeviceArray<T> alone(start, "dst");
        run(*(VARIANTS[0].*entry), 8, alone, stride, end() - 1, end(), tiles);
        for (i32 c = 0; c < cols; c++) {
            const auto at = static_cast<size_t>((end() - 1) * stride + c);
            CHECK(same_bits(alone[at], first[at]));
        }
    }

    const Sum& sum(i32 row, i32 output) const {
        return sums[static_cast<size_t>(row - shape.from)][static_cast<size_t>(output)];
    }
};

// Depths around the piece, the half step, the step, and what eight warps take at once and ahead; rows around the column tiles.
const Shape SHAPES[] = {
    {0, 1, -1, 1, 1},     {0, 1, -1, 16, 512},  {0, 1, 1, 17, 257},  {2, 3, -1, 33, 513}, {0, 2, -1, 5, 255}, {1, 4, 3, 15, 777},
    {0, 4, -1, 4, 8},     {0, 5, -1, 3, 4096},  {0, 8, -1, 18, 64},  {0, 9, 5, 31, 511},  {3, 12, -1, 6, 72}, {0, 17, 16, 7, 40},
    {0, 8, 0, 20, 64},    {0, 32, -1, 19, 104}, {1, 34, -1, 49, 32}, {0, 33, 31, 16, 33},
};

template <class T>
std::vector<T> poisoned(const Problem& p, i32 stride) {
    std::vector<T> values(static_cast<size_t>(p.x.rows * stride));
    std::memset(static_cast<void*>(values.data()), 0xff, values.size() * sizeof(T));
    return values;
}

}  // namespace

TEST(gemv_bf16_rounds_once) {
    Errors errors("gemv_bf16");
    Random random(1);
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const i32 stride = rounded_up(shape.outputs, 8);
        for_all_schedules([&](const Schedule&) {
            p.check(&Variant::bf16_entry, poisoned<bf16>(p, stride), stride, shape.outputs, errors,
                    [&](i32 r, i32 o) { return p.sum(r, o); });
        });
    }
}

TEST(gemv_add_rounds_the_sum_with_the_residual) {
    Errors errors("gemv_add");
    Random random(2);
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const HostMatrix residual(p.x.rows, shape.outputs, random, 3);
        for_all_schedules([&](const Schedule&) {
            p.check(&Variant::add_entry, residual.values, residual.stride, shape.outputs, errors, [&](i32 r, i32 o) {
                const Sum s = p.sum(r, o);
                const double y = as_double(residual.at(r, o)) + s.value;
                return Sum{y, s.error + FP32 * std::fabs(y)};
            });
        });
    }
}

TEST(gemv_f32_does_not_round) {
    Errors errors("gemv_f32");
    Random random(3);
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const i32 stride = rounded_up(shape.outputs, 4);
        for_all_schedules([&](const Schedule&) {
            p.check(&Variant::f32_entry, poisoned<f32>(p, stride), stride, shape.outputs, errors,
                    [&](i32 r, i32 o) { return p.sum(r, o); });
        });
    }
}

TEST(gemv_swiglu_takes_groups_of_gate_and_up) {
    Errors errors("gemv_swiglu");
    Random random(4);
    for (Shape shape : SHAPES) {
        shape.outputs = rounded_up(shape.outputs, 16);
        const Problem p(shape, random);
        const i32 cols = shape.outputs / 2;
        for_all_schedules([&](const Schedule&) {
            p.check(&Variant::swiglu_entry, poisoned<bf16>(p, cols), cols, cols, errors, [&](i32 r, i32 c) {
                const i32 gate = c / 8 * 16 + c % 8;
                return swiglu(p.sum(r, gate), p.sum(r, gate + 8));
            });
        });
    }
}

TEST(gemv_weights_beyond_32_bits) {
    Random random(5);
    const Problem p({0, 2, -1, 6, 40}, random);
    const FarMatrix far(p.weight);
    DeviceArray<f32> near(poisoned<f32>(p, 8), "near"), dst(poisoned<f32>(p, 8), "dst");
    p.run(KERNEL_OF(gemv_f32_8), 8, near, 8, 0, 2, 1);
    const DeviceArray<bf16> x(p.x.values, "x");
    launch(KERNEL_OF(gemv_f32_8), {1}, GEMV_THREADS, 4096,
           GemvArgs{dst.address(), x.address(), far.address(), {0, 0, 2}, 8, p.x.stride, FarMatrix::STRIDE, 40, 6, 0});
    for (size_t i = 0; i < dst.size(); i++) CHECK(same_bits(dst[i], near[i]));
}
