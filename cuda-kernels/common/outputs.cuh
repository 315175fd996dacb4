// How a matrix product leaves its fp32 sums: rounded to bf16, added to a bf16 residual and rounded once, or as fp32. Each
// kind stores one sum, or eight that are neighbours in a row at a 16-byte boundary, of which the first `count` exist. Where it
// pays to read a residual long before the sum is there, residual() and finish() do in two parts what put() does.
#pragma once
#include "port.cuh"

/// dst = bf16(sum).
struct Rounded {
    using Value = bf16;

    DEVICE static f32 residual(const bf16* /*dst*/) {
        return 0;
    }
    DEVICE static void finish(bf16* dst, f32 /*residual*/, f32 sum) {
        *dst = to_bf16(sum);
    }
    DEVICE static void put(bf16* dst, f32 sum) {
        *dst = to_bf16(sum);
    }

    DEVICE static void put8(bf16* dst, const f32 (&sum)[8], i32 count) {
        if (count >= 8) {
            store16(dst, {{pack_bf16(sum[0], sum[1]), pack_bf16(sum[2], sum[3]), pack_bf16(sum[4], sum[5]),
                           pack_bf16(sum[6], sum[7])}});
            return;
        }
        UNROLL
        for (i32 i = 0; i < 8; i++) {
            if (i < count) put(dst + i, sum[i]);
        }
    }
};

/// dst = bf16(dst + sum): the sum is not rounded before.
struct Added {
    using Value = bf16;

    DEVICE static f32 residual(const bf16* dst) {
        return to_float(*dst);
    }
    DEVICE static void finish(bf16* dst, f32 residual, f32 sum) {
        *dst = to_bf16(residual + sum);
    }
    DEVICE static void put(bf16* dst, f32 sum) {
        finish(dst, residual(dst), sum);
    }

    DEVICE static void put8(bf16* dst, const f32 (&sum)[8], i32 count) {
        if (count >= 8) {
            Vec16 v = load16(dst);
            UNROLL
            for (i32 i = 0; i < 4; i++) {
                const Pair old = unpack_bf16(v.word[i]);
                v.word[i] = pack_bf16(old.x + sum[2 * i], old.y + sum[2 * i + 1]);
            }
            store16(dst, v);
            return;
        }
        UNROLL
        for (i32 i = 0; i < 8; i++) {
            if (i < count) put(dst + i, sum[i]);
        }
    }
};

/// dst = sum, in fp32.
struct Unrounded {
    using Value = f32;

    DEVICE static f32 residual(const f32* /*dst*/) {
        return 0;
    }
    DEVICE static void finish(f32* dst, f32 /*residual*/, f32 sum) {
        *dst = sum;
    }
    DEVICE static void put(f32* dst, f32 sum) {
        *dst = sum;
    }

    DEVICE static void put8(f32* dst, const f32 (&sum)[8], i32 count) {
        if (count >= 8) {
            UNROLL
            for (i32 i = 0; i < 8; i += 4) {
                store16(dst + i, {{float_bits(sum[i]), float_bits(sum[i + 1]), float_bits(sum[i + 2]),
                                   float_bits(sum[i + 3])}});
            }
            return;
        }
        UNROLL
        for (i32 i = 0; i < 8; i++) {
            if (i < count) put(dst + i, sum[i]);
        }
    }
};

/// dst = bf16(SiLU(gate) · up) of four neighbouring columns at an 8-byte boundary; of each two, gates come before up values, as
/// GatedColumns deals them.
DEVICE void put_swiglu(bf16* dst, const f32 (&sums)[8]) {
    const u32 low = pack_bf16(silu(sums[0]) * sums[2], silu(sums[1]) * sums[3]);
    const u32 high = pack_bf16(silu(sums[4]) * sums[6], silu(sums[5]) * sums[7]);
    *reinterpret_cast<u64*>(dst) = static_cast<u64>(high) << 32 | low;
}
