// Zero-centred RMSNorm of rows (spec 2.2): dst = bf16(x · rsqrt(mean(x²) + eps) · (1 + weight)), fp32 inside, one rounding.
// A block owns a row; a thread owns the same units of eight columns when it sums and when it scales, so dst may be x. The
// first 8192 columns stay in registers between the two, further ones are read again. Sums run in an order that depends on
// the width alone: lane, then warp tree, then the eight warps in turn.
#include "common/columns.cuh"
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

constexpr i32 RMS_WARPS = 8;
constexpr i32 RMS_SPAN = RMS_WARPS * WARP * UNIT;  // columns that the block covers at once
constexpr i32 RMS_KEPT = 4;                        // spans kept in registers

struct RmsNormShared {
    f32 partial[RMS_WARPS];
};

DEVICE f32 sum_of_squares(f32 sum, const Unit& x) {
    UNROLL
    for (i32 i = 0; i < UNIT; i++) sum = fma32(x.value[i], x.value[i], sum);
    return sum;
}

DEVICE void store_scaled(const RmsNormArgs& args, bf16* dst, i32 at, f32 scale, const Unit& x) {
    i32 left = args.cols - at;
    if (left <= 0) return;
    Unit weight = load_unit(reinterpret_cast<const f32*>(args.weight) + at, left);
    Unit y;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) y.value[i] = x.value[i] * scale * (1.0f + weight.value[i]);
    store_unit(dst + at, left, y);
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
        i32 at = first + k * RMS_SPAN;
        kept[k] = load_unit(x + at, args.cols - at);
        sum = sum_of_squares(sum, kept[k]);
    }
    for (i32 at = first + RMS_KEPT * RMS_SPAN; at < args.cols; at += RMS_SPAN) {
        sum = sum_of_squares(sum, load_unit(x + at, args.cols - at));
    }
    RmsNormShared& shared = shared_memory<RmsNormShared>();
    sum = warp_sum(sum);
    if (lane_id() == 0) shared.partial[warp_id()] = sum;
    block_sync();
    f32 total = 0;
    UNROLL
    for (i32 w = 0; w < RMS_WARPS; w++) total += shared.partial[w];
    f32 scale = inverse_root(total / static_cast<f32>(args.cols) + args.eps);
    UNROLL
    for (i32 k = 0; k < RMS_KEPT; k++) store_scaled(args, dst, first + k * RMS_SPAN, scale, kept[k]);
    for (i32 at = first + RMS_KEPT * RMS_SPAN; at < args.cols; at += RMS_SPAN) {
        store_scaled(args, dst, at, scale, load_unit(x + at, args.cols - at));
    }
}
