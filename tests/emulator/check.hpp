// Checks of single accesses: that they lie in a live allocation or in the block's shared memory, that a kernel has waited
// for its predecessors before it touches global memory, and that they do not race. Kernels of a checked image come here
// with every load and store (hooks.cpp), others only with the operations that the runtime performs for them.
#pragma once
#include "block.hpp"
#include "range.hpp"
#include "traffic.hpp"

namespace brantas::emulator {

/// Judges an access to shared memory, and ends the kernel if the access is not in order.
void check_unusual_access(uint64_t address, uint32_t bytes, Access access, const void* code);

[[gnu::cold]] void fail_misaligned_access(const void* address, size_t bytes, const void* code);

/// Ends the kernel if the running thread may not do this. `code` is where the call for the access returns to.
inline void check_quickly(uint64_t address, uint32_t bytes, Access access, const void* code) {
    if (address - range.base >= range.arena_bytes && is_live(address, bytes) &&
        (current == nullptr || current->waited || access == Access::READ_CONSTANT)) [[likely]] {
        if (traffic.watches()) [[unlikely]] traffic.note(address, bytes, access);
        return;
    }
    check_unusual_access(address, bytes, access, code);
}

/// As check_quickly, and tells ThreadSanitizer.
void check_access(const void* address, uint32_t bytes, Access access, const void* code);

}  // namespace brantas::emulator
