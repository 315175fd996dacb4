// Zero-centred RMSNorm of rows (spec 2.2): dst = bf16(x · rsqrt(mean(x²) + eps) · (1 + weight)), fp32 inside, one rounding.
// A block owns a row; a thread owns the same units of eight columns when it sums and when it scales, so dst may be x. The
// first 8192 columns stay in registers between the two, further ones are read again. Sums run in an order that depends on
// the width alone (common/norms.cuh).
#include "common/norms.cuh"
#include "common/step.cuh"

struct RmsNormArgs {
    u64 dst;         // bf16 [rows, dst_stride], may be x
    u64 x;           // bf16 [rows, x_stride]
    u64 weight;      // f32 [cols], deviation from one
    Rows rows;
    i32 cols;        // values of a row
    i32 dst_stride;  // elements
    i32 x_stride;    // elements
    f32 eps;
};

constexpr i32 RMS_KEPT = 4;  // spans kept in registers

struct RmsNormShared {
    f32 squares[NORM_WARPS];
};

DEVICE void store_scaled(const RmsNormArgs& args, bf16* dst, i32 at, f32 scale, const Unit& x) {
    i32 left = args.cols - at;
    if (left <= 0) return;
    Unit weight = load_unit(reinterpret_cast<const f32*>(args.weight) + at, left);
    store_unit(dst + at, left, rms_normed(x, scale, weight));
}

//! kernel rms_norm(RmsNormArgs) block 256 shared 32 grid [rows] dtypes bf16 archs all
KERNEL(rms_norm, RmsNormArgs, 256) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    if (row >= rows_end(args.rows)) return;
    const bf16* x = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(row) * args.x_stride;
    bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride;
    i32 first = static_cast<i32>(threadIdx.x) * UNIT;
    Unit kept[RMS_KEPT];
    f32 sum = 0;
    UNROLL
    for (i32 k = 0; k < RMS_KEPT; k++) {
        i32 at = first + k * NORM_SPAN;
        kept[k] = load_unit(x + at, args.cols - at);
        sum = add_squares(sum, kept[k]);
    }
    for (i32 at = first + RMS_KEPT * NORM_SPAN; at < args.cols; at += NORM_SPAN) {
        sum = add_squares(sum, load_unit(x + at, args.cols - at));
    }
    RmsNormShared& shared = shared_memory<RmsNormShared>();
    sum = warp_sum(sum);
    if (lane_id() == 0) shared.squares[warp_id()] = sum;
    block_sync();
    f32 scale = rms_scale(shared.squares, args.cols, args.eps);
    UNROLL
    for (i32 k = 0; k < RMS_KEPT; k++) store_scaled(args, dst, first + k * NORM_SPAN, scale, kept[k]);
    for (i32 at = first + RMS_KEPT * NORM_SPAN; at < args.cols; at += NORM_SPAN) {
        store_scaled(args, dst, at, scale, load_unit(x + at, args.cols - at));
    }
}
