// The recurrent step against fp64, in every regime of gates. The kernel's errors are those of fp32 sums of 128 terms and of a
// few products: relative to the largest term a few times 2⁻²⁴·log₂ 128, so that 1e-6 of a state's or output's own norm is
// twice what is expected, and an output is what rounding to bf16 makes of a value that near.
#include "harness.hpp"

#include "../../cuda-kernels/delta_step.cu"

#include "delta_layer.hpp"

namespace {

constexpr double TOLERANCE = 1e-6;

DeltaStepArgs step_args(DeltaDevice& device, Rows rows) {
    const DeltaCase& is = device.in.is;
    return {device.step.address(), device.dst.address(), device.convolved.address(), device.projected.address(),
            device.log_rate.address(), device.bias.address(), device.state.address(), rows, is.key_heads, is.value_heads(),
            device.dst.stride(), device.convolved.stride(), device.projected.stride(), 0};
}

void run(DeltaDevice& device, Rows rows) {
    launch(KERNEL_OF(delta_step), {8, device.in.is.value_heads(), rows.to - rows.from}, STEP_THREADS, 0, step_args(device, rows));
}

void check_outputs(const DeltaDevice& device, i32 from, i32 to) {
    const DeltaInputs& in = device.in;
    for (i32 r = from; r < to; r++) {
        for (i32 h = 0; h < in.is.value_heads(); h++) {
            double norm = 0;
            for (size_t i = 0; i < DELTA_DIM; i++) norm += std::pow(in.expected[in.out_at(r, h) + i], 2);
            // A single value may be as far off as the norm of all allows.
            for (i32 i = 0; i < DELTA_DIM; i++)
                check_rounded(device.dst.at(r, h * DELTA_DIM + i), in.expected[in.out_at(r, h) + static_cast<size_t>(i)],
                              TOLERANCE * std::sqrt(norm), "row " + std::to_string(r) + ", value " + std::to_string(i));
        }
    }
    device.dst.check_untouched_outside(from, to);
}

const std::vector<TestSequence> SINGLES = {{1, 7, 3}, {1, 0, -1}, {1, 5, 0}, {1, 9, 5}, {1, 1, 2}};

}  // namespace

TEST(delta_step_for_every_group) {
    for (i32 group : {1, 2, 3, 4, 8}) {
        DeltaInputs in({.key_heads = group >= 4 ? 1 : 2, .group = group, .stream = static_cast<u64>(group)}, SINGLES, 7);
        for_all_schedules([&](const Schedule&) {
            DeltaDevice device(in);
            run(device, {0, 0, in.rows});
            check_outputs(device, 0, in.rows);
            device.check_states(TOLERANCE);
        });
    }
}

TEST(delta_step_in_every_regime_of_gates) {
    std::vector<DeltaCase> cases;
    for (Gates gates : {Gates::ONE, Gates::FAST, Gates::SLOW, Gates::STRONG, Gates::MIXED}) cases.push_back({.gates = gates});
    cases.push_back({.beta_logit = -200});
    cases.push_back({.beta_logit = 200});
    cases.push_back({.value_scale = 1e4});
    cases.push_back({.value_scale = 1e-4});
    for (DeltaCase& wish : cases) {
        wish.group = 2;
        wish.stream = 10;
        DeltaInputs in(wish, SINGLES, 7);
        DeltaDevice device(in);
        run(device, {0, 0, in.rows});
        check_outputs(device, 0, in.rows);
        device.check_states(TOLERANCE);
    }
}

TEST(delta_step_gives_a_row_the_same_bits_alone_and_in_company) {
    DeltaInputs in({.group = 2, .stream = 11}, SINGLES, 7);
    for_all_schedules([&](const Schedule&) {
        DeltaDevice all(in), some(in);
        run(all, {0, 0, in.rows});
        for (i32 r : {0, 3, 4}) some.convolved.poison_row(r);
        const i32 live = 3;
        run(some, {reinterpret_cast<u64>(&live), 1, in.rows});
        for (i32 r = 1; r < 3; r++)
            for (i32 c = 0; c < in.is.value_width(); c++) check_equal(some.dst.at(r, c).bits, all.dst.at(r, c).bits);
        some.dst.check_untouched_outside(1, 3);
        for (size_t i = 0; i < all.slot_size(); i++) {
            size_t at = in.state_at(0, 0) + i;
            CHECK(float_bits(some.state[at]) == float_bits(all.state[at]));
            CHECK(some.state[in.state_at(3, 0) + i] == in.state[in.state_at(3, 0) + i]);
        }
    });
}

TEST(delta_step_clears_what_decayed_beyond_use) {
    DeltaInputs in({.gates = Gates::ONE, .beta_logit = -200, .stream = 12}, {{1, 0, 0}}, 1);
    DeltaDevice device(in);
    for (size_t i = 0; i < DELTA_STATE; i++) device.state[i] = i % 2 == 0 ? 0.9e-30f : 1.1e-30f;
    run(device, {0, 0, 1});
    for (size_t i = 0; i < DELTA_STATE; i++) check_equal(device.state[i], i % 2 == 0 ? 0.0f : 1.1e-30f);
}

TEST(delta_step_after_step_keeps_its_precision) {
    constexpr i32 TOKENS = 200;
    for (Gates gates : {Gates::USUAL, Gates::ONE, Gates::SLOW}) {
        DeltaInputs in({.gates = gates, .stream = 13}, {{TOKENS, 0, 0}}, 1);
        DeltaDevice device(in);
        StepBlock single({{1, 0, 0}});
        DeltaStepArgs args = step_args(device, {0, 0, 1});
        for (u64 t = 0; t < TOKENS; t++) {
            DeltaStepArgs now = args;
            now.step = single.address();
            now.dst += t * 2 * static_cast<u64>(args.dst_stride);
            now.convolved += t * 2 * static_cast<u64>(args.convolved_stride);
            now.projected += t * 2 * static_cast<u64>(args.projected_stride);
            launch(KERNEL_OF(delta_step), {8, 1, 1}, STEP_THREADS, 0, now);
        }
        check_outputs(device, 0, TOKENS);
        device.check_states(TOLERANCE);
    }
}
