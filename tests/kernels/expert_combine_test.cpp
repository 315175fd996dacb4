// The weighted sum against the formula in fp64. Slot after slot rounds the partial sum once, at most 2⁻²⁴ of the sum of all
// magnitudes each time, and so does the addition to the residual; twice that many roundings are allowed before the one to
// bf16. With powers of two as weights and small integers as outputs every sum is exact, so the result is known to the bit.
#include "products.hpp"

#include "../../cuda-kernels/expert_combine.cu"

namespace {

struct Problem {
    i32 from, to, slots, cols;
    HostMatrix residual;
    std::vector<f32> scales, gates;
    TestMatrix<f32> out;

    Problem(i32 first, i32 end, i32 slot_count, i32 col_count, Random& random)
        : from(first), to(end), slots(slot_count), cols(col_count), residual(end + 2, col_count, random, 2),
          out((end - first) * (slot_count + 1), col_count, 1, "out") {
        for (i32 i = 0; i < (end + 2) * slots; i++) scales.push_back(static_cast<f32>(random.unit()));
        for (i32 i = 0; i < end + 2; i++) gates.push_back(static_cast<f32>(random.unit()));
        out.randomize(random);
    }
    f32 scale(i32 row, i32 slot) const {
        return slot == slots ? gates[static_cast<size_t>(row)] : scales[static_cast<size_t>(row * slots + slot)];
    }
    f32 output(i32 row, i32 slot, i32 col) const {
        return out.at(slot == slots ? (to - from) * slots + row - from : (row - from) * slots + slot, col);
    }

    /// Rows [from, live) of dst become the sums.
    void check(i32 live_rows, bool exact) { check(live_rows, exact, out.address(), out.stride()); }

    /// The same with the outputs elsewhere.
    void check(i32 live_rows, bool exact, u64 out_address, i32 out_stride) {
        TestMatrix<bf16> dst(residual.rows, cols, 1, "dst");
        for (i32 r = from; r < to; r++)
            for (i32 c = 0; c < cols; c++) dst.at(r, c) = residual.at(r, c);
        DeviceArray<f32> device_scales(scales, "scales"), device_gates(gates, "gates");
        DeviceArray<i32> live(1, "live");
        live[0] = live_rows;
        const ExpertCombineArgs args = {dst.address(), out_address, device_scales.address(), device_gates.address(),
                                        {live_rows < 0 ? 0 : live.address(), from, to}, dst.stride(), out_stride, slots,
                                        cols};
        launch(KERNEL_OF(expert_combine), {to - from, (cols + 1023) / 1024}, COMBINE_THREADS, 0, args);
        for (i32 r = from; r < to; r++)
            for (i32 c = 0; c < cols; c++) {
                if (live_rows >= 0 && r >= live_rows) CHECK(same_bits(dst.at(r, c), residual.at(r, c)));
                else check_value(dst.at(r, c), r, c, exact);
            }
        dst.check_untouched_outside(from, to);
    }

private:
    void check_value(bf16 actual, i32 row, i32 col, bool exact) const {
        double sum = as_double(residual.at(row, col)), magnitude = std::fabs(sum);
        for (i32 s = 0; s <= slots; s++) {
            const double term = as_double(scale(row, s)) * as_double(output(row, s, col));
            sum += term;
            magnitude += std::fabs(term);
        }
        const double error = exact ? 0 : 2 * FP32 * (slots + 2) * magnitude;
        check_rounded(actual, sum, error, "row " + std::to_string(row) + ", column " + std::to_string(col));
    }
};

}  // namespace

TEST(expert_combine_every_width) {
    for_all_schedules([](const Schedule&) {
        for (i32 cols : {1, 4, 7, 8, 9, 12, 100, 1020, 1024, 1032, 2049}) {
            Random random(static_cast<u64>(cols));
            Problem(1, 4, 3, cols, random).check(-1, false);
        }
    });
}

TEST(expert_combine_slots_and_exact_sums) {
    for_all_schedules([](const Schedule&) {
        for (i32 slots : {1, 2, 8, 10, 16}) {
            Random random(static_cast<u64>(slots));
            Problem problem(0, 3, slots, 40, random);
            problem.check(-1, false);
            for (f32& s : problem.scales) s = std::exp2(-static_cast<f32>(random.integer(0, 6)));
            for (f32& g : problem.gates) g = std::exp2(-static_cast<f32>(random.integer(0, 6)));
            for (i32 r = 0; r < problem.out.rows(); r++)
                for (i32 c = 0; c < 40; c++) problem.out.at(r, c) = static_cast<f32>(random.integer(-50, 50));
            for (bf16& v : problem.residual.values) v = to_bf16(static_cast<f32>(random.integer(-100, 100)));
            problem.check(-1, true);
        }
    });
}

TEST(expert_combine_live_rows_only) {
    for_all_schedules([](const Schedule&) {
        Random random(3);
        Problem problem(2, 9, 4, 72, random);
        for (i32 r = 5; r < 9; r++)
            for (i32 s = 0; s < 4; s++) problem.out.poison_row((r - 2) * 4 + s);
        for (i32 r = 5; r < 9; r++) problem.out.poison_row(7 * 4 + r - 2);
        problem.check(5, false);
        problem.check(2, false);
    });
}

/// Rows of 2²⁹ elements: from the fifth assignment on they begin at an index that fits no 32 bits; only what is touched costs
/// memory.
TEST(expert_combine_beyond_32_bits) {
    constexpr i32 FAR_STRIDE = 1 << 29;
    Random random(4);
    Problem problem(0, 1, 5, 24, random);
    DeviceArray<f32> out(size_t{5} * FAR_STRIDE + 24, "out");
    for (i32 r = 0; r < problem.out.rows(); r++)
        for (i32 c = 0; c < 24; c++) out[static_cast<size_t>(r) * FAR_STRIDE + static_cast<size_t>(c)] = problem.out.at(r, c);
    problem.check(-1, false, out.address(), FAR_STRIDE);
}
