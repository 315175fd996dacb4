// The chunked delta rule, both halves, against the recurrence in fp64. With fp16 operands each product rounds state, W, U and
// the two triangular matrices, 2⁻¹² of a value at most and half of it in the mean square; simulated with these roundings the
// relative error of outputs and states was 3e-4 to 4.5e-4 for gates of all sizes, so that 1e-3 is about twice what is
// expected. `exact` leaves 2⁻¹⁸ of every operand: 5e-6, of which 2e-5 are allowed. Rounding outputs to bf16 costs 1e-3 by itself,
// hence outputs are compared before it, through a store of the test's own, and then bit by bit behind it.
#include "harness.hpp"

#include "../../cuda-kernels/delta_prepare.cu"
#include "../../cuda-kernels/delta_scan.cu"
#include "../../cuda-kernels/delta_step.cu"

#include "convolved_layer.hpp"

namespace {

/// Outputs as they are before rounding: dst is f32.
struct WideOutputs {
    template <class F>
    DEVICE void operator()(const Scan<F>& scan, i32 index, const f32 (&o)[F::C / 8][4]) const {
        i32 column = scan.place.head * DELTA_DIM + scan.place.value + 16 * warp_id() + (lane_id() >> 2);
        for (i32 n = 0; n < F::C / 2; n++) {
            i32 token = index * F::C + n / 4 * 8 + 2 * (lane_id() & 3) + n % 2;
            i64 at = (scan.place.row + token) * scan.args.dst_stride + column + n % 4 / 2 * 8;
            if (token < scan.place.rows) reinterpret_cast<f32*>(scan.args.dst)[at] = o[n / 4][n % 4];
        }
    }
};

}  // namespace

KERNEL(wide_scan_c64, DeltaScanArgs, 128) {
    scan_sequence<Scan64Warps4, WideOutputs>(args);
}
KERNEL(wide_scan_c32, DeltaScanArgs, 128) {
    scan_sequence<Scan32Warps4, WideOutputs>(args);
}
KERNEL(wide_scan_exact, DeltaScanArgs, 128) {
    scan_sequence<ScanExact, WideOutputs>(args);
}

namespace {

using brantas::emulator::Entry;

/// A way to run both halves.
struct Path {
    i32 c, warps, parts;
    const Entry* prepare;
    const Entry* scan;
    const Entry* wide;
    size_t prepare_shared, scan_shared;
    double tolerance;

    size_t chunk_bytes() const {
        if (parts == 2) return sizeof(DeltaChunk<32, 2>);
        return c == 64 ? sizeof(DeltaChunk<64, 1>) : sizeof(DeltaChunk<32, 1>);
    }
};

template <class F>
Path path_of(const Entry& prepare, const Entry& scan, const Entry& wide) {
    return {F::C, F::WARPS, F::PARTS, &prepare, &scan, &wide, sizeof(PrepareShared<F::C>), sizeof(ScanShared<F>), F::EXACT ? 2e-5 : 1e-3};
}

const Path PATH64 = path_of<Scan64Warps4>(KERNEL_OF(delta_prepare_c64), KERNEL_OF(delta_scan_c64_w4), KERNEL_OF(wide_scan_c64));
const Path PATH32 = path_of<Scan32Warps4>(KERNEL_OF(delta_prepare_c32), KERNEL_OF(delta_scan_c32_w4), KERNEL_OF(wide_scan_c32));
const Path EXACT = path_of<ScanExact>(KERNEL_OF(delta_prepare_exact), KERNEL_OF(delta_scan_exact), KERNEL_OF(wide_scan_exact));

struct Run {
    Run(const DeltaInputs& in, const Path& way)
        : path(way), device(in), wide(in.rows + DeltaDevice::SPARE_ROWS, in.is.value_width(), 1, "wide"),
          scaled(in.rows + DeltaDevice::SPARE_ROWS, 2 * in.is.key_width(), 0, "scaled"),
          bound((in.rows + static_cast<i32>(in.sequences.size()) * (path.c - 1)) / path.c),
          chunks(static_cast<size_t>(bound * in.is.value_heads()) * path.chunk_bytes() / 16, "chunks") {}

    void prepare() {
        const DeltaCase& is = device.in.is;
        DeltaPrepareArgs args{device.step.address(), device.convolved.address(), device.projected.address(), device.log_rate.address(),
                              device.bias.address(), path.parts == 2 ? 0 : scaled.address(), chunks.address(), is.key_heads,
                              is.value_heads(), device.convolved.stride(), device.projected.stride()};
        launch(*path.prepare, {bound + spare, is.key_heads}, path.c * 4, static_cast<i64>(path.prepare_shared), args);
    }

    void scan(bool rounded = true) { scan(rounded, device.state.address()); }

    /// With states elsewhere.
    void scan(bool rounded, u64 state) {
        const DeltaCase& is = device.in.is;
        bool exact = path.parts == 2;
        DeltaScanArgs args{device.step.address(), rounded ? device.dst.address() : wide.address(),
                           exact ? device.convolved.address() : scaled.address(), device.convolved.address(), chunks.address(),
                           state, is.key_heads, is.value_heads(), rounded ? device.dst.stride() : wide.stride(),
                           exact ? device.convolved.stride() : scaled.stride(), device.convolved.stride(), 0};
        Grid grid{8 / path.warps, is.value_heads(), static_cast<i64>(device.in.sequences.size()) + spare};
        launch(rounded ? *path.scan : *path.wide, grid, path.warps * 32, static_cast<i64>(path.scan_shared), args);
    }

    /// Outputs of sequences with several rows, each sequence and head by itself; rows of others were not written.
    double check_outputs(Site site = Site::current()) {
        const DeltaInputs& in = device.in;
        double worst = 0;
        for (i32 s = device.step.step().singles, row = s; s < static_cast<i32>(in.sequences.size()); s++) {
            i32 rows = in.sequences[static_cast<size_t>(s)].rows;
            for (i32 h = 0; h < in.is.value_heads(); h++) {
                std::vector<f32> actual;
                std::vector<double> expected;
                for (i32 i = 0; i < rows * DELTA_DIM; i++) {
                    actual.push_back(wide.at(row + i / DELTA_DIM, h * DELTA_DIM + i % DELTA_DIM));
                    expected.push_back(in.expected[in.out_at(row + i / DELTA_DIM, h) + static_cast<size_t>(i % DELTA_DIM)]);
                }
                double error = delta_error(actual, expected);
                worst = std::max(worst, error);
                check_close(error, 0.0, path.tolerance, "output error of " + std::to_string(rows) + " tokens, head " + std::to_string(h), site);
            }
            row += rows;
        }
        wide.check_untouched_outside(device.step.step().singles, in.rows, site);
        return worst;
    }

    /// Runs `rows` of the batch's only sequence from row `first` on as a step of their own, convolution included.
    void step_through(const ConvolvedLayer& layer, DeviceArray<bf16>& window, u64 first, i32 rows) {
        const DeltaCase& is = device.in.is;
        u64 dst = device.dst.address() + 2 * first * static_cast<u64>(device.dst.stride());
        u64 convolved = device.convolved.address() + 2 * first * static_cast<u64>(device.convolved.stride());
        u64 projected = device.projected.address() + 2 * first * static_cast<u64>(device.projected.stride());
        StepBlock step({{rows, static_cast<i32>(first), 0}});
        const DeviceArray<f32> taps(layer.weight, "taps");
        bool exact = path.parts == 2;
        if (rows == 1) {
            DeltaStepArgs args{step.address(), dst, projected, taps.address(), window.address(), device.log_rate.address(),
                               device.bias.address(), device.state.address(), {0, 0, 1}, is.key_heads, is.value_heads(),
                               device.dst.stride(), device.projected.stride()};
            launch(KERNEL_OF(delta_step), {8, is.value_heads(), 1}, STEP_THREADS, sizeof(DeltaStepShared), args);
            return;
        }
        launch(KERNEL_OF(convolve_chunk), {(rows + CONVOLVE_TILE - 1) / CONVOLVE_TILE, (is.channels() + 255) / 256}, 128, 0,
               ConvolveChunkArgs{convolved, projected, taps.address(), window.address(), step.address(), is.channels(),
                                 device.convolved.stride(), device.projected.stride(), 0});
        DeltaPrepareArgs first_half{step.address(), convolved, projected, device.log_rate.address(), device.bias.address(),
                                    exact ? 0 : scaled.address(), chunks.address(), is.key_heads, is.value_heads(),
                                    device.convolved.stride(), device.projected.stride()};
        launch(*path.prepare, {bound, is.key_heads}, path.c * 4, static_cast<i64>(path.prepare_shared), first_half);
        DeltaScanArgs second_half{step.address(), dst, exact ? convolved : scaled.address(), convolved, chunks.address(),
                                  device.state.address(), is.key_heads, is.value_heads(), device.dst.stride(),
                                  exact ? device.convolved.stride() : scaled.stride(), device.convolved.stride(), 0};
        launch(*path.scan, {8 / path.warps, is.value_heads(), 1}, path.warps * 32, static_cast<i64>(path.scan_shared), second_half);
    }

    Path path;
    i32 spare = 0;  // chunks and sequences that the grid provides for nothing
    DeltaDevice device;
    TestMatrix<f32> wide;
    TestMatrix<bf16> scaled;  // its bits are fp16
    i32 bound;
    DeviceArray<Vec16> chunks;
};

/// The same states, and outputs that are these rounded.
void check_same(const Run& rounded, const Run& wide, i32 from, i32 to) {
    for (i32 r = from; r < to; r++)
        for (i32 c = 0; c < wide.wide.cols(); c++) check_equal(rounded.device.dst.at(r, c).bits, to_bf16(wide.wide.at(r, c)).bits);
    rounded.device.dst.check_untouched_outside(from, to);
    for (size_t i = 0; i < wide.device.state.size(); i++)
        CHECK(float_bits(rounded.device.state[i]) == float_bits(wide.device.state[i]));
}

void report(const DeltaInputs& in, const Path& path, double out, double state) {
    std::printf("       C %d, %s, %d × %d heads, %d rows: output %.1e, state %.1e\n", path.c, path.parts == 2 ? "exact" : "fp16",
                in.is.key_heads, in.is.group, in.rows, out, state);
}

/// Outputs and states within the path's tolerance.
void check_errors(Run& run) {
    run.prepare();
    run.scan(false);
    double out = run.check_outputs();
    report(run.device.in, run.path, out, run.device.check_states(run.path.tolerance));
}

/// That, and under every schedule the shipped kernel's outputs are these, rounded.
void check_schedules(const DeltaInputs& in) {
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        Run wide(in, path);
        check_errors(wide);
        for_all_schedules([&](const Schedule&) {
            Run rounded(in, path);
            rounded.prepare();
            rounded.scan();
            check_same(rounded, wide, wide.device.step.step().singles, in.rows);
        });
    }
}

void check_errors_everywhere(const DeltaInputs& in) {
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        Run run(in, path);
        check_errors(run);
    }
}

Path with_warps(const Path& path, i32 warps) {
    Path other = path;
    other.warps = warps;
    if (path.c == 64) other.scan = warps == 1 ? &KERNEL_OF(delta_scan_c64_w1) : &KERNEL_OF(delta_scan_c64_w2);
    else other.scan = warps == 1 ? &KERNEL_OF(delta_scan_c32_w1) : &KERNEL_OF(delta_scan_c32_w2);
    if (path.c == 64) other.scan_shared = warps == 1 ? sizeof(ScanShared<Scan64Warps1>) : sizeof(ScanShared<Scan64Warps2>);
    else other.scan_shared = warps == 1 ? sizeof(ScanShared<Scan32Warps1>) : sizeof(ScanShared<Scan32Warps2>);
    return other;
}

}  // namespace

TEST(delta_scan_for_every_length) {
    std::vector<TestSequence> sequences = {{1, 3, 18}, {1, 0, -1}};
    i32 slot = 16;
    for (i32 rows : {2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 111, 127, 128, 129, 192}) sequences.push_back({rows, 5, slot--});
    sequences.push_back({40, 0, -1});
    DeltaInputs in({.stream = 200}, sequences, 19);
    // No launch here writes the slot of a single row.
    in.sequences[0].slot = -1;
    check_schedules(in);
}

TEST(delta_scan_for_every_group) {
    for (i32 group : {1, 2, 3, 4, 9}) {
        check_schedules(DeltaInputs({.key_heads = group < 3 ? 2 : 1, .group = group, .stream = 201}, {{20, 0, 1}, {65, 4, 0}}, 2));
    }
}

TEST(delta_scan_of_a_long_sequence) {
    for (Gates gates : {Gates::USUAL, Gates::ONE, Gates::SLOW})
        check_errors_everywhere(DeltaInputs({.gates = gates, .stream = 202}, {{1100, 0, 0}}, 1));
}

TEST(delta_scan_in_every_regime_of_gates) {
    for (Gates gates : {Gates::ONE, Gates::FAST, Gates::SLOW, Gates::STRONG, Gates::MIXED}) {
        for (double logit : {-200.0, 200.0, static_cast<double>(NAN)})
            check_errors_everywhere(DeltaInputs({.group = 2, .gates = gates, .beta_logit = logit, .stream = 203}, {{150, 0, 0}}, 1));
    }
}

TEST(delta_scan_of_correlated_keys) {
    // What U is made of nearly cancels, which doubles the error.
    for (Gates gates : {Gates::USUAL, Gates::ONE, Gates::SLOW}) {
        DeltaInputs in({.gates = gates, .key_cosine = 0.95, .stream = 204}, {{300, 0, 0}}, 1);
        for (Path path : {PATH64, PATH32, EXACT}) {
            path.tolerance *= 2;
            Run run(in, path);
            check_errors(run);
        }
    }
}

TEST(delta_scan_is_linear_in_values_and_state) {
    DeltaInputs in({.stream = 205}, {{100, 0, 0}}, 1);
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        Run usual(in, path);
        usual.prepare();
        usual.scan(false);
        for (f32 scale : {0x1p-3f, 0x1p9f}) {
            Run scaled(in, path);
            for (i32 r = 0; r < in.rows; r++)
                for (i32 c = 2 * DELTA_DIM; c < 3 * DELTA_DIM; c++)
                    scaled.device.convolved.at(r, c) = to_bf16(scale * to_float(scaled.device.convolved.at(r, c)));
            for (size_t i = 0; i < DELTA_STATE; i++) scaled.device.state[i] *= scale;
            scaled.prepare();
            scaled.scan(false);
            // A power of two changes no rounding but that of subnormal fp16.
            for (i32 r = 0; r < in.rows; r++)
                for (i32 c = 0; c < DELTA_DIM; c++)
                    check_close(scaled.wide.at(r, c), scale * usual.wide.at(r, c), 2e-6 * scale, "row " + std::to_string(r));
        }
    }
}

TEST(delta_scan_split_over_blocks_has_the_same_bits) {
    DeltaInputs in({.group = 2, .stream = 206}, {{1}, {20, 0, 1}, {130, 3, 0}}, 2);
    for (const Path& path : {PATH64, PATH32}) {
        Run wide(in, path);
        wide.prepare();
        wide.scan(false);
        for_all_schedules([&](const Schedule&) {
            for (i32 warps : {1, 2}) {
                Run split(in, with_warps(path, warps));
                split.prepare();
                split.scan();
                check_same(split, wide, 1, in.rows);
            }
        });
    }
}

TEST(delta_scan_has_the_same_bits_alone_and_in_company) {
    DeltaInputs in({.group = 2, .stream = 207}, {{1}, {30, 0, 1}, {70, 3, 0}, {33, 0, 2}}, 3);
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        for_all_schedules([&](const Schedule&) {
            Run company(in, path), poisoned(in, path);
            company.prepare();
            company.scan();
            // Everything but the sequence of 70 is not-a-number.
            for (i32 r = 0; r < in.rows; r++)
                if (r < 31 || r >= 101) poisoned.device.convolved.poison_row(r), poisoned.device.projected.poison_row(r);
            for (size_t i = in.state_at(1, 0); i < in.state.size(); i++) poisoned.device.state[i] = NAN;
            poisoned.prepare();
            poisoned.scan();
            for (i32 r = 31; r < 101; r++)
                for (i32 c = 0; c < in.is.value_width(); c++)
                    check_equal(poisoned.device.dst.at(r, c).bits, company.device.dst.at(r, c).bits, "row " + std::to_string(r));
            for (size_t i = 0; i < company.device.slot_size(); i++)
                CHECK(float_bits(poisoned.device.state[i]) == float_bits(company.device.state[i]));
        });
    }
}

TEST(delta_scan_without_a_slot_leaves_slots_alone) {
    DeltaInputs in({.group = 2, .stream = 212}, {{9, 0, -1}, {40, 0, 1}}, 2);
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        Run run(in, path);
        check_errors(run);
    }
}

TEST(delta_scan_clears_what_decayed_beyond_use) {
    DeltaInputs in({.gates = Gates::ONE, .beta_logit = -200, .stream = 210}, {{3, 0, 0}}, 1);
    for (const Path& path : {PATH64, PATH32, EXACT}) {
        Run run(in, path);
        for (size_t i = 0; i < DELTA_STATE; i++) run.device.state[i] = i % 2 == 0 ? 0.9e-30f : 1.1e-30f;
        run.prepare();
        run.scan();
        for (size_t i = 0; i < DELTA_STATE; i++) check_equal(run.device.state[i], i % 2 == 0 ? 0.0f : 1.1e-30f);
    }
}

TEST(delta_scan_of_a_larger_bucket_writes_nothing_more) {
    DeltaInputs in({.stream = 208}, {{20, 0, 0}, {5, 0, 1}}, 3);
    for_all_schedules([&](const Schedule&) {
        Run exact(in, PATH64), bucket(in, PATH64);
        bucket.spare = 3;
        exact.prepare();
        exact.scan(false);
        bucket.prepare();
        bucket.scan();
        check_same(bucket, exact, 0, in.rows);
    });
}

TEST(delta_scan_of_a_sequence_in_any_steps) {
    const ConvolvedLayer layer({.group = 2, .gates = Gates::SLOW, .stream = 209}, {{200, 0, 0}}, 1);
    const DeltaInputs& in = layer.in;
    for (const std::vector<i32>& cuts : {std::vector<i32>{64, 64, 72}, {1, 1, 33, 100, 1, 64}, {17, 2, 64, 31, 1, 85}}) {
        for (const Path& path : {PATH64, PATH32, EXACT}) {
            Run whole(in, path);
            for (i32 r = 0; r < in.rows; r++)
                for (i32 c = 0; c < in.is.channels(); c++)
                    whole.device.projected.at(r, c) = layer.raw[static_cast<size_t>(r * in.is.channels() + c)];
            DeviceArray<bf16> window(layer.window, "window");
            u64 row = 0;
            for (i32 rows : cuts) {
                whole.step_through(layer, window, row, rows);
                row += static_cast<u64>(rows);
            }
            whole.device.check_states(path.tolerance);
            // Rounded outputs: the tolerance and half a unit in the last place, root mean square.
            std::vector<double> actual;
            for (i32 r = 0; r < in.rows; r++)
                for (i32 c = 0; c < in.is.value_width(); c++) actual.push_back(as_double(whole.device.dst.at(r, c)));
            check_close(relative_l2(actual, in.expected), 0.0, path.tolerance + 0x1p-9, "error of all outputs");
        }
    }
}

/// A slot of one head has 2¹⁴ elements, so from slot 2¹⁷ on no index fits 32 bits; only what is touched costs memory.
TEST(delta_scan_of_a_slot_beyond_32_bits) {
    constexpr i32 FAR = 1 << 17;
    DeltaInputs in({.stream = 211}, {{70, 0, 0}}, 1);
    Run near(in, PATH64), far(in, PATH64);
    near.prepare();
    near.scan(false);
    DeviceArray<f32> state(static_cast<size_t>(FAR + 1) * DELTA_STATE, "state");
    const size_t first = static_cast<size_t>(FAR) * DELTA_STATE;
    for (size_t i = 0; i < DELTA_STATE; i++) state[first + i] = in.state[i];
    Step& step = far.device.step.step();
    reinterpret_cast<i32*>(far.device.step.address())[step.at_slot / 4] = FAR;
    far.prepare();
    far.scan(false, state.address());
    for (size_t i = 0; i < DELTA_STATE; i++) CHECK(float_bits(state[first + i]) == float_bits(near.device.state[i]));
    far.check_outputs();
}
