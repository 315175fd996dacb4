// Dot products of few activation rows with weights that are read once, on the tensor cores: 16 weight rows are the tile's rows
// (M), up to 8 · Tiles activation rows its columns (N), bf16 operands, fp32 sums. A step of a warp is 64 k. Lane (g = lane / 4,
// t = lane mod 4) takes the 16-byte pieces at k = 8t and k = 32 + 8t of weight rows g and g + 8, straight from memory. A
// permutation of k that both operands share changes nothing but the order of additions, so these pieces are, as they lie, the A
// registers of four k16 products, and the same pieces of activation row g are the B registers: no ldmatrix, no unpacking.
//
// A block of eight warps shares the depth of one tile: each takes a range of steps of its own (warp_steps) and the warps' sums
// are added in shared memory (add_warps). Order of additions of one result: a warp adds its steps in ascending order; of a step
// four products, pieces at 0.. before those at 32.., of each piece the values 0..3 of all lanes before the values 4..7; then the
// warps in ascending order, beginning with warp 0. It depends on the number of steps alone: not on Tiles, Ahead, the other
// columns, or where activations come from, so a row has the same bits alone and in company, in every variant.
//
// Weights stream: the pieces of `Ahead` steps are in registers or on their way, 2 KiB a step and warp. The first are requested
// by request(), which may come before wait_for_predecessors(), because weights are written by no kernel.
#pragma once
#include "port.cuh"

constexpr i32 DOT_ROWS = 16;     // weight rows of a tile
constexpr i32 DOT_COLUMNS = 8;   // activation rows of a column tile
constexpr i32 DOT_STEP = 64;     // k of a step
constexpr i32 DOT_WARPS = 8;     // that share a depth
constexpr i32 DOT_THREADS = DOT_WARPS * WARP;

/// First k of this lane's piece (0 or 1) of a step.
DEVICE i32 dot_k(i32 step, i32 piece) {
    return step * DOT_STEP + piece * (DOT_STEP / 2) + lane_id() % 4 * 8;
}

DEVICE i32 dot_steps(i32 depth) {
    return (depth + DOT_STEP - 1) / DOT_STEP;
}

struct StepRange {
    i32 from, to;
};

/// The steps of this warp, of a depth of `steps` in all.
DEVICE StepRange warp_steps(i32 steps) {
    return {steps * warp_id() / DOT_WARPS, steps * (warp_id() + 1) / DOT_WARPS};
}

/// Where a lane finds its weights of a step: pieces begin at row[half] + dot_k(step, piece), half 0 for weight row g and 1 for
/// row g + 8, and are zero where that k is not below depth.
struct WeightPlace {
    const bf16* row[2];
    i32 step;  // counted from k = 0 of the rows
    i32 depth;
};

/// The usual weights: one matrix, a tile of 16 of its rows. Rows beyond the last read the last one again; their results are to
/// be dropped.
struct WeightRows {
    const bf16* row[2];
    i32 depth;

    /// @param from   the matrix's first row
    /// @param first  the tile's first row, below count
    /// @param count  rows of the matrix
    /// @param stride elements from row to row, a multiple of 8
    /// @param k      columns that exist, a multiple of 8
    DEVICE WeightRows(const bf16* from, i32 first, i32 count, i32 stride, i32 k) : depth(k) {
        UNROLL
        for (i32 half = 0; half < 2; half++) {
            const i32 at = first + lane_id() / 4 + 8 * half;
            row[half] = from + static_cast<i64>(at < count ? at : count - 1) * stride;
        }
    }

    DEVICE WeightPlace operator()(i32 step) const {
        return {{row[0], row[1]}, step, depth};
    }
};

/// Activations from rows in global memory: column c is row c of `count`.
struct GlobalRows {
    const bf16* row;  // the lane's row of column tile 0
    i32 stride;
    i32 count;        // rows from that one on
    i32 depth;

    DEVICE GlobalRows(const bf16* from, i32 rows, i32 row_stride, i32 k)
        : row(from + static_cast<i64>(lane_id() / 4) * row_stride), stride(row_stride), count(rows - lane_id() / 4), depth(k) {}

    /// A group of up to 32 rows is less than 2³¹ elements high.
    DEVICE Vec16 operator()(i32 tile, i32 step, i32 piece) const {
        const i32 k = dot_k(step, piece);
        if (tile * DOT_COLUMNS >= count || k >= depth) return {};
        return load16(row + (tile * DOT_COLUMNS * stride + k));
    }
};

/// Elements from one staged row to the next: whole steps, and then half as much more, so that the two rows that eight lanes read
/// at once lie in different banks.
DEVICE i32 staged_pitch(i32 depth) {
    return dot_steps(depth) * DOT_STEP + DOT_STEP / 2;
}

/// Activations from rows in shared memory, `pitch` elements apart, whose values are zero from the depth to the end of its last
/// step: column c is row c of `count`, which are not more than eight.
struct StagedRows {
    const bf16* row;
    bool exists;

    DEVICE StagedRows(const bf16* from, i32 rows, i32 pitch) : row(from + lane_id() / 4 * pitch), exists(lane_id() / 4 < rows) {}

    DEVICE Vec16 operator()(i32 /*tile*/, i32 step, i32 piece) const {
        if (!exists) return {};
        return load16(row + dot_k(step, piece));
    }
};

/// No work at the end of a step.
struct NothingAfter {
    template <class Sums>
    DEVICE void operator()(i32 /*step*/, Sums& /*sum*/) const {}
};

/// The part of one warp: sums of its steps. Lane (g, t) has of column tile n in sum[n]: weight row g with columns 2t and 2t + 1 of
/// the tile, then weight row g + 8 with the same.
template <i32 Tiles, i32 Ahead>
struct RowDots {
    f32 sum[Tiles][4];
    Vec16 weight[Ahead][2][2];  // of step, piece, half

    /// Requests the first steps of a range, and sets the sums to zero. `weights(step)` is a WeightPlace; it is asked once for every
    /// step of the range in ascending order, by request() and run() together.
    template <class Weights>
    DEVICE void request(const Weights& weights, StepRange steps) {
        UNROLL
        for (i32 n = 0; n < Tiles; n++) {
            UNROLL
            for (i32 i = 0; i < 4; i++) sum[n][i] = 0;
        }
        UNROLL
        for (i32 a = 0; a < Ahead; a++) {
            if (steps.from + a < steps.to) read(weight[a], weights(steps.from + a));
        }
    }

    /// Adds up the range for which request() was called. `activations(tile, step, piece)` is the Vec16 of activation row
    /// 8 · tile + g at k = dot_k(step, piece), and zero where there is no such row or k. `after(step, sum)` is called by all lanes
    /// behind each step, and may change the sums.
    template <class Weights, class Activations, class After = NothingAfter>
    DEVICE void run(const Weights& weights, StepRange steps, const Activations& activations, After after = After()) {
        ROLLED
        for (i32 first = steps.from; first < steps.to; first += Ahead) {
            UNROLL
            for (i32 a = 0; a < Ahead; a++) {
                const i32 step = first + a;
                if (step < steps.to) {
                    multiply(weight[a], step, activations);
                    if (step + Ahead < steps.to) read(weight[a], weights(step + Ahead));
                    after(step, sum);
                }
            }
        }
    }

  private:
    DEVICE static void read(Vec16 (&to)[2][2], const WeightPlace& place) {
        UNROLL
        for (i32 piece = 0; piece < 2; piece++) {
            const i32 k = dot_k(place.step, piece);
            UNROLL
            for (i32 half = 0; half < 2; half++) {
                if (k < place.depth) to[piece][half] = load16_stream(place.row[half] + k);
                else to[piece][half] = {};
            }
        }
    }

    template <class Activations>
    DEVICE void multiply(const Vec16 (&pieces)[2][2], i32 step, const Activations& activations) {
        UNROLL
        for (i32 piece = 0; piece < 2; piece++) {
            Vec16 x[Tiles];
            UNROLL
            for (i32 n = 0; n < Tiles; n++) x[n] = activations(n, step, piece);
            UNROLL
            for (i32 i = 0; i < 4; i += 2) {
                const u32 a[4] = {pieces[piece][0].word[i], pieces[piece][1].word[i], pieces[piece][0].word[i + 1],
                                  pieces[piece][1].word[i + 1]};
                UNROLL
                for (i32 n = 0; n < Tiles; n++) mma_bf16(sum[n], a, x[n].word[i], x[n].word[i + 1]);
            }
        }
    }
};

/// Shared memory of add_warps.
template <i32 Tiles>
struct WarpSums {
    Vec16 part[DOT_WARPS][Tiles][WARP];
};

/// This warp's part of the sums.
template <i32 Tiles>
DEVICE void leave_sums(WarpSums<Tiles>& shared, const f32 (&sum)[Tiles][4]) {
    UNROLL
    for (i32 n = 0; n < Tiles; n++) {
        store16(&shared.part[warp_id()][n][lane_id()],
                {{float_bits(sum[n][0]), float_bits(sum[n][1]), float_bits(sum[n][2]), float_bits(sum[n][3])}});
    }
}

/// After a block_sync: warp n < Tiles gets the totals of column tile n, laid out as in RowDots, and returns true.
template <i32 Tiles>
DEVICE bool take_sums(f32 (&total)[4], const WarpSums<Tiles>& shared) {
    static_assert(Tiles <= DOT_WARPS);
    if (warp_id() >= Tiles) return false;
    // Zero in front changes no sum but that of nothing but minus zeros. Four at a time: registers are full of weights.
    UNROLL
    for (i32 i = 0; i < 4; i++) total[i] = 0;
    ROLLED
    for (i32 from = 0; from < DOT_WARPS; from += 4) {
        UNROLL
        for (i32 w = from; w < from + 4; w++) {
            const Vec16 part = load16(&shared.part[w][warp_id()][lane_id()]);
            UNROLL
            for (i32 i = 0; i < 4; i++) total[i] += bits_float(part.word[i]);
        }
    }
    return true;
}

/// Adds the sums of the block's eight warps, in the order of the warps. All warps take part; the shared memory may be used again
/// after another block_sync.
template <i32 Tiles>
DEVICE bool add_warps(f32 (&total)[4], const f32 (&sum)[Tiles][4], WarpSums<Tiles>& shared) {
    leave_sums(shared, sum);
    block_sync();
    return take_sums(total, shared);
}
