// Convolution and SiLU of sequences with several rows (and of one, behind those with several) against the formula in fp64;
// windows are compared bit for bit, with every place of the ring as the first. An output must be the one rounding of a value
// whose fp32 error is bounded so: four multiply-adds round once each, at most 4 · 2⁻²⁴ of Σ|w·x|, which SiLU stretches by at
// most 1.1; SiLU itself adds 7 · 2⁻²⁴. Taken twice. Below the normal numbers SiLU has an absolute error of 2⁻¹⁴⁸ · sum.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/convolve.cu"

namespace {

constexpr i32 PAST = 3;
constexpr i32 PLACES = 4;
constexpr i32 SLOTS = 7;

std::string place(const char* what, i32 a, i32 b) {
    return std::string(what) + " " + std::to_string(a) + ", channel " + std::to_string(b);
}

struct Layer {
    Layer(i32 count, const std::vector<TestSequence>& batch, u64 seed = 0)
        : channels(count), sequences(batch), step(batch), rows(step.rows()), projected(rows, channels + 5, 0, "projected"),
          dst(rows, channels, 1, "dst"), weight(static_cast<size_t>(4 * channels), "weight"),
          window(static_cast<size_t>(SLOTS * PLACES * channels), "window") {
        Random random(seed * 4096 + static_cast<u64>(channels));
        for (i32 r = 0; r < rows; r++)  // the columns behind the channels stay poisoned
            for (i32 c = 0; c < channels; c++) projected.at(r, c) = to_bf16(static_cast<f32>(2 * random.normal()));
        for (f32& w : weight.span()) w = static_cast<f32>(0.5 * random.normal());
        for (bf16& x : window.span()) x = to_bf16(static_cast<f32>(2 * random.normal()));
        before = window.values();
    }

    void run_chunk(i32 tiles) {
        launch(KERNEL_OF(convolve_chunk), {tiles, (channels + 255) / 256}, 128, 0,
               ConvolveChunkArgs{dst.address(), projected.address(), weight.address(), window.address(), step.address(), channels,
                                 dst.stride(), projected.stride(), 0});
    }
    i32 tiles() {
        i32 sum = 0;
        for (size_t s = static_cast<size_t>(step.step().singles); s < sequences.size(); s++)
            sum += (sequences[s].rows + CONVOLVE_TILE - 1) / CONVOLVE_TILE;
        return sum;
    }

    /// Where the window keeps the input of a position; −3 and later.
    size_t window_at(i32 slot, i32 position, i32 channel) const {
        return static_cast<size_t>((slot * PLACES + (position + PLACES) % PLACES) * channels + channel);
    }
    /// Input `token` of a sequence, counted from its first row; −1 … −3 lie in the window.
    bf16 input(i32 sequence, i32 token, i32 channel) {
        const TestSequence& s = sequences[static_cast<size_t>(sequence)];
        if (token >= 0) return projected.at(step.row_start(sequence) + token, channel);
        return s.slot < 0 ? bf16{0} : before[window_at(s.slot, s.past + token, channel)];
    }

    void check_sequence(i32 s) {
        const TestSequence& sequence = sequences[static_cast<size_t>(s)];
        for (i32 c = 0; c < channels; c++) {
            for (i32 t = 0; t < sequence.rows; t++) {
                double sum = 0, size = 0;
                for (i32 j = 0; j < 4; j++) {
                    double product = as_double(weight[static_cast<size_t>(4 * c + j)]) * as_double(input(s, t - PAST + j, c));
                    sum += product;
                    size += std::abs(product);
                }
                double y = sum / (1 + std::exp(-sum));
                double error = 2 * FP32 * (4.4 * size + 7 * std::abs(y)) + 0x1p-147 * std::abs(sum);
                check_rounded(dst.at(step.row_start(s) + t, c), y, error, place("token", t, c));
            }
            // The next step's three inputs are there, and the fourth place is as it was where no input came to lie.
            for (i32 token = sequence.rows - PAST; token <= sequence.rows && sequence.slot >= 0; token++) {
                size_t at = window_at(sequence.slot, sequence.past + token, c);
                u16 expected = token == sequence.rows ? before[at].bits : input(s, token, c).bits;
                check_equal(window[at].bits, expected, place("window position", token, c));
            }
        }
    }

    /// Slots of none of these sequences are as they were.
    void check_other_slots(const std::vector<i32>& changed) {
        for (i32 slot = 0; slot < SLOTS; slot++) {
            bool skip = false;
            for (i32 s : changed) skip = skip || sequences[static_cast<size_t>(s)].slot == slot;
            if (skip) continue;
            size_t from = static_cast<size_t>(slot * PLACES * channels), to = from + static_cast<size_t>(PLACES * channels);
            for (size_t i = from; i < to; i++)
                check_equal(window[i].bits, before[i].bits, "foreign slot " + std::to_string(slot));
        }
    }

    i32 channels;
    std::vector<TestSequence> sequences;
    StepBlock step;
    i32 rows;
    TestMatrix<bf16> projected, dst;
    DeviceArray<f32> weight;
    DeviceArray<bf16> window;
    std::vector<bf16> before;
};

}  // namespace

TEST(convolve_chunk_of_every_length) {
    for_all_schedules([](const Schedule&) {
        for (i32 length : {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 98}) {
            for (i32 channels : {1, 2, 35, 256, 257, 258, 259, 515}) {
                if (channels > 35 && length % 32 > 2) continue;
                i32 slot = length % 5 == 4 ? -1 : 2;  // some lengths without a slot
                i32 past = (length + channels) % 7;   // every place may be the first to be written
                Layer layer(channels, {{length, past, slot}}, static_cast<u64>(length));
                layer.step.step().singles = 0;
                layer.run_chunk(layer.tiles());
                layer.check_sequence(0);
                layer.check_other_slots({0});
                layer.dst.check_untouched_outside(0, length);
            }
        }
    });
}

TEST(convolve_chunk_leaves_single_rows_alone) {
    for_all_schedules([](const Schedule&) {
        Layer layer(260, {{1, 4, 1}, {1, 5, 3}, {2, 0, 0}, {0, 7, 2}, {70, 3, 5}, {3, 2, -1}, {33, 0, 4}, {1, 9, 6}});  // the last is no first single
        for (i32 r : {0, 1}) layer.projected.poison_row(r);
        layer.run_chunk(layer.tiles() + 3);  // a launch may have more blocks than there are tiles
        for (i32 s : {2, 4, 5, 6, 7}) layer.check_sequence(s);
        layer.check_other_slots({2, 4, 6, 7});
        layer.dst.check_untouched_outside(2, layer.rows);
    });
}

TEST(convolve_gives_the_same_bits_however_a_sequence_is_cut) {
    for_all_schedules([](const Schedule&) {
        constexpr i32 LENGTH = 75, CHANNELS = 66;
        Layer whole(CHANNELS, {{LENGTH, 0, 2}});
        whole.run_chunk(whole.tiles());
        for (const std::vector<i32>& pieces : std::vector<std::vector<i32>>{{40, 35}, {2, 2, 71}, {1, 1, 1, 72}, {32, 3, 40}, {73, 1, 1}}) {
            std::vector<bf16> window = whole.before;
            i32 done = 0;
            for (i32 rows : pieces) {
                Layer piece(CHANNELS, {{rows, done, 2}});
                for (i32 c = 0; c < CHANNELS; c++)
                    for (i32 t = 0; t < rows; t++) piece.projected.at(t, c) = whole.projected.at(done + t, c);
                for (size_t i = 0; i < window.size(); i++) piece.window[i] = window[i];
                for (size_t i = 0; i < whole.weight.size(); i++) piece.weight[i] = whole.weight[i];
                piece.step.step().singles = 0;
                piece.run_chunk(piece.tiles());
                for (i32 c = 0; c < CHANNELS; c++)
                    for (i32 t = 0; t < rows; t++)
                        check_equal(piece.dst.at(t, c).bits, whole.dst.at(done + t, c).bits, place("token", done + t, c));
                window = piece.window.values();
                done += rows;
            }
            for (i32 token = LENGTH - PAST; token < LENGTH; token++)
                for (i32 c = 0; c < CHANNELS; c++)
                    check_equal(window[whole.window_at(2, token, c)].bits, whole.window[whole.window_at(2, token, c)].bits,
                                place("window position", token, c));
        }
    });
}

TEST(convolve_of_a_fresh_sequence_equals_one_without_a_slot) {
    for_all_schedules([](const Schedule&) {
        Layer layer(40, {{5, 0, 1}, {5, 0, -1}});
        for (i32 position = 0; position < PLACES; position++) {
            for (i32 c = 0; c < 40; c++) {
                layer.window[layer.window_at(1, position, c)] = {0};
                layer.before[layer.window_at(1, position, c)] = {0};
            }
        }
        for (i32 t = 0; t < 5; t++)
            for (i32 c = 0; c < 40; c++) layer.projected.at(5 + t, c) = layer.projected.at(t, c);
        layer.run_chunk(layer.tiles());
        for (i32 s = 0; s < 2; s++) layer.check_sequence(s);
        for (i32 t = 0; t < 5; t++)
            for (i32 c = 0; c < 40; c++) check_equal(layer.dst.at(t, c).bits, layer.dst.at(5 + t, c).bits, place("token", t, c));
    });
}

/// A window of twelve channels has 48 elements, so from slot 2³¹ / 48 on no index fits 32 bits; only what is touched costs memory.
TEST(convolve_of_a_slot_beyond_32_bits) {
    constexpr i32 CHANNELS = 12, FAR = 0x7fffffff / (PLACES * CHANNELS) + 2;
    Layer near(CHANNELS, {{5, 7, 0}}), far(CHANNELS, {{5, 7, FAR}});
    near.run_chunk(1);
    const size_t size = PLACES * CHANNELS, first = static_cast<size_t>(FAR) * size;
    DeviceArray<bf16> window(first + size, "window");
    for (size_t i = 0; i < size; i++) window[first + i] = near.before[i];
    launch(KERNEL_OF(convolve_chunk), {1, 1}, 128, 0,
           ConvolveChunkArgs{far.dst.address(), far.projected.address(), far.weight.address(), window.address(), far.step.address(),
                             CHANNELS, far.dst.stride(), far.projected.stride(), 0});
    for (size_t i = 0; i < size; i++) check_equal(window[first + i].bits, near.window[i].bits, "window " + std::to_string(i));
    for (i32 t = 0; t < 5; t++)
        for (i32 c = 0; c < CHANNELS; c++) check_equal(far.dst.at(t, c).bits, near.dst.at(t, c).bits, place("token", t, c));
}
