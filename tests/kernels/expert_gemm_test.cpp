// expert_gemm: both halves against fp64 with tiles of every height and width, top-4, -8 and -10 of 16 to 512 experts, even and
// skewed loads (experts without a row, all rows on one), odd sizes, and the promise that a row's bits do not depend on the
// tile.
#include "experts.hpp"

#include "../../cuda-kernels/expert_gemm.cu"

namespace {

using Entry = brantas::emulator::Entry;

struct Form {
    i32 rows, cols;  // of a tile
    i32 threads;
    const Entry* up;
    const Entry* down;
    size_t shared;
};

const Form FORMS[] = {
    {16, EXPERT_COLS, EXPERT_THREADS, &KERNEL_OF(expert_gemm_up_16), &KERNEL_OF(expert_gemm_down_16),
     sizeof(UpProducts::Rows16::Shared)},
    {32, EXPERT_COLS, EXPERT_THREADS, &KERNEL_OF(expert_gemm_up_32), &KERNEL_OF(expert_gemm_down_32),
     sizeof(UpProducts::Rows32::Shared)},
    {64, EXPERT_COLS, EXPERT_THREADS, &KERNEL_OF(expert_gemm_up_64), &KERNEL_OF(expert_gemm_down_64),
     sizeof(UpProducts::Rows64::Shared)},
    {128, EXPERT_COLS, EXPERT_THREADS, &KERNEL_OF(expert_gemm_up_128), &KERNEL_OF(expert_gemm_down_128),
     sizeof(UpProducts::Rows128::Shared)},
    {128, EXPERT_WIDE_COLS, EXPERT_WIDE_THREADS, &KERNEL_OF(expert_gemm_up_256), &KERNEL_OF(expert_gemm_down_256),
     sizeof(UpProducts::Wide::Shared)},
};

/// One form a call, in turn: under every schedule each of them meets most shapes.
bool is_left_out(const Form& form, size_t call) {
    return &form == &FORMS[call % std::size(FORMS)];
}

struct Shape {
    ExpertSizes sizes;
    i32 from, rows;
    Skew skew;
};

const Shape SHAPES[] = {
    {{16, 4, 70, 37, 37}, 0, 21, Skew::EVEN},    {{16, 4, 64, 64, 72}, 3, 70, Skew::ONE},
    {{16, 4, 257, 9, 20}, 0, 1, Skew::EVEN},     {{256, 8, 40, 24, 5}, 2, 19, Skew::EVEN},
    {{512, 10, 33, 16, 17}, 0, 40, Skew::FEW},   {{512, 10, 24, 7, 136}, 1, 6, Skew::ONE},
    {{3, 2, 200, 70, 33}, 0, 130, Skew::EVEN},   {{16, 1, 48, 10, 8}, 0, 129, Skew::ONE},
};

/// Rows in expert order, in tiles of a height (spec of the layout: stable by expert, then the shared expert).
struct Order {
    std::vector<i32> order;
    std::vector<i32> expert;  // of a position
    std::vector<ExpertTile> tiles;

    Order(const Shape& s, const std::vector<i32>& ids, i32 height) {
        for (i32 e = 0; e <= s.sizes.experts; e++) {
            const i32 first = static_cast<i32>(order.size());
            if (e == s.sizes.experts) {
                for (i32 r = 0; r < s.rows; r++) order.push_back(s.rows * s.sizes.slots + r);
            } else {
                for (i32 a = 0; a < s.rows * s.sizes.slots; a++) {
                    if (ids[static_cast<size_t>(a)] == e) order.push_back(a);
                }
            }
            const i32 end = static_cast<i32>(order.size());
            expert.resize(order.size(), e);
            for (i32 at = first; at < end; at += height) tiles.push_back({e, at, std::min(height, end - at), 0});
        }
    }
    /// Blocks for more tiles than there are, as the launcher must assume.
    i64 blocks(i32 weight_rows, i32 cols) const {
        return static_cast<i64>(tiles.size() + 3) * ((weight_rows + cols - 1) / cols);
    }
};

struct DeviceOrder {
    DeviceArray<i32> order;
    DeviceArray<ExpertTile> tiles;
    DeviceArray<i32> count;

    explicit DeviceOrder(const Order& o) : order(o.order, "order"), tiles(o.tiles, "tiles"), count(1, "tile count") {
        count[0] = static_cast<i32>(o.tiles.size());
    }
};

/// Row `position` of x for up.
i32 row_of(const Shape& s, const Order& o, size_t position) {
    const i32 a = o.order[position], n = s.rows * s.sizes.slots;
    return s.from + (a < n ? a / s.sizes.slots : a - n);
}

/// A layer's experts on both sides.
struct Weights {
    HostExperts host;
    DeviceExperts device;

    Weights(const ExpertSizes& sizes, Random& random) : host(sizes, random), device(host) {}
};

/// Where the routed experts' matrices lie, and how far apart.
struct Place {
    u64 address;
    i64 stride;
};

std::vector<bf16> run_up(const Shape& s, const Weights& weights, const HostMatrix& x, const Order& o, const Form& form, Place up) {
    const HostExperts& w = weights.host;
    const i32 stride = w.inner_stride() + 8;
    DeviceOrder device(o);
    DeviceArray<bf16> inner(o.order.size() * static_cast<size_t>(stride), "inner"), device_x(x.values, "x");
    const ExpertUpArgs args = {inner.address(), device_x.address(), device.order.address(), device.tiles.address(),
                               device.count.address(), up.address, weights.device.shared_up.address(), up.stride, stride, x.stride, w.up.stride,
                               rounded_up(s.sizes.hidden, 8), s.sizes.experts, s.sizes.slots, s.from,
                               s.rows * s.sizes.slots, up_rows(s.sizes.inner), up_rows(s.sizes.shared_inner)};
    const i32 most = up_rows(std::max(s.sizes.inner, s.sizes.shared_inner));
    launch(*form.up, {o.blocks(most, form.cols)}, form.threads, static_cast<i64>(form.shared), args);
    // Beyond the expert's own columns nothing was written.
    for (size_t p = 0; p < o.order.size(); p++) {
        for (i32 c = rounded_up(w.inner_of(o.expert[p]), 8); c < stride; c++) {
            CHECK(inner.is_untouched(p * static_cast<size_t>(stride) + static_cast<size_t>(c)));
        }
    }
    return inner.values();
}
std::vector<bf16> run_up(const Shape& s, const Weights& weights, const HostMatrix& x, const Order& o, const Form& form) {
    return run_up(s, weights, x, o, form,
                  {weights.device.up.address(), static_cast<i64>(up_rows(s.sizes.inner)) * weights.host.up.stride});
}

std::vector<f32> run_down(const Shape& s, const Weights& weights, const HostMatrix& inner, const Order& o, const Form& form,
                          Place down) {
    const HostExperts& w = weights.host;
    const i32 stride = rounded_up(s.sizes.hidden, 4) + 4;
    DeviceOrder device(o);
    DeviceArray<f32> out(o.order.size() * static_cast<size_t>(stride), "out");
    DeviceArray<bf16> device_inner(inner.values, "inner");
    const ExpertDownArgs args = {out.address(), device_inner.address(), device.order.address(), device.tiles.address(),
                                 device.count.address(), down.address, weights.device.shared_down.address(), down.stride, stride, inner.stride, w.down.stride,
                                 w.shared_down.stride, s.sizes.experts, s.sizes.hidden};
    launch(*form.down, {o.blocks(s.sizes.hidden, form.cols)}, form.threads, static_cast<i64>(form.shared), args);
    for (size_t row = 0; row < o.order.size(); row++) {
        for (i32 c = s.sizes.hidden; c < stride; c++) {
            CHECK(out.is_untouched(row * static_cast<size_t>(stride) + static_cast<size_t>(c)));
        }
    }
    return out.values();
}
std::vector<f32> run_down(const Shape& s, const Weights& weights, const HostMatrix& inner, const Order& o, const Form& form) {
    return run_down(s, weights, inner, o, form,
                    {weights.device.down.address(), static_cast<i64>(s.sizes.hidden) * weights.host.down.stride});
}

/// The bits of all forms are those of the first one.
template <class T>
void check_same(const std::vector<T>& first, const std::vector<T>& other) {
    CHECK(first.size() == other.size() && std::memcmp(first.data(), other.data(), first.size() * sizeof(T)) == 0);
}

}  // namespace

TEST(up_is_silu_of_gate_times_up) {
    Errors errors("expert_gemm_up");
    Random random(1);
    size_t call = 0;
    for (const Shape& s : SHAPES) {
        const Weights weights(s.sizes, random);
        const HostExperts& w = weights.host;
        HostMatrix x(s.from + s.rows + 1, s.sizes.hidden, random, 1, 8);
        for (i32 r = 0; r < x.rows; r++) {
            if (r < s.from || r >= s.from + s.rows) x.poison(r);
        }
        const std::vector<i32> ids = choose_experts(s.sizes, s.rows, s.skew, random);
        const Order narrow(s, ids, FORMS[0].rows);
        const auto stride = static_cast<size_t>(w.inner_stride() + 8);
        std::vector<bf16> first;
        for_all_schedules([&](const Schedule&) {
            for (const Form& form : FORMS) {
                if (is_left_out(form, call)) continue;
                const std::vector<bf16> inner = run_up(s, weights, x, Order(s, ids, form.rows), form);
                if (first.empty()) first = inner;
                check_same(first, inner);
            }
            call++;
        });
        for (size_t p = 0; p < narrow.order.size(); p++) {
            const i32 expert = narrow.expert[p];
            for (i32 c = 0; c < rounded_up(w.inner_of(expert), 8); c++) {
                const bf16 actual = first[p * stride + static_cast<size_t>(c)];
                if (c < w.inner_of(expert)) errors.check(actual, w.inner(expert, &x.at(row_of(s, narrow, p), 0), c));
                else check_equal(as_double(actual), 0.0, "padding");
            }
        }
    }
}

TEST(down_leaves_a_row_for_each_assignment) {
    Errors errors("expert_gemm_down");
    Random random(2);
    size_t call = 0;
    for (const Shape& s : SHAPES) {
        const Weights weights(s.sizes, random);
        const HostExperts& w = weights.host;
        const std::vector<i32> ids = choose_experts(s.sizes, s.rows, s.skew, random);
        const Order narrow(s, ids, FORMS[0].rows);
        HostMatrix inner(static_cast<i32>(narrow.order.size()), w.inner_stride(), random, 1, 8);
        for (size_t p = 0; p < narrow.order.size(); p++) {
            const i32 cols = w.inner_of(narrow.expert[p]);
            for (i32 c = cols; c < inner.stride; c++) {
                inner.at(static_cast<i64>(p), c) = bf16{static_cast<u16>(c < rounded_up(cols, 8) ? 0 : 0xffff)};
            }
        }
        const auto stride = static_cast<size_t>(rounded_up(s.sizes.hidden, 4) + 4);
        std::vector<f32> first;
        for_all_schedules([&](const Schedule&) {
            for (const Form& form : FORMS) {
                if (is_left_out(form, call)) continue;
                const std::vector<f32> out = run_down(s, weights, inner, Order(s, ids, form.rows), form);
                if (first.empty()) first = out;
                check_same(first, out);
            }
            call++;
        });
        for (size_t p = 0; p < narrow.order.size(); p++) {
            for (i32 c = 0; c < s.sizes.hidden; c++) {
                errors.check(first[static_cast<size_t>(narrow.order[p]) * stride + static_cast<size_t>(c)],
                             w.outer(narrow.expert[p], &inner.at(static_cast<i64>(p), 0), c));
            }
        }
    }
}

/// Matrices that lie 2³⁰ elements apart: that of expert 2 begins at an index that fits no 32 bits.
TEST(experts_beyond_32_bits) {
    Random random(3);
    const Shape s = {{4, 2, 40, 24, 9}, 0, 9, Skew::EVEN};
    const Weights weights(s.sizes, random);
    const FarExperts far(weights.host);
    const Order o(s, choose_experts(s.sizes, s.rows, s.skew, random), FORMS[0].rows);
    const HostMatrix x(s.rows, s.sizes.hidden, random, 1);
    check_same(run_up(s, weights, x, o, FORMS[0]), run_up(s, weights, x, o, FORMS[0], {far.up.address(), far.STRIDE}));
    const HostMatrix inner(static_cast<i32>(o.order.size()), weights.host.inner_stride(), random, 1);
    check_same(run_down(s, weights, inner, o, FORMS[0]), run_down(s, weights, inner, o, FORMS[0], {far.down.address(), far.STRIDE}));
}
