// Dot products of a warp with weight rows that are read once: every lane keeps fp32 sums over its own k, eight neighbouring
// values in every 256, so that one load of the warp covers 512 contiguous bytes of a row; at the end the lanes are added in a
// fixed tree. The order of all additions depends on the depth alone: not on how many outputs, activation rows or chunks are
// under way together, so a row has the same bits alone and in company. Weights come one step ahead of their use.
#pragma once
#include "port.cuh"

constexpr i32 LANE_VALUES = 8;
constexpr i32 WARP_VALUES = WARP * LANE_VALUES;

/// This lane's eight values from k on of `Outputs` weight rows; nothing is read beyond `depth`, a multiple of 8.
template <i32 Outputs>
DEVICE void read_weights(Vec16 (&to)[Outputs], const bf16* const (&weight)[Outputs], i32 k, i32 depth) {
    UNROLL
    for (i32 o = 0; o < Outputs; o++) {
        if (k < depth) to[o] = load16_stream(weight[o] + k);
    }
}

/// Adds eight products a weight row to this lane's sums.
template <i32 Outputs>
DEVICE void add_products(f32 (&sum)[Outputs], const Vec16 (&weight)[Outputs], const Vec16& x) {
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        const Pair activation = unpack_bf16(x.word[i]);
        UNROLL
        for (i32 o = 0; o < Outputs; o++) {
            const Pair w = unpack_bf16(weight[o].word[i]);
            sum[o] = fma32(w.x, activation.x, sum[o]);
            sum[o] = fma32(w.y, activation.y, sum[o]);
        }
    }
}

/// This lane's share of sum[r][o] = Σ weight[o][k] · x[r][k] over k < depth. `Chunks` pieces of 256 values make a step; the
/// weights of two steps are in registers or on their way, the activations come from the first-level cache.
template <i32 Chunks, i32 Outputs, i32 RowCount>
DEVICE void lane_dots(f32 (&sum)[RowCount][Outputs], const bf16* const (&weight)[Outputs],
                      const bf16* const (&x)[RowCount], i32 depth) {
    constexpr i32 STEP = Chunks * WARP_VALUES;
    const i32 lane_k = lane_id() * LANE_VALUES;
    Vec16 next[Chunks][Outputs];
    UNROLL
    for (i32 c = 0; c < Chunks; c++) read_weights(next[c], weight, lane_k + c * WARP_VALUES, depth);
    for (i32 k = lane_k; k < depth; k += STEP) {
        Vec16 now[Chunks][Outputs];
        UNROLL
        for (i32 c = 0; c < Chunks; c++) {
            UNROLL
            for (i32 o = 0; o < Outputs; o++) now[c][o] = next[c][o];
            read_weights(next[c], weight, k + STEP + c * WARP_VALUES, depth);
        }
        UNROLL
        for (i32 c = 0; c < Chunks; c++) {
            if (k + c * WARP_VALUES < depth) {
                UNROLL
                for (i32 r = 0; r < RowCount; r++) {
                    add_products(sum[r], now[c], load16(x[r] + k + c * WARP_VALUES));
                }
            }
        }
    }
}

/// Adds up each of the N = RowCount · Outputs values (a power of two, at most 32) over the lanes and deals the sums out: lane l
/// gets that of value l · N / 32, counted row by row. Lanes are paired 16 apart, then 8, 4, 2, 1, whatever N; while there are
/// several values, each lane of a pair takes over one half of them, which costs about one shuffle a value instead of five.
template <i32 RowCount, i32 Outputs>
DEVICE f32 deal_sums(const f32 (&sum)[RowCount][Outputs]) {
    constexpr i32 VALUES = RowCount * Outputs;
    f32 value[VALUES];
    UNROLL
    for (i32 i = 0; i < VALUES; i++) value[i] = sum[i / Outputs][i % Outputs];
    i32 count = VALUES;
    UNROLL
    for (i32 apart = WARP / 2; apart > 0; apart >>= 1) {
        if (count == 1) {
            value[0] += shuffle_xor(value[0], apart);
            continue;
        }
        count /= 2;
        const bool upper = (lane_id() & apart) != 0;
        UNROLL
        for (i32 i = 0; i < VALUES / 2; i++) {
            if (i < count) {
                const f32 mine = upper ? value[i + count] : value[i];
                const f32 theirs = upper ? value[i] : value[i + count];
                value[i] = mine + shuffle_xor(theirs, apart);
            }
        }
    }
    return value[0];
}
