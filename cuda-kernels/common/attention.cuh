// What the two attention kernels share: tiles of 32 cached positions, fetched page by page into shared memory; the online
// softmax over one tile; and probabilities times values on the tensor cores. Head dimension 256, cache in bf16, everything
// else in fp32. Matrix rows are heads (of one token or of several) that read the same KV head: 16 a warp, in the fragment
// layout of mma_bf16. A row passes over its positions in order, 32 at a time, and what a tile does to a row depends on that
// row alone: both kernels compute the same bits for a row, however it is grouped with others.
#pragma once
#include "step.cuh"

constexpr i32 HEAD = 256;       // values of a head
constexpr i32 CHUNKS = 32;      // of eight values in a head: 16 bytes each
constexpr i32 KEYS = 32;        // positions of a tile
constexpr i32 WARPS = 4;        // of a block
constexpr i32 MAX_GROUP = 16;   // query heads that share a KV head

/// Scores are q·k / √256; powers are taken to base 2.
constexpr f32 SCORE_SCALE = 0.0625f * 1.44269504088896341f;
/// A running maximum of no score at all. Finite, so that the difference of two of them is 0 and not a not-a-number.
constexpr f32 NO_SCORE = -1e30f;
/// The raw score of a position that a row must not see: far enough below NO_SCORE that its probability is 0 in any case.
constexpr f32 HIDDEN = -1e32f;
/// Probabilities go to the tensor cores as a sum of two bf16 (16 bits in all) in place of one rounded to 8 bits. It doubles
/// the products with values, and takes the largest error of the kernel away.
constexpr bool SPLIT_PROBABILITIES = true;

/// Keys and values of a tile's positions, one head. The chunks of a line are permuted by the line's number (chunk_at), so
/// that eight consecutive lines at one chunk lie in different banks.
struct KeyTile {
    bf16 keys[KEYS * HEAD];
    bf16 values[KEYS * HEAD];
};

/// Index of the first value of a chunk.
DEVICE i32 chunk_at(i32 line, i32 chunk) {
    return line * HEAD + ((chunk ^ (line & 7)) << 3);
}

/// Where a lane points for load_tiles of 16 lines by two chunks, from the first of either: tiles 0 and 1 are the first chunk
/// of lines 0–7 and 8–15, tiles 2 and 3 the second.
DEVICE i32 tiles_at(i32 chunk) {
    return chunk_at(lane_id() & 15, chunk + (lane_id() >> 4));
}

/// One sequence's cache of one KV head.
struct CachedHead {
    const bf16* keys;    // the head's first value at page 0, position 0
    const bf16* values;
    const i32* pages;    // of the sequence
    i32 page_size;
    i32 end;             // positions from here on are not read
    i32 stride;          // values from one position to the next
};

/// Where position KEYS·tile + lane lies, counted in positions from the cache's first: fewer than 2³¹, being half a KiB and
/// more each. −1 where it is not to be read.
DEVICE i32 find_position(const CachedHead& head, i32 tile) {
    i32 position = tile * KEYS + lane_id();
    if (position >= head.end) return -1;
    i32 page = head.pages[position / head.page_size];
    return page < 0 ? -1 : page * head.page_size + position % head.page_size;
}

/// Begins to copy a tile whose positions the lanes of every warp have found; positions not to be read become zeros. Returns
/// one bit a position: whether it is read.
DEVICE u32 copy_tile(KeyTile& tile, const CachedHead& head, i32 found) {
    UNROLL
    for (i32 i = 0; i < KEYS / WARPS; i++) {
        i32 line = i * WARPS + warp_id();
        i32 position = shuffle(found, line);
        bool valid = position >= 0;
        i64 from = static_cast<i64>(valid ? position : 0) * head.stride + lane_id() * 8;
        i32 to = chunk_at(line, lane_id());
        copy_async16(tile.keys + to, head.keys + from, valid);
        copy_async16(tile.values + to, head.values + from, valid);
    }
    return vote(found >= 0);
}

/// The online softmax of a lane's two rows, lane / 4 and lane / 4 + 8 of its warp's 16.
struct SoftmaxRows {
    f32 maximum[2] = {NO_SCORE, NO_SCORE};  // so far, times SCORE_SCALE: the same in the four lanes of a row
    f32 sum[2] = {0, 0};                    // of the probabilities in this lane's columns, relative to the maximum
};

/// Turns a tile's raw scores into probabilities relative to the new maximum. `seen` has one bit a position for either row.
/// `decay` is what earlier sums are worth relative to the new maximum.
DEVICE void softmax_tile(f32 (&scores)[4][4], SoftmaxRows& rows, const u32 (&seen)[2], f32 (&decay)[2]) {
    i32 column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        u32 bits = seen[h] >> column;
        f32 top = HIDDEN;
        UNROLL
        for (i32 n = 0; n < 4; n++) {
            UNROLL
            for (i32 i = 2 * h; i < 2 * h + 2; i++) {
                if ((bits >> (8 * n + (i & 1)) & 1u) == 0) scores[n][i] = HIDDEN;
                top = scores[n][i] > top ? scores[n][i] : top;
            }
        }
        UNROLL
        for (i32 lanes = 1; lanes <= 2; lanes <<= 1) {
            f32 other = shuffle_xor(top, lanes);
            top = other > top ? other : top;
        }
        top *= SCORE_SCALE;
        top = rows.maximum[h] > top ? rows.maximum[h] : top;
        decay[h] = exponential2_fast(rows.maximum[h] - top);
        rows.maximum[h] = top;
        f32 sum = 0;
        UNROLL
        for (i32 n = 0; n < 4; n++) {
            UNROLL
            for (i32 i = 2 * h; i < 2 * h + 2; i++) {
                scores[n][i] = exponential2_fast(fma32(scores[n][i], SCORE_SCALE, -top));
                sum += scores[n][i];
            }
        }
        rows.sum[h] = fma32(rows.sum[h], decay[h], sum);
    }
}

/// Sums over the four lanes of a row.
DEVICE void finish_sums(SoftmaxRows& rows) {
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        rows.sum[h] += shuffle_xor(rows.sum[h], 1);
        rows.sum[h] += shuffle_xor(rows.sum[h], 2);
    }
}

/// The upper 16 bits of two fp32: their bf16 towards zero.
DEVICE u32 pack_upper(f32 low, f32 high) {
    return float_bits(low) >> 16 | (float_bits(high) & 0xffff0000u);
}
DEVICE f32 below_upper(f32 v) {
    return v - bits_float(float_bits(v) & 0xffff0000u);
}

/// out = out · decay + p · values, for 8·Tiles value columns from chunk `first` on. Uses up the probabilities `p`.
template <i32 Tiles>
DEVICE void add_values(f32 (&out)[Tiles][4], const f32 (&decay)[2], f32 (&p)[4][4], const bf16* values, i32 first) {
    // The maximum seldom moves after the first tiles; a factor of 1 for all the warp's rows changes nothing.
    if (vote(decay[0] != 1.0f || decay[1] != 1.0f) != 0) {
        UNROLL
        for (i32 n = 0; n < Tiles; n++) {
            UNROLL
            for (i32 i = 0; i < 4; i++) out[n][i] *= decay[i >> 1];
        }
    }
    ROLLED
    for (i32 k = 0; k < KEYS / 16; k++) {
        u32 upper[4], lower[4];
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            f32 x = p[i >> 1][(i & 1) * 2];
            f32 y = p[i >> 1][(i & 1) * 2 + 1];
            upper[i] = SPLIT_PROBABILITIES ? pack_upper(x, y) : pack_bf16(x, y);
            lower[i] = pack_upper(below_upper(x), below_upper(y));
        }
        UNROLL
        for (i32 n = 0; n < Tiles; n += 2) {
            u32 v[4];
            load_tiles_transposed(v, values + 16 * k * HEAD + tiles_at(first + n));
            UNROLL
            for (i32 j = 0; j < 2; j++) {
                mma_bf16(out[n + j], upper, v[2 * j], v[2 * j + 1]);
                if constexpr (SPLIT_PROBABILITIES) mma_bf16(out[n + j], lower, v[2 * j], v[2 * j + 1]);
            }
        }
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            p[0][i] = p[2][i];
            p[1][i] = p[3][i];
        }
    }
}

/// Eight values of a row's result: `out` over `sum`, times the sigmoid of eight gates, rounded once. A row that saw no
/// position is zero.
DEVICE void store_gated(bf16* to, const f32 (&out)[8], f32 sum, const Vec16& gates) {
    f32 inverse = sum > 0 ? 1.0f / sum : 0.0f;
    Vec16 packed;
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        Pair g = unpack_bf16(gates.word[i]);
        packed.word[i] = pack_bf16(out[2 * i] * inverse * sigmoid(g.x), out[2 * i + 1] * inverse * sigmoid(g.y));
    }
    store16(to, packed);
}
