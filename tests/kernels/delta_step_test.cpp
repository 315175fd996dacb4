// The recurrent step against fp64, in every regime of gates. Its inputs are convolved by convolve_chunk first, and the
// recurrence runs over what that gives: a value of q, k or v that the step rounds otherwise is off by 2⁻⁸ of itself and fails.
// The kernel's errors are those of fp32 sums of 128 terms and of a few products: relative to the largest term a few times
// 2⁻²⁴·log₂ 128, so that 1e-6 of a state's or output's own norm is twice what is expected, and an output is what rounding to
// bf16 makes of a value that near.
#include "harness.hpp"

#include "../../cuda-kernels/delta_step.cu"

#include "convolved_layer.hpp"

namespace {

constexpr double TOLERANCE = 1e-6;

/// A copy of it on the device; what only other kernels read stays poison.
struct Device : DeltaDevice {
    const ConvolvedLayer& layer;
    DeviceArray<f32> weight;
    DeviceArray<bf16> window;

    explicit Device(const ConvolvedLayer& of) : DeltaDevice(of.in), layer(of), weight(of.weight, "weight"), window(of.window, "window") {
        for (i32 r = 0; r < in.rows; r++)
            for (i32 c = 0; c < in.is.channels(); c++)
                projected.at(r, c) = of.raw[static_cast<size_t>(r * in.is.channels() + c)];
    }

    DeltaStepArgs args(Rows rows) const {
        return {step.address(), dst.address(), projected.address(), weight.address(), window.address(), log_rate.address(),
                bias.address(), state.address(), rows, in.is.key_heads, in.is.value_heads(), dst.stride(), projected.stride()};
    }

    void run(Rows rows) {
        launch(KERNEL_OF(delta_step), {8, in.is.value_heads(), rows.to - rows.from}, STEP_THREADS, sizeof(DeltaStepShared), args(rows));
    }

    /// The windows of the sequences [from, to) have their new input, and nothing else changed.
    void check_windows(i32 from, i32 to) const {
        std::vector<bf16> expected = layer.window;
        for (i32 s = from; s < to; s++) {
            const TestSequence& sequence = in.sequences[static_cast<size_t>(s)];
            for (i32 c = 0; c < in.is.channels() && sequence.slot >= 0; c++)
                expected[layer.window_at(sequence.slot, sequence.past, c)] = layer.raw[static_cast<size_t>(s * in.is.channels() + c)];
        }
        for (size_t i = 0; i < expected.size(); i++) check_equal(window[i].bits, expected[i].bits, "window " + std::to_string(i));
    }
};

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

// Every place of the window is written by one of them.
const std::vector<TestSequence> SINGLES = {{1, 7, 3}, {1, 2, -1}, {1, 5, 0}, {1, 9, 5}, {1, 0, 2}, {1, 1002, 1}};

}  // namespace

TEST(delta_step_for_every_group) {
    for (i32 group : {1, 2, 3, 4, 8}) {
        ConvolvedLayer layer({.key_heads = group >= 4 ? 1 : 2, .group = group, .stream = static_cast<u64>(group)}, SINGLES, 7);
        for_all_schedules([&](const Schedule&) {
            Device device(layer);
            device.run({0, 0, layer.in.rows});
            check_outputs(device, 0, layer.in.rows);
            device.check_windows(0, layer.in.rows);
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
        ConvolvedLayer layer(wish, SINGLES, 7);
        Device device(layer);
        device.run({0, 0, layer.in.rows});
        check_outputs(device, 0, layer.in.rows);
        device.check_states(TOLERANCE);
    }
}

TEST(delta_step_gives_a_row_the_same_bits_alone_and_in_company) {
    ConvolvedLayer layer({.group = 2, .stream = 11}, SINGLES, 7);
    const DeltaInputs& in = layer.in;
    for_all_schedules([&](const Schedule&) {
        Device all(layer), some(layer);
        all.run({0, 0, in.rows});
        all.check_windows(0, in.rows);
        for (i32 r : {0, 3, 4, 5}) some.projected.poison_row(r);
        some.step.step().outputs = 3;
        some.run(some.step.live_rows(some.step.step().outputs, 1, in.rows));
        for (i32 r = 1; r < 3; r++)
            for (i32 c = 0; c < in.is.value_width(); c++) check_equal(some.dst.at(r, c).bits, all.dst.at(r, c).bits);
        some.dst.check_untouched_outside(1, 3);
        some.check_windows(1, 3);
        for (size_t i = 0; i < all.slot_size(); i++) {
            size_t at = in.state_at(0, 0) + i;
            CHECK(float_bits(some.state[at]) == float_bits(all.state[at]));
            CHECK(some.state[in.state_at(3, 0) + i] == in.state[in.state_at(3, 0) + i]);
        }
    });
}

/// A fresh slot is zeros in window and state, like no slot at all.
TEST(delta_step_of_a_fresh_sequence_equals_one_without_a_slot) {
    ConvolvedLayer layer({.group = 2, .stream = 14}, {{1, 0, 1}, {1, 0, -1}}, 2);
    for_all_schedules([&](const Schedule&) {
        Device device(layer);
        for (i32 c = 0; c < device.projected.cols(); c++) device.projected.at(1, c) = device.projected.at(0, c);
        for (bf16& x : device.window.span()) x = {0};
        for (f32& x : device.state.span()) x = 0;
        device.run({0, 0, 2});
        for (i32 c = 0; c < layer.in.is.value_width(); c++) check_equal(device.dst.at(0, c).bits, device.dst.at(1, c).bits);
    });
}

TEST(delta_step_clears_what_decayed_beyond_use) {
    ConvolvedLayer layer({.gates = Gates::ONE, .beta_logit = -200, .stream = 12}, {{1, 0, 0}}, 1);
    Device device(layer);
    for (size_t i = 0; i < DELTA_STATE; i++) device.state[i] = i % 2 == 0 ? 0.9e-30f : 1.1e-30f;
    device.run({0, 0, 1});
    for (size_t i = 0; i < DELTA_STATE; i++) check_equal(device.state[i], i % 2 == 0 ? 0.0f : 1.1e-30f);
}

/// Token after token, the window going round many times.
TEST(delta_step_after_step_keeps_its_precision) {
    constexpr i32 TOKENS = 200;
    for (Gates gates : {Gates::USUAL, Gates::ONE, Gates::SLOW}) {
        ConvolvedLayer layer({.gates = gates, .stream = 13}, {{TOKENS, 0, 0}}, 1);
        Device device(layer);
        DeltaStepArgs args = device.args({0, 0, 1});
        for (i32 t = 0; t < TOKENS; t++) {
            StepBlock single({{1, t, 0}});
            DeltaStepArgs now = args;
            now.step = single.address();
            now.dst += 2 * static_cast<u64>(t * args.dst_stride);
            now.projected += 2 * static_cast<u64>(t * args.projected_stride);
            launch(KERNEL_OF(delta_step), {8, 1, 1}, STEP_THREADS, sizeof(DeltaStepShared), now);
        }
        check_outputs(device, 0, TOKENS);
        device.check_states(TOLERANCE);
        for (i32 t = TOKENS - WINDOW_PLACES; t < TOKENS; t++)
            for (i32 c = 0; c < layer.in.is.channels(); c++)
                check_equal(device.window[layer.window_at(0, t, c)].bits, layer.raw[static_cast<size_t>(t * layer.in.is.channels() + c)].bits);
    }
}

/// A slot of one head has 2¹⁴ elements of state, so from slot 2¹⁷ on no index fits 32 bits; only what is touched costs memory.
TEST(delta_step_of_a_slot_beyond_32_bits) {
    constexpr size_t FAR = 1 << 17;
    ConvolvedLayer layer({.stream = 15}, {{1, 7, 0}}, 1);
    Device near(layer), far(layer);
    near.run({0, 0, 1});
    DeviceArray<f32> state((FAR + 1) * DELTA_STATE, "state");
    DeviceArray<bf16> window((FAR + 1) * layer.window.size(), "window");
    for (size_t i = 0; i < DELTA_STATE; i++) state[FAR * DELTA_STATE + i] = layer.in.state[i];
    for (size_t i = 0; i < layer.window.size(); i++) window[FAR * layer.window.size() + i] = layer.window[i];
    reinterpret_cast<i32*>(far.step.address())[far.step.step().at_slot / 4] = static_cast<i32>(FAR);
    DeltaStepArgs args = far.args({0, 0, 1});
    args.state = state.address();
    args.window = window.address();
    launch(KERNEL_OF(delta_step), {8, 1, 1}, STEP_THREADS, sizeof(DeltaStepShared), args);
    check_outputs(far, 0, 1);
    for (size_t i = 0; i < DELTA_STATE; i++) CHECK(float_bits(state[FAR * DELTA_STATE + i]) == float_bits(near.state[i]));
    for (size_t i = 0; i < layer.window.size(); i++) CHECK(window[FAR * layer.window.size() + i].bits == near.window[i].bits);
}
