// Everything a kernel may touch lies in one reserved range of addresses: first the workers' arenas of shared memory, then
// the device allocations. A page belongs to at most one allocation, guard pages lie between them, and addresses are not
// used again after a release, so that one table look-up says whether an access is legal and, if not, whose memory it missed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace brantas::emulator {

struct Allocation {
    uint64_t address = 0;
    uint64_t bytes = 0;
    std::string name;
    bool released = false;
};

#pragma GCC visibility push(default)

/// Bytes at a multiple of 256, filled with 0xFF, which is not-a-number in every floating-point format; 0 if the range is
/// used up. The name appears in reports.
uint64_t allocate(uint64_t bytes, const std::string& name);
/// False if no allocation starts there.
bool release(uint64_t address);
/// Whether the bytes lie in one live allocation.
bool is_allocated(uint64_t address, uint64_t bytes);
/// Whether the address lies in the reserved range at all.
bool is_device_address(uint64_t address);
/// What is wrong with an access, in words: the nearest allocation, or the one that was released.
std::string describe_address(uint64_t address, uint64_t bytes);
/// Text about the allocation there if its surroundings were overwritten, or an empty one.
std::string check_red_zone(uint64_t address);
/// The same for the first of all live allocations.
std::string check_red_zones();
uint64_t live_allocations();

#pragma GCC visibility pop

/// The room for a block's shared memory of worker `index`: pages of `ARENA_BYTES`, their last byte followed by a guard page.
constexpr uint64_t ARENA_BYTES = 256 * 1024;
constexpr uint32_t MOST_WORKERS = 64;
unsigned char* shared_arena(uint32_t index);

}  // namespace brantas::emulator
