// The router against the formula in fp64. With small integers all logits are exact in fp32, so that the chosen experts are
// known to the last tie; with normal values a choice is right if no expert left out is better by more than both logits may
// err. Weights: a weight is exp(l) / Σ exp over the chosen, l being a difference to the best logit that rounds once (2⁻²⁴ |l|)
// beside the errors of both logits; exponentials are good to 2 ulp (4 · 2⁻²⁴), a sum of k terms rounds k − 1 times and the
// quotient once; each of these relative errors enters numerator and sum, and the tolerance is twice their sum. The kernel that
// norms must give, bit for bit, what rms_norm and the other give one after the other. Every launch must leave the counters of
// arrivals as it found them, at zero.
#include <algorithm>

#include "products.hpp"

#include "../../cuda-kernels/rms_norm.cu"
#include "../../cuda-kernels/route.cu"

namespace {

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

    /// What blocks need to meet: logits are poison, counters zero, and zero again behind a launch.
    struct Meeting {
        DeviceArray<f32> logits;
        DeviceArray<u32> arrivals;
        DeviceArray<i32> live;

        Meeting(i32 rows, i32 experts, i32 together, i32 live_rows)
            : logits(static_cast<size_t>(rows * (experts + 1)), "logits"),
              arrivals(std::vector<u32>(static_cast<size_t>((rows + together - 1) / together), 0), "arrivals"),
              live(std::vector<i32>(1, live_rows), "live") {}
        Rows rows(i32 from, i32 to) const { return {live[0] < 0 ? 0 : live.address(), from, to}; }
        void check_zero() const {
            for (u32 left : arrivals.span()) check_equal(left, 0u, "arrivals");
        }
    };

    /// Routes rows that are normed already.
    void run(const Choice& choice, i32 from, i32 to, i32 live_rows = -1) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_router(router.values, "router");
        const Meeting meeting(to - from, shape.experts, 32, live_rows);
        const RouteNormedArgs args = {choice.ids.address(), choice.scales.address(), choice.gates.address(), device_x.address(),
                                      device_router.address(), meeting.logits.address(), meeting.arrivals.address(),
                                      meeting.rows(from, to), x.stride, router.stride, rounded_up(shape.cols, 8), shape.experts,
                                      shape.slots, 0};
        launch(KERNEL_OF(route_normed), {(shape.experts + 16) / 16, (to - from + 31) / 32}, DOT_THREADS,
               sizeof(RouteShared<ROUTE_TILES>), args);
        meeting.check_zero();
    }

    /// Norms and routes; the normed rows go to `normed`.
    void run_with_norm(const Choice& choice, const std::vector<f32>& norm, TestMatrix<bf16>& normed, i32 from, i32 to,
                       i32 live_rows = -1) const {
        DeviceArray<bf16> device_x(x.values, "x"), device_router(router.values, "router");
        DeviceArray<f32> device_norm(norm, "norm");
        const Meeting meeting(to - from, shape.experts, STAGED_ROWS, live_rows);
        const RouteArgs args = {choice.ids.address(), choice.scales.address(), choice.gates.address(), device_x.address(),
                                device_norm.address(), normed.address(), device_router.address(), meeting.logits.address(),
                                meeting.arrivals.address(), meeting.rows(from, to), x.stride, normed.stride(), router.stride,
                                shape.cols, shape.experts, shape.slots, 1e-6f, 0};
        const i32 rows = std::min(to - from, STAGED_ROWS);
        launch(KERNEL_OF(route), {(shape.experts + 16) / 16, (to - from + STAGED_ROWS - 1) / STAGED_ROWS}, DOT_THREADS,
               static_cast<i64>(sizeof(RouteStaged)) + 2 * rows * staged_pitch(shape.cols), args);
        meeting.check_zero();
    }

    /// The same problem behind the norm, by the norm's own kernel.
    Problem behind_norm(const std::vector<f32>& norm) const {
        DeviceArray<bf16> device_x(x.values, "x"), dst(x.values, "dst");
        DeviceArray<f32> device_norm(norm, "norm");
        launch(KERNEL_OF(rms_norm), {x.rows}, 256, sizeof(RmsNormShared),
               RmsNormArgs{dst.address(), device_x.address(), device_norm.address(), {0, 0, x.rows}, shape.cols, x.stride, x.stride,
                           1e-6f});
        Problem behind = *this;
        behind.x.values = dst.values();
        return behind;
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

void check(Shape shape, i32 rows, bool exact) {
    Random random(static_cast<u64>(shape.experts * 1000 + shape.cols + shape.slots));
    Problem problem(shape, rows, random);
    if (exact) problem.make_small_integers(random, shape.cols > 100 ? 1 : 2);
    Choice choice(rows, shape.slots);
    problem.run(choice, 0, rows);
    for (i32 r = 0; r < rows; r++) problem.check_row(choice, r, exact);
}

std::vector<f32> random_norm(Random& random, i32 cols) {
    std::vector<f32> norm;
    for (i32 c = 0; c < cols; c++) norm.push_back(static_cast<f32>(0.3 * random.normal()));
    return norm;
}

void check_same(const Choice& a, const Choice& b, i32 from, i32 to, i32 slots) {
    for (size_t i = static_cast<size_t>(from * slots); i < static_cast<size_t>(to * slots); i++) {
        check_equal(a.ids[i], b.ids[i], "id " + std::to_string(i));
        CHECK(same_bits(a.scales[i], b.scales[i]));
    }
    for (size_t r = static_cast<size_t>(from); r < static_cast<size_t>(to); r++) CHECK(same_bits(a.gates[r], b.gates[r]));
}

}  // namespace

TEST(route_exact_logits_with_ties) {
    for_all_schedules([](const Schedule&) {
        for (Shape shape : {Shape{1, 1, 8}, {2, 2, 1}, {3, 1, 9}, {15, 4, 16}, {16, 16, 24}, {31, 7, 33}, {32, 8, 40},
                            {33, 8, 64}, {60, 4, 250}, {127, 10, 31}, {256, 8, 12}, {512, 10, 20}, {512, 16, 7}}) {
            check(shape, 2, true);
            if (shape.experts < 100) check(shape, 35, true);
        }
    });
}

TEST(route_normal_logits) {
    for_all_schedules([](const Schedule&) {
        for (Shape shape : {Shape{16, 4, 64}, {64, 8, 255}, {100, 5, 257}, {256, 8, 520}, {512, 10, 1024}}) check(shape, 3, false);
    });
}

TEST(route_sizes_of_real_models) {
    check({256, 8, 2048}, 9, false);
    check({512, 10, 4096}, 2, false);
}

/// Norm and router in one launch, against one after the other.
TEST(route_with_norm_is_norm_and_route) {
    for_all_schedules([](const Schedule& schedule) {
        for (Shape shape : {Shape{1, 1, 1}, {16, 4, 9}, {40, 8, 64}, {33, 5, 250}, {70, 10, 1032}, {512, 16, 2056}}) {
            if (shape.cols > 2000 && schedule.settings.copies != brantas::emulator::Copies::EAGER) continue;
            for (i32 rows : {1, 4, 7}) {
                Random random(static_cast<u64>(shape.cols * 10 + rows));
                Problem problem(shape, rows + 3, random);
                const std::vector<f32> norm = random_norm(random, shape.cols);
                const Problem behind = problem.behind_norm(norm);
                Choice expected(rows + 3, shape.slots), actual(rows + 3, shape.slots);
                behind.run(expected, 0, rows + 3);
                for (i32 r : {0, rows + 1, rows + 2}) problem.x.poison(r);
                TestMatrix<bf16> normed(rows + 3, shape.cols, 1, "normed");
                problem.run_with_norm(actual, norm, normed, 1, rows + 2, rows + 1);
                check_same(actual, expected, 1, rows + 1, shape.slots);
                actual.check_untouched_outside(1, rows + 1);
                normed.check_untouched_outside(1, rows + 1);
                for (i32 r = 1; r < rows + 1; r++) {
                    behind.check_row(actual, r, false);
                    for (i32 c = 0; c < shape.cols; c++) check_equal(normed.at(r, c).bits, behind.x.at(r, c).bits, "normed");
                }
            }
        }
    });
}

TEST(route_all_logits_equal) {
    for_all_schedules([](const Schedule&) {
        Random random(5);
        Problem problem({512, 16, 8}, 1, random);
        for (i32 c = 0; c < 8; c++) problem.x.at(0, c) = bf16{static_cast<u16>(c % 2 ? 0x8000 : 0)};  // ±0 · anything
        Choice choice(1, 16);
        problem.run(choice, 0, 1);
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
    problem.run(choice, 0, 1);
    for (i32 s = 0; s < 3; s++) check_equal(choice.ids[static_cast<size_t>(s)], s + 1);
}

TEST(route_not_a_number_loses) {
    for_all_schedules([](const Schedule&) {
        Random random(7);
        Problem problem({40, 6, 16}, 3, random);
        problem.router.at(3, 5) = bf16{0x7fff};
        problem.router.at(35, 0) = bf16{0xffff};
        problem.x.poison(2);
        Choice choice(3, 6);
        problem.run(choice, 0, 3);
        for (size_t r = 0; r < 2; r++)
            for (size_t s = 6 * r; s < 6 * r + 6; s++) {
                const i32 id = choice.ids[s];
                CHECK(id >= 0 && id < 40 && id != 3 && id != 35);
                CHECK(choice.scales[s] > 0);
            }
        for (i32 s = 0; s < 6; s++) check_equal(choice.ids[static_cast<size_t>(12 + s)], s);
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
    problem.run(choice, 0, 1);
    check_equal(choice.ids[0], 5);
    check_equal(choice.ids[1] + choice.ids[2], 9);
}

/// A row has the same bits whatever rows go with it, and nothing is written outside the live rows.
TEST(route_same_bits_alone_and_in_company) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 ROWS = 45, SLOTS = 5;
        Random random(9);
        Problem problem({70, SLOTS, 300}, ROWS, random);
        Choice all(ROWS, SLOTS);
        problem.run(all, 0, ROWS);
        for (i32 r = 0; r < ROWS; r++) problem.check_row(all, r, false);
        for (i32 r : {0, 1, 2, 43, 44}) problem.x.poison(r);
        for (i32 from : {3, 9, 42}) {
            Choice some(ROWS, SLOTS);
            problem.run(some, from, ROWS, 43);
            some.check_untouched_outside(from, 43);
            check_same(some, all, from, 43, SLOTS);
        }
        Choice none(ROWS, SLOTS);
        problem.run(none, 5, ROWS, 3);
        none.check_untouched_outside(0, 0);
    });
}
