// Eight neighbouring columns of a row: the unit in which row-wise kernels move data. A full unit on a 16-byte boundary
// travels in one access (fp32: two); the last unit of an odd width, and a unit that starts off the boundary, travels value
// by value. Columns beyond the width are neither read nor written, so whatever lies there cannot leak into a result.
#pragma once
#include "port.cuh"

constexpr i32 UNIT = 8;

/// The values of a unit in fp32.
struct Unit {
    f32 value[UNIT];
};

DEVICE bool in_one_access(const void* at, i32 columns) {
    return columns >= UNIT && (reinterpret_cast<u64>(at) & 15) == 0;
}

/// The unit at `from`, as it lies, where `columns` of the row are left (more than eight count as eight, fewer than one as
/// none); zeros beyond them.
DEVICE Vec16 load_packed(const bf16* from, i32 columns) {
    if (in_one_access(from, columns)) return load16(from);
    Vec16 raw = {};
    UNROLL
    for (i32 i = 0; i < UNIT; i++) {
        if (i < columns) raw.word[i / 2] |= static_cast<u32>(from[i].bits) << 16 * (i % 2);
    }
    return raw;
}

DEVICE Unit unpack_unit(const Vec16& raw) {
    Unit unit;
    UNROLL
    for (i32 i = 0; i < UNIT / 2; i++) {
        Pair pair = unpack_bf16(raw.word[i]);
        unit.value[2 * i] = pair.x;
        unit.value[2 * i + 1] = pair.y;
    }
    return unit;
}

/// Rounds the unit to bf16, once.
DEVICE Vec16 pack_unit(const Unit& unit) {
    Vec16 raw;
    UNROLL
    for (i32 i = 0; i < UNIT / 2; i++) raw.word[i] = pack_bf16(unit.value[2 * i], unit.value[2 * i + 1]);
    return raw;
}

DEVICE Unit load_unit(const bf16* from, i32 columns) {
    return unpack_unit(load_packed(from, columns));
}

DEVICE Unit load_unit(const f32* from, i32 columns) {
    Unit unit;
    if (in_one_access(from, columns)) {
        Vec16 low = load16(from);
        Vec16 high = load16(from + 4);
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            unit.value[i] = bits_float(low.word[i]);
            unit.value[4 + i] = bits_float(high.word[i]);
        }
    } else {
        UNROLL
        for (i32 i = 0; i < UNIT; i++) unit.value[i] = i < columns ? from[i] : 0.0f;
    }
    return unit;
}

/// Rounds the unit to bf16, once, and writes those columns that are left.
DEVICE void store_unit(bf16* to, i32 columns, const Unit& unit) {
    if (in_one_access(to, columns)) {
        store16(to, pack_unit(unit));
    } else {
        UNROLL
        for (i32 i = 0; i < UNIT; i++) {
            if (i < columns) to[i] = to_bf16(unit.value[i]);
        }
    }
}

/// Copies a row, bit for bit, by all threads of the block.
DEVICE void copy_row(bf16* to, const bf16* from, i32 columns) {
    for (i32 at = threadIdx.x * UNIT; at < columns; at += blockDim.x * UNIT) {
        i32 left = columns - at;
        if (in_one_access(to + at, left) && in_one_access(from + at, left)) {
            store16(to + at, load16(from + at));
        } else {
            for (i32 i = at; i < columns && i < at + UNIT; i++) to[i] = from[i];
        }
    }
}
