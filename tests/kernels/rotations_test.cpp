// Cosine and sine against the C library in fp64, of the same fp32 angle. The fp64 reduction and series err by less than
// 0.05 · 2⁻²⁴ relative, the rounding to fp32 by 2⁻²⁴: nothing else happens to an angle, so 1.05 · 2⁻²⁴ is a hard bound for it.
// In the table the product with the scale may round once more; the sum of both is taken twice.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/rotations.cu"

namespace {

double angle_bound(double value) {
    return 1.05 * FP32 * std::abs(value);
}

double table_bound(double value) {
    return 2 * 2.05 * FP32 * std::abs(value);
}

struct Rope {
    explicit Rope(i32 pairs, double base = 1e7)
        : frequencies(static_cast<size_t>(pairs), "frequencies"), axis(static_cast<size_t>(pairs), "axis") {
        for (i32 j = 0; j < pairs; j++) {
            frequencies[static_cast<size_t>(j)] = static_cast<f32>(std::pow(base, -static_cast<double>(j) / pairs));
            axis[static_cast<size_t>(j)] = j % 3;
        }
    }
    i32 pairs() const { return static_cast<i32>(axis.size()); }
    DeviceArray<f32> frequencies;
    DeviceArray<i32> axis;
};

void run(const TestMatrix<f32>& dst, const Rope& rope, StepBlock& step, Rows rows, f32 scale) {
    launch(KERNEL_OF(rotations), {((rows.to - rows.from) * rope.pairs() + 127) / 128}, 128, 0,
           RotationsArgs{dst.address(), rope.frequencies.address(), rope.axis.address(), step.address(), rows, rope.pairs(),
                         dst.stride(), scale, 0});
}

void check_row(const TestMatrix<f32>& dst, i32 row, const Rope& rope, StepBlock& step, f32 scale) {
    for (i32 j = 0; j < rope.pairs(); j++) {
        size_t at = static_cast<size_t>(j);
        f32 angle = static_cast<f32>(step.position(rope.axis[at], row)) * rope.frequencies[at];
        double c = scale * std::cos(static_cast<double>(angle)), s = scale * std::sin(static_cast<double>(angle));
        std::string where = " of row " + std::to_string(row) + ", pair " + std::to_string(j);
        check_close(dst.at(row, j), c, table_bound(c), "cosine" + where);
        check_close(dst.at(row, rope.pairs() + j), s, table_bound(s), "sine" + where);
    }
}

void set_positions(StepBlock& step, u64 seed) {
    Random random(seed);
    std::vector<i32> firsts = {0, 1, 2, 262143, 1010000, 1048575, (1 << 24) + 1};
    for (i32 r = 0; r < step.rows(); r++) {
        for (i32 axis = 0; axis < 3; axis++) {
            size_t at = static_cast<size_t>(r + axis);
            step.position(axis, r) = at < firsts.size() ? firsts[at] : static_cast<i32>(random.integer(0, 1 << 20));
        }
    }
}

void check_angle(f32 angle) {
    Pair turn = cosine_sine(angle);
    double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
    bool close = std::abs(as_double(turn.x) - c) <= angle_bound(c) && std::abs(as_double(turn.y) - s) <= angle_bound(s);
    if (close) return;  // millions of angles: a text only for the one that fails
    check_close(turn.x, c, angle_bound(c), "cosine of " + std::to_string(angle));
    check_close(turn.y, s, angle_bound(s), "sine of " + std::to_string(angle));
}

}  // namespace

TEST(cosine_and_sine_of_any_angle) {
    Random random;
    for (i32 i = 0; i < 400000; i++) {
        f32 angle = static_cast<f32>(std::exp(random.uniform(-20, std::log(3e7))));
        check_angle(angle);
        check_angle(-angle);
    }
    for (f32 angle : {0.0f, 1e-30f, 3e7f, 2.0e8f}) check_angle(angle);
}

TEST(cosine_and_sine_next_to_quarter_turns) {
    // Where sine or cosine nearly vanishes, all of an inexact reduction's error shows.
    for (i32 k = 1; k < 1000000; k++) {
        f32 angle = static_cast<f32>(k * 1.5707963267948966);
        check_angle(angle);
        check_angle(std::nextafter(angle, 0.0f));
    }
}

TEST(rotations_of_every_number_of_pairs) {
    for_all_schedules([](const Schedule&) {
        for (i32 pairs : {1, 3, 29, 32, 64, 127, 128}) {
            for (i32 rows : {1, 4, 5, 9}) {
                Rope rope(pairs);
                StepBlock step(std::vector<TestSequence>{{rows}});
                set_positions(step, static_cast<u64>(pairs * rows));
                TestMatrix<f32> dst(rows, 2 * pairs, 1, "dst");
                run(dst, rope, step, {0, 0, rows}, 1);
                for (i32 r = 0; r < rows; r++) check_row(dst, r, rope, step, 1);
                dst.check_untouched_outside(0, rows);
            }
        }
    });
}

TEST(rotations_are_scaled_and_follow_live_rows) {
    for_all_schedules([](const Schedule&) {
        Rope rope(32, 1e6);
        StepBlock step(std::vector<TestSequence>{{12}});
        set_positions(step, 7);
        step.step().outputs = 9;
        TestMatrix<f32> dst(12, 64, 0, "dst");
        run(dst, rope, step, step.live_rows(step.step().outputs, 3, 10), 1.1386294f);
        for (i32 r = 3; r < 9; r++) check_row(dst, r, rope, step, 1.1386294f);
        dst.check_untouched_outside(3, 9);
    });
}
