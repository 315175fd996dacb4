// What the kernels of the gated delta rule share (spec 4): the gates of a token, and the record in which the preparation of
// a chunk hands its triangular matrices and per-token factors to the scan over chunks. Triangular matrices are stored as
// their 16×16 tiles on and below the diagonal, row by row of tiles; inside a tile the two 16-byte halves of a row are
// exchanged in rows 4–7 and 12–15, so that a record is copied to shared memory as it lies and load_tiles then touches every
// bank once.
#pragma once
#include "step.cuh"

/// Values of a key, and of a value.
constexpr i32 DELTA_DIM = 128;
/// Value heads of a key head that delta_prepare works on at a time.
constexpr i32 DELTA_GROUP = 4;
/// 1/√128: the scale of queries.
constexpr f32 DELTA_SCALE = 0.08838834764831845f;
/// Inside the root of the l2 norm, added to the sum of squares.
constexpr f32 DELTA_EPS = 1e-6f;

/// A 16×16 tile of 16-bit values.
constexpr i32 TILE_ELEMENTS = 256;

/// Tiles on and below the diagonal of a C×C matrix.
template <i32 C>
constexpr i32 LOWER_TILES = (C / 16) * (C / 16 + 1) / 2;

/// Place of a tile among those on and below the diagonal.
DEVICE i32 lower_tile(i32 band, i32 column) {
    return band * (band + 1) / 2 + column;
}

/// Element at which half `half` (eight columns) of a tile's row begins.
DEVICE i32 tile_half(i32 row, i32 half) {
    return row * 16 + (half ^ (row >> 2 & 1)) * 8;
}

/// Element at which eight columns of a row of 128 begin in shared memory: rows are 256 bytes, so that without this exchange
/// the eight rows of a matrix tile would lie in the same banks.
DEVICE i32 wide_piece(i32 row, i32 piece) {
    return row * DELTA_DIM + (piece ^ (row & 7)) * 8;
}

/// Where a lane finds its row of four 8×8 tiles that cover a 16×16 one in the order top left, top right, bottom left, bottom
/// right: as load_tiles wants them for the right operand of two products that are eight columns wide.
DEVICE i32 lane_tile_row() {
    return (lane_id() >> 4) * 8 + (lane_id() & 7);
}
DEVICE i32 lane_tile_half() {
    return lane_id() >> 3 & 1;
}

/// A chunk of C tokens for one value head. With K, Q the chunk's normalised keys and queries, c the running sum of log-decays
/// in the chunk and D[i][j] = e^(c[i] − c[j]) for j ≤ i:
///   solve = (I + strictly lower part of β ⊙ KKᵀ ⊙ D)⁻¹, every entry at most 1 in magnitude;
///   read  = the lower part of QKᵀ ⊙ D, times 1/√128.
/// PARTS 1: fp16. PARTS 2: bf16, the value rounded and then what the rounding left.
/// The factors take up the norms of keys and queries, whose stored rows are powers of two away from unit length.
template <i32 C, i32 PARTS>
struct DeltaChunk {
    u16 solve[PARTS][LOWER_TILES<C>][TILE_ELEMENTS];
    u16 read[PARTS][LOWER_TILES<C>][TILE_ELEMENTS];
    f32 beta[C];     // 0 beyond the sequence's end
    f32 predict[C];  // e^c of a key against the state that enters the chunk
    f32 query[C];    // e^c/√128 of a query against it
    f32 update[C];   // e^(c[last] − c) of a key that enters the state
    f32 decay;       // e^c[last]
    f32 padding[3];
};

/// Log-decay of a token, −e^A_log · softplus(a + dt_bias) ≤ 0; held above −1000, where e^ is zero all the same, so that no
/// infinity enters a difference.
DEVICE f32 log_decay(f32 log_rate, f32 a, f32 bias) {
    f32 decay = -exponential(log_rate) * softplus(a + bias);
    return decay < -1000.0f ? -1000.0f : decay;
}

/// A state that decayed beyond use: subnormal numbers are slow on hosts, and nothing depends on them.
DEVICE f32 without_dust(f32 state) {
    return state < 1e-30f && state > -1e-30f ? 0.0f : state;
}

/// Eight bf16, widened.
DEVICE void widen8(f32 (&to)[8], const Vec16& from) {
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        Pair pair = unpack_bf16(from.word[i]);
        to[2 * i] = pair.x;
        to[2 * i + 1] = pair.y;
    }
}
