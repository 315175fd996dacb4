// Causal depthwise convolution of width 4 over the q, k, v channels of the delta rule, and SiLU (spec 4.3 step 3, 4.7): fp32
// inside, one rounding. It continues from the window of the sequence's slot, the last three inputs before convolution, and
// leaves the new window there; slot −1 means a window of zeros that is not kept. A thread owns two neighbouring channels, so
// that a warp reads whole lines of inputs and weights alike and one row alone still spreads over many multiprocessors.
//
// Blocks of a launch run in any order, and tiles of one sequence are different blocks. Therefore the old window is read, and
// the new one written, by the block of the sequence's first tile only: it has the old window in registers before it writes,
// and the rest of the new window it reads from the inputs, which nobody writes. No other block touches the slot.
#include "common/port.cuh"
#include "common/step.cuh"

struct ConvolveStepArgs {
    u64 dst;               // bf16 [rows, dst_stride]
    u64 projected;         // bf16 [rows, projected_stride], channels first
    u64 weight;            // f32 [channels, 4]: tap 3 meets the current token
    u64 window;            // bf16 [slot][3][channels], oldest first
    u64 step;              // Step
    Rows rows;             // rows that are alone in their sequence: row = sequence
    i32 channels;
    i32 dst_stride;        // elements
    i32 projected_stride;  // elements
    i32 padding;
};

struct ConvolveChunkArgs {
    u64 dst;               // bf16 [rows, dst_stride]
    u64 projected;         // bf16 [rows, projected_stride], channels first
    u64 weight;            // f32 [channels, 4]: tap 3 meets the current token
    u64 window;            // bf16 [slot][3][channels], oldest first
    u64 step;              // Step
    i32 channels;
    i32 dst_stride;        // elements
    i32 projected_stride;  // elements
    i32 padding;
};

constexpr i32 CONVOLVE_TAPS = 4;
constexpr i32 CONVOLVE_PAST = CONVOLVE_TAPS - 1;
constexpr i32 CONVOLVE_TILE = 32;   // tokens of a tile
constexpr i32 CONVOLVE_AHEAD = 8;   // tokens loaded before the first of them is used

/// Two channels: their weights, and how many of the two there are (one at the end of an odd number of channels).
struct Channels {
    f32 weight[2][CONVOLVE_TAPS];
    i32 count;
};

/// Two channels of one token, packed.
DEVICE u32 load_two(const bf16* from, i32 count) {
    if (count == 2 && (reinterpret_cast<u64>(from) & 3) == 0) return *reinterpret_cast<const u32*>(from);
    return from[0].bits | (count == 2 ? static_cast<u32>(from[1].bits) << 16 : 0u);
}

DEVICE void store_two(bf16* to, i32 count, u32 pair) {
    if (count == 2 && (reinterpret_cast<u64>(to) & 3) == 0) {
        *reinterpret_cast<u32*>(to) = pair;
        return;
    }
    to[0] = {static_cast<u16>(pair)};
    if (count == 2) to[1] = {static_cast<u16>(pair >> 16)};
}

DEVICE Channels load_channels(u64 weight, i32 channel, i32 channels) {
    Channels c;
    c.count = channels - channel < 2 ? 1 : 2;
    UNROLL
    for (i32 i = 0; i < 2; i++) {
        Vec16 taps = {};
        if (i < c.count) taps = load16(reinterpret_cast<const f32*>(weight) + (static_cast<i64>(channel) + i) * CONVOLVE_TAPS);
        UNROLL
        for (i32 j = 0; j < CONVOLVE_TAPS; j++) c.weight[i][j] = bits_float(taps.word[j]);
    }
    return c;
}

/// One token: the convolution over `past` and `now`, SiLU, and `past` moves on.
DEVICE u32 convolve_token(const Channels& c, u32 (&past)[CONVOLVE_PAST], u32 now) {
    f32 low = 0, high = 0;
    UNROLL
    for (i32 j = 0; j < CONVOLVE_TAPS; j++) {
        Pair x = unpack_bf16(j < CONVOLVE_PAST ? past[j] : now);
        low = fma32(c.weight[0][j], x.x, low);
        high = fma32(c.weight[1][j], x.y, high);
    }
    past[0] = past[1];
    past[1] = past[2];
    past[2] = now;
    return pack_bf16(silu(low), silu(high));
}

//! kernel convolve_step(ConvolveStepArgs) block 128 shared 0 grid [rows, channels / 256] dtypes bf16 archs all
KERNEL(convolve_step, ConvolveStepArgs, 128) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    i32 channel = 2 * static_cast<i32>(blockIdx.y * blockDim.x + threadIdx.x);
    if (row >= rows_end(args.rows) || channel >= args.channels) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 slot = step_array(step, step->at_slot)[row];
    Channels c = load_channels(args.weight, channel, args.channels);
    bf16* window = reinterpret_cast<bf16*>(args.window) + static_cast<i64>(slot) * CONVOLVE_PAST * args.channels + channel;
    u32 past[CONVOLVE_PAST] = {};
    UNROLL
    for (i32 j = 0; j < CONVOLVE_PAST; j++) {
        if (slot >= 0) past[j] = load_two(window + static_cast<i64>(j) * args.channels, c.count);
    }
    i64 from = static_cast<i64>(row) * args.projected_stride + channel;
    u32 now = load_two(reinterpret_cast<const bf16*>(args.projected) + from, c.count);
    u32 y = convolve_token(c, past, now);
    store_two(reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride + channel, c.count, y);
    UNROLL
    for (i32 j = 0; j < CONVOLVE_PAST; j++) {
        if (slot >= 0) store_two(window + static_cast<i64>(j) * args.channels, c.count, past[j]);
    }
}

/// Replaces the old window by the last three columns of [old window | new tokens]; with one or two tokens, part of the old
/// window lives on.
DEVICE void renew_window(const ConvolveChunkArgs& args, bf16* window, const u32 (&old)[CONVOLVE_PAST], const bf16* first_token,
                         i32 tokens, i32 count) {
    UNROLL
    for (i32 j = 0; j < CONVOLVE_PAST; j++) {
        i32 token = tokens - CONVOLVE_PAST + j;  // −3 … −1 lie in the old window
        u32 value = token == -3 ? old[0] : token == -2 ? old[1] : old[2];
        if (token >= 0) value = load_two(first_token + static_cast<i64>(token) * args.projected_stride, count);
        store_two(window + static_cast<i64>(j) * args.channels, count, value);
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
        bf16* window = reinterpret_cast<bf16*>(args.window) + static_cast<i64>(slot) * CONVOLVE_PAST * args.channels + channel;
        UNROLL
        for (i32 j = 0; j < CONVOLVE_PAST; j++) past[j] = load_two(window + static_cast<i64>(j) * args.channels, c.count);
        renew_window(args, window, past, first_token, row_start[tile.sequence + 1] - sequence_row, c.count);
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
