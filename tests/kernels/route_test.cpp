// The router against the formula in fp64. With small integers all logits are exact in fp32, so that the chosen experts are
// known to the last tie; with normal values a choice is right if no expert left out is better by more than both logits may
// err. Weights: a weight is exp(l) / Σ exp over the chosen, l being a difference to the best logit that rounds once (2⁻²⁴ |l|)
// beside the errors of both logits; exponentials are good to 2 ulp (4 · 2⁻²⁴), a sum of k terms rounds k − 1 times and the
// quotient once; each of these relative errors enters numerator and sum, and the tolerance is twice their sum.
#include <algorithm>

#include "products.hpp"

#include "../../cuda-kernels/route.cu"

namespace {

using Entry = brantas::emulator::Entry;

struct Kind {
    const Entry* entry;
    i32 rows;  // of a block
    i64 shared;
};
const Kind ALONE = {&KERNEL_OF(route), 1, sizeof(RouteShared<1>)};
const Kind TOGETHER = {&KERNEL_OF(route_eight), 8, sizeof(RouteShared<8>)};

struct Shape {
    i32 experts, slots, cols;
};

struct Choice {
    DeviceArray<i32> ids;
    DeviceArray<f32> scales, gates;

    Choice(i32 rows, i32 slots)
        : ids(static_cast<size_t>(rows * slots), "ids"), scales(static_cast<size_t>(rows * slots), "scales"),
          gates(static_cast<size_t>(rows), "gates") {}

    void check_untouched_outside(i32 from, i32 to) const {
        const i32 rows = static_cast<i32>(gates.size()), slots = static_cast<i32>(ids.size()) / rows;
        for (i32 r = 0; r < rows; r++) {
            if (r >= from && r < to) continue;
            CHECK(gates.is_untouched(static_cast<size_t>(r)));
            for (i32 s = 0; s < slots; s++) CHECK(ids.is_untouched(static_cast<size_t>(r * slots + s)));
            for (i32 s = 0; s < slots; s++) CHECK(scales.is_untouched(static_cast<size_t>(r * slots + s)));
        }
    }
};

struct Problem {
    Shape shape;
    HostMatrix x, router;

    Problem(Shape s, i32 rows, Random& random)
        : shape(s), x(rows, s.cols, random, 1, 8),
          router(s.experts + 1, s.cols, random, 2 / std::sqrt(static_cast<double>(s.cols)), 16) {}

    void make_small_integers(Random& random, i32 most) {
        for (HostMatrix* m : {&x, &router}) {
            for (i32 r = 0; r < m->rows; r++)
                for (i32 c = 0; c < m->cols; c++) m->at(r, c) = to_bf16(static_cast<f32>(random.integer(-most, most)));
        }
    }

    void run(const Kind& kind, const Choice& choice, i32 from, i32 to, i32 live_rows = -1) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_router(router.values, "router");
        DeviceArray<i32> live(1, "live");
        live[0] = live_rows;
        const RouteArgs args = {choice.ids.address(), choice.scales.address(), choice.gates.address(), device_x.address(),
                                device_router.address(), {live_rows < 0 ? 0 : live.address(), from, to}, x.stride,
                                router.stride, rounded_up(shape.cols, 8), shape.experts, shape.slots, 0};
        launch(*kind.entry, {(to - from + kind.rows - 1) / kind.rows}, ROUTE_THREADS, kind.shared, args);
    }

    std::vector<Sum> logits(i32 row) const {
        std::vector<Sum> all;
        for (i32 e = 0; e <= shape.experts; e++) all.push_back(dot(&x.at(row, 0), &router.at(e, 0), shape.cols));
        return all;
    }

    void check_row(const Choice& choice, i32 row, bool exact) const {
        std::vector<Sum> logit = logits(row);
        if (exact) for (Sum& l : logit) l.error = 0;
        const size_t at = static_cast<size_t>(row * shape.slots);
        std::vector<bool> used(static_cast<size_t>(shape.experts), false);
        double sum = 0, worst = 0;
        const Sum best = logit[static_cast<size_t>(choice.ids[at])];
        for (i32 slot = 0; slot < shape.slots; slot++) {
            const i32 id = choice.ids[at + static_cast<size_t>(slot)];
            CHECK(id >= 0 && id < shape.experts);
            const Sum chosen = logit[static_cast<size_t>(id)];
            CHECK(!used[static_cast<size_t>(id)]);
            used[static_cast<size_t>(id)] = true;
            for (i32 e = 0; e < shape.experts; e++) {
                if (used[static_cast<size_t>(e)]) continue;
                const Sum other = logit[static_cast<size_t>(e)];
                CHECK(chosen.value + chosen.error >= other.value - other.error);
                if (exact) CHECK(chosen.value != other.value || id < e);
            }
            sum += std::exp(chosen.value - best.value);
            worst = std::max(worst, chosen.error + best.error + FP32 * std::fabs(chosen.value - best.value));
        }
        const double tolerance = 2 * (2 * worst + FP32 * (2 * 4 + shape.slots));
        for (i32 slot = 0; slot < shape.slots; slot++) {
            const size_t s = at + static_cast<size_t>(slot);
            const double expected = std::exp(logit[static_cast<size_t>(choice.ids[s])].value - best.value) / sum;
            check_close(choice.scales[s], expected, tolerance * expected + 0x1p-126, "weight of slot " + std::to_string(slot));
        }
        const Sum gate = logit.back();
        const double expected = 1 / (1 + std::exp(-gate.value));
        // Exponential 4 · 2⁻²⁴, sum and quotient one each, and the slope of the sigmoid is at most its value.
        const double error = 2 * (gate.error + FP32 * 6) * expected + 0x1p-126;
        check_close(choice.gates[static_cast<size_t>(row)], expected, error, "gate");
    }
};

void check(Shape shape, const Kind& kind, i32 rows, bool exact) {
    Random random(static_cast<u64>(shape.experts * 1000 + shape.cols + shape.slots));
    Problem problem(shape, rows, random);
    if (exact) problem.make_small_integers(random, shape.cols > 100 ? 1 : 2);
    Choice choice(rows, shape.slots);
    problem.run(kind, choice, 0, rows);
    for (i32 r = 0; r < rows; r++) problem.check_row(choice, r, exact);
}

}  // namespace

TEST(route_exact_logits_with_ties) {
    for_all_schedules([](const Schedule&) {
        for (Shape shape : {Shape{1, 1, 8}, {2, 2, 1}, {3, 1, 9}, {16, 4, 16}, {16, 16, 24}, {31, 7, 33}, {32, 8, 40},
                            {33, 8, 64}, {60, 4, 250}, {127, 10, 31}, {256, 8, 12}, {512, 10, 20}, {512, 16, 7}}) {
            check(shape, ALONE, 2, true);
            check(shape, TOGETHER, 9, true);
        }
    });
}

TEST(route_normal_logits) {
    for_all_schedules([](const Schedule&) {
        for (Shape shape : {Shape{16, 4, 64}, {64, 8, 255}, {100, 5, 257}, {256, 8, 520}, {512, 10, 1024}}) {
            check(shape, ALONE, 2, false);
            check(shape, TOGETHER, 3, false);
        }
    });
}

TEST(route_sizes_of_real_models) {
    check({256, 8, 2048}, ALONE, 3, false);
    check({256, 8, 2048}, TOGETHER, 9, false);
    check({512, 10, 4096}, ALONE, 2, false);
    check({512, 10, 4096}, TOGETHER, 8, false);
}

TEST(route_all_logits_equal) {
    for_all_schedules([](const Schedule&) {
        Random random(5);
        Problem problem({512, 16, 8}, 1, random);
        for (i32 c = 0; c < 8; c++) problem.x.at(0, c) = bf16{static_cast<u16>(c % 2 ? 0x8000 : 0)};  // ±0 · anything
        Choice choice(1, 16);
        problem.run(ALONE, choice, 0, 1);
        for (i32 s = 0; s < 16; s++) {
            check_equal(choice.ids[static_cast<size_t>(s)], s);
            check_equal(choice.scales[static_cast<size_t>(s)], 1 / 16.0f);
        }
        check_equal(choice.gates[0], 0.5f);
    });
}

/// Products that underflow leave −0, which is 0: the lower expert wins.
TEST(route_negative_zero_is_zero) {
    constexpr i32 COLS = 256;  // one value a lane and more: no lane adds a +0
    Random random(6);
    Problem problem({4, 3, COLS}, 1, random);
    for (i32 c = 0; c < COLS; c++) {
        problem.x.at(0, c) = to_bf16(0x1p-100f);
        for (i32 e = 0; e < 5; e++) problem.router.at(e, c) = to_bf16(e == 1 ? -0x1p-100f : 0.0f);
        problem.router.at(0, c) = to_bf16(-1.0f);
    }
    Choice choice(1, 3);
    problem.run(ALONE, choice, 0, 1);
    for (i32 s = 0; s < 3; s++) check_equal(choice.ids[static_cast<size_t>(s)], s + 1);
}

TEST(route_not_a_number_loses) {
    for_all_schedules([](const Schedule&) {
        for (const Kind& kind : {ALONE, TOGETHER}) {
            Random random(7);
            Problem problem({40, 6, 16}, 3, random);
            problem.router.at(3, 5) = bf16{0x7fff};
            problem.router.at(35, 0) = bf16{0xffff};
            problem.x.poison(2);
            Choice choice(3, 6);
            problem.run(kind, choice, 0, 3);
            for (i32 r = 0; r < 2; r++)
                for (i32 s = 0; s < 6; s++) {
                    const i32 id = choice.ids[static_cast<size_t>(r * 6 + s)];
                    CHECK(id >= 0 && id < 40 && id != 3 && id != 35);
                    CHECK(choice.scales[static_cast<size_t>(r * 6 + s)] > 0);
                }
            for (i32 s = 0; s < 6; s++) check_equal(choice.ids[static_cast<size_t>(12 + s)], s);
        }
    });
}

TEST(route_infinite_logits) {
    Random random(8);
    Problem problem({8, 3, 8}, 1, random);
    for (i32 c = 0; c < 8; c++) problem.x.at(0, c) = to_bf16(1.0f);
    problem.router.at(5, 0) = to_bf16(INFINITY);
    for (i32 e = 0; e < 8; e++)
        if (e != 5 && e != 2 && e != 7) problem.router.at(e, 0) = to_bf16(-INFINITY);
    Choice choice(1, 3);
    problem.run(ALONE, choice, 0, 1);
    check_equal(choice.ids[0], 5);
    check_equal(choice.ids[1] + choice.ids[2], 9);
}

/// A row has the same bits from both kernels, whatever rows go with it, and nothing is written outside the live rows.
TEST(route_same_bits_alone_and_in_company) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 ROWS = 20, SLOTS = 5;
        Random random(9);
        Problem problem({70, SLOTS, 300}, ROWS, random);
        Choice all(ROWS, SLOTS);
        problem.run(ALONE, all, 0, ROWS);
        for (i32 r = 0; r < ROWS; r++) problem.check_row(all, r, false);
        for (i32 r : {0, 1, 2, 18, 19}) problem.x.poison(r);
        for (const Kind& kind : {ALONE, TOGETHER}) {
            for (i32 from : {3, 7}) {
                Choice some(ROWS, SLOTS);
                problem.run(kind, some, from, ROWS, 18);
                some.check_untouched_outside(from, 18);
                for (i32 i = from * SLOTS; i < 18 * SLOTS; i++) {
                    const size_t at = static_cast<size_t>(i);
                    CHECK(some.ids[at] == all.ids[at] && same_bits(some.scales[at], all.scales[at]));
                }
                for (size_t r = static_cast<size_t>(from); r < 18; r++) CHECK(same_bits(some.gates[r], all.gates[r]));
            }
        }
        Choice none(ROWS, SLOTS);
        problem.run(TOGETHER, none, 5, ROWS, 3);
        none.check_untouched_outside(0, 0);
    });
}
