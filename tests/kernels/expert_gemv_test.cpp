// expert_gemv: both halves against fp64 for top-4, -8 and -10 of 16 to 512 experts, odd sizes, live rows fewer than the launch
// has room for, and the promise that a row has the same bits alone and in company.
#include "experts.hpp"

#include "../../cuda-kernels/expert_gemv.cu"

namespace {

struct Shape {
    ExpertSizes sizes;
    i32 from, to, live;  // live −1: no live count
    Skew skew;
};

const Shape SHAPES[] = {
    {{16, 4, 70, 37, 37}, 0, 1, -1, Skew::EVEN},   {{16, 4, 128, 64, 64}, 0, 4, 3, Skew::FEW},
    {{256, 8, 40, 24, 5}, 2, 7, -1, Skew::EVEN},   {{512, 10, 33, 16, 260}, 0, 2, 2, Skew::ONE},
    {{512, 10, 19, 7, 1}, 1, 9, 5, Skew::EVEN},    {{8, 2, 530, 600, 513}, 0, 2, -1, Skew::ONE},
    {{8, 2, 300, 30, 1100}, 0, 4, 0, Skew::EVEN},  {{20, 16, 1040, 72, 8}, 0, 1, -1, Skew::EVEN},
    {{3, 1, 17, 1, 1}, 0, 3, -1, Skew::EVEN},
};

/// Inputs of a shape; rows outside the live ones are poison.
struct Problem {
    Shape shape;
    HostExperts weights;
    DeviceExperts device;
    HostMatrix x, residual;
    std::vector<i32> ids;  // of all rows up to `to`
    std::vector<f32> scales, gates;

    Problem(const Shape& s, Random& random)
        : shape(s), weights(s.sizes, random), device(weights), x(s.to + 1, s.sizes.hidden, random, 1, 8),
          residual(s.to + 1, s.sizes.hidden, random, 2), ids(choose_experts(s.sizes, s.to, s.skew, random)) {
        for (i32 i = 0; i < s.to * s.sizes.slots; i++) scales.push_back(static_cast<f32>(random.unit()));
        for (i32 i = 0; i < s.to; i++) gates.push_back(static_cast<f32>(random.unit()));
        for (i32 r = 0; r < x.rows; r++) {
            if (r < s.from || r >= end()) x.poison(r);
        }
        for (i32 r = end(); r < s.to; r++) {
            for (i32 slot = 0; slot < s.sizes.slots; slot++) ids[static_cast<size_t>(r * s.sizes.slots + slot)] = -1000000;
        }
    }
    i32 end() const { return shape.live < 0 ? shape.to : std::min(shape.to, shape.live); }
    i32 products() const { return shape.sizes.slots + 1; }
    i32 expert(i32 row, i32 slot) const {
        return slot == shape.sizes.slots ? shape.sizes.experts : ids[static_cast<size_t>(row * shape.sizes.slots + slot)];
    }
    i32 inner_stride() const { return weights.inner_stride() + 8; }

    /// inner of rows [from, to).
    std::vector<bf16> up(i32 from, i32 to) const {
        return up(from, to, device.up.address(), static_cast<i64>(up_rows(shape.sizes.inner)) * weights.up.stride);
    }

    /// With the routed experts' matrices elsewhere.
    std::vector<bf16> up(i32 from, i32 to, u64 weight, i64 expert_stride) const {
        const ExpertSizes& z = shape.sizes;
        DeviceArray<bf16> inner(static_cast<size_t>((to - from) * products() * inner_stride()), "inner");
        DeviceArray<bf16> device_x(x.values, "x");
        DeviceArray<i32> device_ids(ids, "ids"), live(1, "live");
        live[0] = shape.live;
        const i32 cols = rounded_up(z.inner, 8), shared_cols = rounded_up(z.shared_inner, 8);
        const ExpertGemvUpArgs args = {inner.address(), device_x.address(), device_ids.address(), weight,
                                       device.shared_up.address(), expert_stride,
                                       {shape.live < 0 ? 0 : live.address(), from, to}, inner_stride(), x.stride,
                                       weights.up.stride, rounded_up(z.hidden, 8), z.slots, cols, shared_cols, 0};
        launch(KERNEL_OF(expert_gemv_up), {std::max(cols, shared_cols) / 8, (to - from) * products()}, DOT_THREADS,
               sizeof(WarpSums<1>), args);
        return inner.values();
    }

    /// dst of all rows after adding to rows [from, to).
    std::vector<bf16> down(const std::vector<bf16>& inner, i32 from, i32 to) const {
        return down(inner, from, to, device.down.address(), static_cast<i64>(shape.sizes.hidden) * weights.down.stride);
    }

    /// With the routed experts' matrices elsewhere.
    std::vector<bf16> down(const std::vector<bf16>& inner, i32 from, i32 to, u64 weight, i64 expert_stride) const {
        const ExpertSizes& z = shape.sizes;
        DeviceArray<bf16> dst(residual.values, "dst"), device_inner(inner, "inner");
        DeviceArray<i32> device_ids(ids, "ids"), live(1, "live");
        DeviceArray<f32> device_scales(scales, "scales"), device_gates(gates, "gates");
        live[0] = shape.live;
        const ExpertGemvDownArgs args = {dst.address(), device_inner.address(), device_ids.address(),
                                         device_scales.address(), device_gates.address(), weight,
                                         device.shared_down.address(), expert_stride,
                                         {shape.live < 0 ? 0 : live.address(), from, to}, residual.stride, inner_stride(),
                                         weights.down.stride, weights.shared_down.stride, z.slots, z.hidden};
        launch(KERNEL_OF(expert_gemv_down), {(z.hidden + 15) / 16, to - from}, DOT_THREADS, sizeof(ExpertDownShared), args);
        return dst.values();
    }

    size_t inner_at(i32 row, i32 slot) const {
        return static_cast<size_t>(((row - shape.from) * products() + slot) * inner_stride());
    }
};

}  // namespace

TEST(up_is_silu_of_gate_times_up) {
    Errors errors("expert_gemv_up");
    Random random(1);
    for (const Shape& s : SHAPES) {
        const Problem p(s, random);
        std::vector<bf16> first;
        for_all_schedules([&](const Schedule&) {
            const std::vector<bf16> inner = p.up(s.from, s.to);
            if (first.empty()) first = inner;
            for (size_t i = 0; i < inner.size(); i++) CHECK(same_bits(first[i], inner[i]));
        });
        for (i32 r = s.from; r < s.to; r++) {
            for (i32 slot = 0; slot < p.products(); slot++) {
                const i32 inner = r < p.end() ? p.weights.inner_of(p.expert(r, slot)) : 0;
                for (i32 c = 0; c < p.inner_stride(); c++) {
                    const bf16 actual = first[p.inner_at(r, slot) + static_cast<size_t>(c)];
                    if (c < inner) errors.check(actual, p.weights.inner(p.expert(r, slot), &p.x.at(r, 0), c));
                    else check_equal(actual.bits, c < rounded_up(inner, 8) ? 0 : 0xffff, "padding");
                }
            }
        }
        if (p.end() <= s.from) continue;
        const std::vector<bf16> alone = p.up(p.end() - 1, p.end());
        CHECK(std::memcmp(alone.data(), &first[p.inner_at(p.end() - 1, 0)], alone.size() * sizeof(bf16)) == 0);
    }
}

TEST(down_adds_the_weighted_sum_to_the_residual) {
    Errors errors("expert_gemv_down");
    Random random(2);
    for (const Shape& s : SHAPES) {
        const Problem p(s, random);
        HostMatrix inner((s.to - s.from) * p.products(), p.inner_stride(), random, 1);
        for (i32 r = s.from; r < s.to; r++) {
            for (i32 slot = 0; slot < p.products(); slot++) {
                const i32 cols = r < p.end() ? p.weights.inner_of(p.expert(r, slot)) : 0;
                for (i32 c = cols; c < inner.stride; c++) {
                    inner.values[p.inner_at(r, slot) + static_cast<size_t>(c)] =
                        bf16{static_cast<u16>(c < rounded_up(cols, 8) ? 0 : 0xffff)};
                }
            }
        }
        std::vector<bf16> first;
        for_all_schedules([&](const Schedule&) {
            const std::vector<bf16> dst = p.down(inner.values, s.from, s.to);
            if (first.empty()) first = dst;
            for (size_t i = 0; i < dst.size(); i++) CHECK(same_bits(first[i], dst[i]));
        });
        for (i32 r = 0; r < p.residual.rows; r++) {
            for (i32 c = 0; c < p.residual.stride; c++) {
                const bf16 actual = first[static_cast<size_t>(r * p.residual.stride + c)];
                if (r < s.from || r >= p.end() || c >= s.sizes.hidden) {
                    CHECK(same_bits(actual, p.residual.at(r, c)));
                    continue;
                }
                // One fp32 rounding a slot on top of those in the products.
                Sum y{as_double(p.residual.at(r, c)), 0};
                for (i32 slot = 0; slot < p.products(); slot++) {
                    const double scale = slot == s.sizes.slots
                                             ? as_double(p.gates[static_cast<size_t>(r)])
                                             : as_double(p.scales[static_cast<size_t>(r * s.sizes.slots + slot)]);
                    const Sum part = p.weights.outer(p.expert(r, slot), &inner.values[p.inner_at(r, slot)], c);
                    y.value += scale * part.value;
                    y.error += scale * part.error + FP32 * std::fabs(y.value);
                }
                errors.check(actual, y);
            }
        }
        if (p.end() <= s.from) continue;
        const i32 last = p.end() - 1;
        const std::vector<bf16> own(inner.values.begin() + static_cast<i64>(p.inner_at(last, 0)),
                                    inner.values.begin() + static_cast<i64>(p.inner_at(last, 0)) +
                                        p.products() * p.inner_stride());
        const std::vector<bf16> alone = p.down(own, last, last + 1);
        CHECK(std::memcmp(&alone[static_cast<size_t>(last * p.residual.stride)],
                          &first[static_cast<size_t>(last * p.residual.stride)],
                          static_cast<size_t>(p.residual.stride) * sizeof(bf16)) == 0);
    }
}

/// Matrices that lie 2³⁰ elements apart: that of expert 2 begins at an index that fits no 32 bits.
TEST(experts_beyond_32_bits) {
    Random random(3);
    const Problem p({{4, 3, 40, 24, 9}, 0, 5, -1, Skew::EVEN}, random);
    const FarExperts far(p.weights);
    const std::vector<bf16> inner = p.up(0, 5);
    CHECK(std::memcmp(inner.data(), p.up(0, 5, far.up.address(), FarExperts::STRIDE).data(), inner.size() * sizeof(bf16)) == 0);
    const std::vector<bf16> dst = p.down(inner, 0, 5);
    CHECK(std::memcmp(dst.data(), p.down(inner, 0, 5, far.down.address(), FarExperts::STRIDE).data(), dst.size() * sizeof(bf16)) == 0);
}
