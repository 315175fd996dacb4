// Causal depthwise convolution of width 4 and SiLU before the delta rule (spec 4.3 step 3), for two neighbouring channels a
// thread: fp32 inside, one rounding. What a sequence needs of earlier steps, its last three inputs before convolution, lies in
// the window of its slot: a ring of four places, the input of position p in place p mod 4. The fourth place is what makes one
// launch safe: the input that a step adds goes where none of the three that it reads lie, so any number of blocks may read the
// old ones while one block writes. A fresh slot is zeros, which is what positions before the first count as.
#pragma once
#include "port.cuh"

constexpr i32 CONVOLVE_TAPS = 4;
constexpr i32 CONVOLVE_PAST = CONVOLVE_TAPS - 1;
constexpr i32 WINDOW_PLACES = 4;

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

/// Place of a position; of the three before the first as well.
DEVICE i32 window_place(i32 position) {
    return position & (WINDOW_PLACES - 1);
}

/// The inputs at the three positions before `position`, oldest first; `window` is the slot's, at the first of the two channels.
DEVICE void load_past(u32 (&past)[CONVOLVE_PAST], const bf16* window, i32 channels, i32 position, i32 count) {
    UNROLL
    for (i32 j = 0; j < CONVOLVE_PAST; j++) {
        past[j] = load_two(window + static_cast<i64>(window_place(position - CONVOLVE_PAST + j)) * channels, count);
    }
}

/// May come before wait_for_predecessors.
DEVICE Channels load_channels(u64 weight, i32 channel, i32 channels) {
    Channels c;
    c.count = channels - channel < 2 ? 1 : 2;
    UNROLL
    for (i32 i = 0; i < 2; i++) {
        Vec16 taps = {};
        if (i < c.count) taps = load16_stream(reinterpret_cast<const f32*>(weight) + (static_cast<i64>(channel) + i) * CONVOLVE_TAPS);
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
