// The reserved range as the checks of every single access see it: inline and without locks. Only memory.cpp writes it.
#pragma once
#include <cstdint>

namespace brantas::emulator {

constexpr uint64_t PAGE = 4096;

struct Extent {
    uint64_t from, to;
};

struct Range {
    uint64_t base = 0;
    uint64_t bytes = 0;        // 0 until the range exists
    uint64_t arena_bytes = 0;  // of shared memory, at the start
    uint32_t* owner_of_page = nullptr;
    Extent* extents = nullptr;  // by number; empty after a release
};

extern Range range;

/// Whether the bytes lie in one live allocation; the address must lie in the range.
inline bool is_live(uint64_t address, uint64_t bytes) {
    if (address - range.base >= range.bytes) return false;
    Extent extent = range.extents[range.owner_of_page[(address - range.base) / PAGE]];
    return address >= extent.from && address + bytes <= extent.to;
}

}  // namespace brantas::emulator
