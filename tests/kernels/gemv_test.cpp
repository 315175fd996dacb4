// gemv: all variants and results against fp64, odd sizes, live rows fewer than the launch has room for, and the promise that
// a row's bits do not depend on how many rows go together.
#include "products.hpp"

#include "../../cuda-kernels/gemv.cu"

namespace {

using Entry = brantas::emulator::Entry;

struct Variant {
    i32 together;
    const Entry* bf16_entry;
    const Entry* add_entry;
    const Entry* f32_entry;
};

const Variant VARIANTS[] = {
    {1, &KERNEL_OF(gemv_bf16_1), &KERNEL_OF(gemv_add_1), &KERNEL_OF(gemv_f32_1)},
    {2, &KERNEL_OF(gemv_bf16_2), &KERNEL_OF(gemv_add_2), &KERNEL_OF(gemv_f32_2)},
    {4, &KERNEL_OF(gemv_bf16_4), &KERNEL_OF(gemv_add_4), &KERNEL_OF(gemv_f32_4)},
    {8, &KERNEL_OF(gemv_bf16_8), &KERNEL_OF(gemv_add_8), &KERNEL_OF(gemv_f32_8)},
};

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

    /// Launches on `dst`, whose rows are as many as those of x.
    template <class T>
    void run(const Entry& entry, i32 together, DeviceArray<T>& dst, i32 dst_stride) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_weight(weight.values, "weight");
        DeviceArray<i32> live(1, "live");
        live[0] = shape.live;
        const GemvArgs args = {dst.address(), device_x.address(), device_weight.address(),
                               {shape.live < 0 ? 0 : live.address(), shape.from, shape.to},
                               dst_stride, x.stride, weight.stride, rounded_up(shape.cols, 8), shape.outputs, 0};
        const i32 groups = (shape.to - shape.from + together - 1) / together;
        launch(entry, {groups * ((shape.outputs + 15) / 16)}, GEMV_THREADS, 0, args);
    }
};

const Shape SHAPES[] = {
    {0, 1, -1, 1, 1},     {0, 1, -1, 16, 256},  {0, 1, 1, 17, 257},   {2, 3, -1, 33, 513},  {0, 2, -1, 5, 255},
    {1, 4, 3, 15, 777},   {0, 4, -1, 4, 8},     {0, 5, -1, 3, 1030},  {0, 8, -1, 18, 64},   {0, 8, 5, 31, 511},
    {3, 12, -1, 6, 130},  {0, 17, 16, 7, 40},   {0, 8, 0, 20, 64},
};

void check_untouched(const Problem& p, i32 stride, const auto& before, const auto& after) {
    for (i32 r = 0; r < p.x.rows; r++) {
        for (i32 c = 0; c < stride; c++) {
            if (r >= p.shape.from && r < p.end() && c < p.shape.outputs) continue;
            const auto at = static_cast<size_t>(r * stride + c);
            CHECK(same_bits(before[at], after[at]));
        }
    }
}

}  // namespace

TEST(gemv_bf16_rounds_once) {
    Errors errors("gemv_bf16");
    Random random(1);
    for (const Shape& shape : SHAPES) {
        const Problem p(shape, random);
        const i32 stride = rounded_up(shape.outputs, 8);
        for_all_schedules([&](const Schedule&) {
            std::vector<bf16> first;
            for (const Variant& v : VARIANTS) {
                DeviceArray<bf16> dst(static_cast<size_t>(p.x.rows * stride), "dst");
                const auto before = dst.values();
                p.run(*v.bf16_entry, v.together, dst, stride);
                check_untouched(p, stride, before, dst.values());
                if (first.empty()) first = dst.values();
                for (size_t i = 0; i < first.size(); i++) CHECK(same_bits(dst[i], first[i]));
            }
            for (i32 r = shape.from; r < p.end(); r++) {
                for (i32 o = 0; o < shape.outputs; o++) {
                    const Sum s = p.sums[static_cast<size_t>(r - shape.from)][static_cast<size_t>(o)];
                    errors.check(first[static_cast<size_t>(r * stride + o)], s);
                }
            }
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
            std::vector<bf16> first;
            for (const Variant& v : VARIANTS) {
                DeviceArray<bf16> dst(residual.values, "dst");
                p.run(*v.add_entry, v.together, dst, residual.stride);
                check_untouched(p, residual.stride, residual.values, dst.values());
                if (first.empty()) first = dst.values();
                for (size_t i = 0; i < first.size(); i++) CHECK(same_bits(dst[i], first[i]));
            }
            for (i32 r = shape.from; r < p.end(); r++) {
                for (i32 o = 0; o < shape.outputs; o++) {
                    const Sum s = p.sums[static_cast<size_t>(r - shape.from)][static_cast<size_t>(o)];
                    const double y = as_double(residual.at(r, o)) + s.value;
                    errors.check(first[static_cast<size_t>(r * residual.stride + o)],
                                 Sum{y, s.error + FP32 * std::fabs(y)});
                }
            }
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
            std::vector<f32> first;
            for (const Variant& v : VARIANTS) {
                DeviceArray<f32> dst(static_cast<size_t>(p.x.rows * stride), "dst");
                const auto before = dst.values();
                p.run(*v.f32_entry, v.together, dst, stride);
                check_untouched(p, stride, before, dst.values());
                if (first.empty()) first = dst.values();
                for (size_t i = 0; i < first.size(); i++) CHECK(same_bits(dst[i], first[i]));
            }
            for (i32 r = shape.from; r < p.end(); r++) {
                for (i32 o = 0; o < shape.outputs; o++) {
                    const Sum s = p.sums[static_cast<size_t>(r - shape.from)][static_cast<size_t>(o)];
                    errors.check(first[static_cast<size_t>(r * stride + o)], s);
                }
            }
        });
    }
}
