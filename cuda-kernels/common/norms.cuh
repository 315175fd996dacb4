// The arithmetic of the norms, shared by the kernels that norm rows for everybody (rms_norm, gated_norm) and those that do it
// on the way into a product, so that both give the same bits. An RMSNorm of a row is the work of a block of eight warps: a
// thread owns every 256th unit of eight columns and adds up its squares in order, then come the warp's tree and the eight
// warps in turn. A gated norm of a head is the work of half a warp, eight values a lane.
#pragma once
#include "columns.cuh"

constexpr i32 NORM_WARPS = 8;
constexpr i32 NORM_SPAN = NORM_WARPS * WARP * UNIT;  // columns that the block covers at once

DEVICE f32 add_squares(f32 sum, const Unit& x) {
    UNROLL
    for (i32 i = 0; i < UNIT; i++) sum = fma32(x.value[i], x.value[i], sum);
    return sum;
}

/// 1/√(mean of squares + eps) from the sums of the warps.
DEVICE f32 rms_scale(const f32 (&warp_squares)[NORM_WARPS], i32 cols, f32 eps) {
    f32 total = 0;
    UNROLL
    for (i32 w = 0; w < NORM_WARPS; w++) total += warp_squares[w];
    return inverse_root(total / static_cast<f32>(cols) + eps);
}

/// x · scale · (1 + weight).
DEVICE Unit rms_normed(const Unit& x, f32 scale, const Unit& weight) {
    Unit y;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) y.value[i] = x.value[i] * scale * (1.0f + weight.value[i]);
    return y;
}

constexpr i32 GATED_DIM = 128;
constexpr i32 GATED_LANES = GATED_DIM / UNIT;  // lanes of a head

/// o · rsqrt(mean(o²) + eps) · weight · SiLU(z), mean over the head of this half warp. All lanes of the warp take part.
DEVICE Unit gated_normed(const Unit& o, const Unit& z, const Unit& weight, f32 eps) {
    f32 sum = add_squares(0, o);
    UNROLL
    for (i32 lanes = GATED_LANES / 2; lanes > 0; lanes >>= 1) sum += shuffle_xor(sum, lanes);
    const f32 scale = inverse_root(sum / static_cast<f32>(GATED_DIM) + eps);
    Unit y;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) y.value[i] = o.value[i] * scale * weight.value[i] * silu(z.value[i]);
    return y;
}
