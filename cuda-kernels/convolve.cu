// Causal depthwise convolution of width 4 over the q, k, v channels of the delta rule, and SiLU (spec 4.3 step 3, 4.7), of
// sequences with several rows: fp32 inside, one rounding. It continues from the window of the sequence's slot, its last three
// inputs before convolution, and leaves the new window there; slot −1 means a window of zeros that is not kept. A sequence
// with one row has this in delta_step. A thread owns two neighbouring channels, so that a warp reads whole lines of inputs and
// weights alike and a short sequence still spreads over many multiprocessors.
//
// Blocks of a launch run in any order, and tiles of one sequence are different blocks. With two rows and more the new inputs
// take places of the ring that the old ones lie in. Therefore the old window is read, and the new one written, by the block of
// the sequence's first tile only: it has the old window in registers before it writes, and what it writes it reads from the
// inputs, which nobody writes. No other block touches the slot.
#include "common/convolution.cuh"
#include "common/step.cuh"

struct ConvolveChunkArgs {
    u64 dst;               // bf16 [rows, dst_stride]
    u64 projected;         // bf16 [rows, projected_stride], channels first
    u64 weight;            // f32 [channels, 4]: tap 3 meets the current token
    u64 window;            // bf16 [slot][4][channels]: the input of position p in place p mod 4
    u64 step;              // Step
    i32 channels;
    i32 dst_stride;        // elements
    i32 projected_stride;  // elements
    i32 padding;
};

constexpr i32 CONVOLVE_TILE = 32;   // tokens of a tile
constexpr i32 CONVOLVE_AHEAD = 8;   // tokens loaded before the first of them is used

/// Puts the last three of a sequence's new inputs, or all if there are fewer, where their positions belong.
DEVICE void renew_window(const ConvolveChunkArgs& args, bf16* window, i32 past, const bf16* first_token, i32 tokens, i32 count) {
    UNROLL
    for (i32 age = 1; age <= CONVOLVE_PAST; age++) {
        i32 token = tokens - age;
        if (token < 0) continue;
        u32 value = load_two(first_token + static_cast<i64>(token) * args.projected_stride, count);
        store_two(window + static_cast<i64>(window_place(past + token)) * args.channels, count, value);
    }
}

//! kernel convolve_chunk(ConvolveChunkArgs) block 128 shared 0 grid [tiles of 32, channels / 256] dtypes bf16 archs all
KERNEL(convolve_chunk, ConvolveChunkArgs, 128) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    Tile tile = find_tile(step, static_cast<i32>(blockIdx.x), CONVOLVE_TILE);
    i32 channel = 2 * static_cast<i32>(blockIdx.y * blockDim.x + threadIdx.x);
    if (tile.sequence < 0 || channel >= args.channels) return;
    const i32* row_start = step_array(step, step->at_row_start);
    i32 sequence_row = row_start[tile.sequence];
    Channels c = load_channels(args.weight, channel, args.channels);
    const bf16* first_token =
        reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(sequence_row) * args.projected_stride + channel;
    const bf16* from = first_token + static_cast<i64>(tile.first) * args.projected_stride;
    bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(sequence_row + tile.first) * args.dst_stride + channel;
    u32 past[CONVOLVE_PAST] = {};
    if (tile.first > 0) {
        UNROLL
        for (i32 j = 0; j < CONVOLVE_PAST; j++) {
            past[j] = load_two(from + static_cast<i64>(j - CONVOLVE_PAST) * args.projected_stride, c.count);
        }
    } else if (i32 slot = step_array(step, step->at_slot)[tile.sequence]; slot >= 0) {
        bf16* window = reinterpret_cast<bf16*>(args.window) + static_cast<i64>(slot) * WINDOW_PLACES * args.channels + channel;
        i32 position = step_array(step, step->at_past)[tile.sequence];
        load_past(past, window, args.channels, position, c.count);
        renew_window(args, window, position, first_token, row_start[tile.sequence + 1] - sequence_row, c.count);
    }
    for (i32 t = 0; t < tile.rows; t += CONVOLVE_AHEAD) {
        u32 now[CONVOLVE_AHEAD];
        UNROLL
        for (i32 i = 0; i < CONVOLVE_AHEAD; i++) {
            now[i] = t + i < tile.rows ? load_two(from + static_cast<i64>(t + i) * args.projected_stride, c.count) : 0;
        }
        UNROLL
        for (i32 i = 0; i < CONVOLVE_AHEAD; i++) {
            u32 y = convolve_token(c, past, now[i]);
            if (t + i < tile.rows) store_two(dst + static_cast<i64>(t + i) * args.dst_stride, c.count, y);
        }
    }
}
