// Normed activation rows in shared memory, for products that read them from there (StagedRows of row_dots.cuh): the block's
// eight warps norm up to four rows together and round them to bf16, exactly as rms_norm and gated_norm leave them in memory.
// Rows lie staged_pitch(depth) apart and are zero behind their last value up to the end of the last step. Norm weights are
// written by no kernel, but read after wait_for_predecessors all the same: they are few.
#pragma once
#include "norms.cuh"
#include "row_dots.cuh"

constexpr i32 STAGED_ROWS = 4;  // at most
static_assert(NORM_WARPS == DOT_WARPS && STAGED_ROWS <= DOT_COLUMNS);

/// Sums of squares on their way between the warps.
struct StagedSquares {
    f32 row[STAGED_ROWS][NORM_WARPS];
};

/// Norms rows 0 .. count − 1 of `cols` values, which begin at address(r). All warps take part; the rows may be read after another
/// block_sync.
template <class Address>
DEVICE void stage_normed(bf16* staged, i32 count, Address address, i32 cols, const f32* weight, f32 eps,
                         StagedSquares& squares) {
    const i32 pitch = staged_pitch(cols);
    const i32 width = dot_steps(cols) * DOT_STEP;
    const i32 first = static_cast<i32>(threadIdx.x) * UNIT;
    const bf16* x[STAGED_ROWS];
    UNROLL
    for (i32 r = 0; r < STAGED_ROWS; r++) x[r] = address(r < count ? r : 0);
    f32 sum[STAGED_ROWS] = {};
    ROLLED
    for (i32 at = first; at < width; at += NORM_SPAN) {
        Vec16 raw[STAGED_ROWS];
        UNROLL
        for (i32 r = 0; r < STAGED_ROWS; r++) {
            if (r < count) raw[r] = load_packed(x[r] + at, cols - at);
        }
        UNROLL
        for (i32 r = 0; r < STAGED_ROWS; r++) {
            if (r < count) {
                sum[r] = add_squares(sum[r], unpack_unit(raw[r]));
                // As it is; this thread comes back to it.
                store16(staged + r * pitch + at, raw[r]);
            }
        }
    }
    UNROLL
    for (i32 r = 0; r < STAGED_ROWS; r++) {
        if (r < count) {
            sum[r] = warp_sum(sum[r]);
            if (lane_id() == 0) squares.row[r][warp_id()] = sum[r];
        }
    }
    const Unit early = load_unit(weight + first, cols - first);
    block_sync();
    f32 scale[STAGED_ROWS];
    UNROLL
    for (i32 r = 0; r < STAGED_ROWS; r++) scale[r] = r < count ? rms_scale(squares.row[r], cols, eps) : 0;
    const auto finish = [&](i32 at, const Unit& by) {
        UNROLL
        for (i32 r = 0; r < STAGED_ROWS; r++) {
            if (r < count && at < width) {
                bf16* to = staged + r * pitch + at;
                store16(to, pack_unit(rms_normed(unpack_unit(load16(to)), scale[r], by)));
            }
        }
    };
    finish(first, early);
    ROLLED
    for (i32 at = first + NORM_SPAN; at < width; at += NORM_SPAN) finish(at, load_unit(weight + at, cols - at));
}

/// Gated-norms rows of `heads` value heads: o of row r begins at o + r · o_stride, z at z + r · z_stride.
struct GatedRows {
    const bf16* o;
    const bf16* z;
    const f32* weight;  // [128]
    i32 o_stride;
    i32 z_stride;
    i32 heads;
    f32 eps;
};

/// As stage_normed.
DEVICE void stage_gated(bf16* staged, i32 count, const GatedRows& rows) {
    constexpr i32 HEADS_AT_ONCE = 2 * DOT_WARPS;
    const i32 pitch = staged_pitch(rows.heads * GATED_DIM);
    const i32 within = lane_id() % GATED_LANES * UNIT;
    const Unit weight = load_unit(rows.weight + within, UNIT);
    ROLLED
    for (i32 pair = 2 * warp_id(); pair < rows.heads; pair += HEADS_AT_ONCE) {
        // A half warp without a head goes along with zeros, for its other half needs it in the shuffles.
        const i32 head = pair + lane_id() / GATED_LANES;
        const i32 at = head * GATED_DIM + within;
        const i32 columns = head < rows.heads ? UNIT : 0;
        const auto load = [&](const bf16* from, i32 stride, i32 row) {
            return load_packed(from + static_cast<i64>(row) * stride + at, row < count ? columns : 0);
        };
        Vec16 o = load(rows.o, rows.o_stride, 0), z = load(rows.z, rows.z_stride, 0);
        ROLLED
        for (i32 r = 0; r < count; r++) {
            const Vec16 next_o = load(rows.o, rows.o_stride, r + 1), next_z = load(rows.z, rows.z_stride, r + 1);
            const Vec16 y = pack_unit(gated_normed(unpack_unit(o), unpack_unit(z), weight, rows.eps));
            if (columns > 0) store16(staged + r * pitch + at, y);
            o = next_o;
            z = next_z;
        }
    }
}
