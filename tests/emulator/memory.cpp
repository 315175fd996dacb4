// The reserved range and its allocations; see memory.hpp. The page table has four bytes a page and is itself only reserved:
// untouched parts cost nothing.
#include "memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <new>

#include "range.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace brantas::emulator {

Range range;

namespace {

#if defined(BRANTAS_TSAN)
constexpr uint64_t RANGE_BYTES = 1ull << 35;  // ThreadSanitizer keeps a shadow of every mapping
void* const WISHED_BASE = nullptr;
#else
constexpr uint64_t RANGE_BYTES = 1ull << 40;
void* const WISHED_BASE = reinterpret_cast<void*>(0x200000000000);
#endif
constexpr uint64_t ARENA_STRIDE = 1 << 20;
constexpr uint64_t MOST_ALLOCATIONS = 1 << 24;
constexpr uint64_t MOST_POISONED = 1ull << 28;  // larger allocations are used in part, and only that part should cost memory

struct State {
    std::mutex mutex;
    std::map<uint64_t, uint32_t> by_address;  // number of every allocation, released ones too
    std::deque<Allocation> all;               // by number; number 0 is nobody
    uint64_t next = 0;                        // first page that was never used
    uint64_t live = 0;
};

uint64_t round_up(uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
}

void* reserve(uint64_t bytes, int protection, void* wish = nullptr) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (wish != nullptr) {
        void* at = mmap(wish, bytes, protection, flags | MAP_FIXED_NOREPLACE, -1, 0);
        if (at == wish) return at;
        if (at != MAP_FAILED) munmap(at, bytes);
    }
    void* at = mmap(nullptr, bytes, protection, flags, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return at;
}

State& state() {
    static State& made = *[] {
        auto* fresh = new State;
        range.base = reinterpret_cast<uint64_t>(reserve(RANGE_BYTES, PROT_NONE, WISHED_BASE));
        range.arena_bytes = ARENA_STRIDE * MOST_WORKERS;
        range.owner_of_page = static_cast<uint32_t*>(
            reserve(RANGE_BYTES / PAGE * sizeof(uint32_t), PROT_READ | PROT_WRITE));
        range.extents = static_cast<Extent*>(reserve(MOST_ALLOCATIONS * sizeof(Extent), PROT_READ | PROT_WRITE));
        range.bytes = RANGE_BYTES;
        fresh->next = range.base + range.arena_bytes;
        fresh->all.emplace_back();
        return fresh;
    }();
    return made;
}

struct Surroundings {
    uint64_t from, to;
};

Surroundings pages_of(const Allocation& allocation) {
    return {allocation.address / PAGE * PAGE, round_up(allocation.address + allocation.bytes, PAGE)};
}

#if !defined(__SANITIZE_ADDRESS__)
/// First byte in [from, to) that is no longer 0xFF, or 0.
uint64_t first_changed(uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at++)
        if (*reinterpret_cast<const volatile unsigned char*>(at) != 0xff) return at;
    return 0;
}
#endif

std::string red_zone_report(const Allocation& allocation) {
#if defined(__SANITIZE_ADDRESS__)
    (void)allocation;
    return "";  // AddressSanitizer reports the access itself
#else
    if (allocation.bytes > MOST_POISONED) return "";
    auto [from, to] = pages_of(allocation);
    uint64_t changed = first_changed(from, allocation.address);
    if (changed == 0) changed = first_changed(allocation.address + allocation.bytes, to);
    if (changed == 0) return "";
    return "memory around " + allocation.name + " was overwritten, " + describe_address(changed, 1);
#endif
}

}  // namespace

uint64_t allocate(uint64_t bytes, const std::string& name) {
    State& all = state();
    std::lock_guard lock(all.mutex);
    uint64_t pages = round_up(bytes == 0 ? 1 : bytes, PAGE);
    uint64_t from = all.next + PAGE;
    if (all.all.size() >= MOST_ALLOCATIONS || bytes > RANGE_BYTES || from + pages > range.base + range.bytes) return 0;
    if (mprotect(reinterpret_cast<void*>(from), pages, PROT_READ | PROT_WRITE) != 0) return 0;
    // At the end of the pages, so that a kernel without checks meets the guard page soon after its last byte.
    uint64_t address = from + pages - round_up(bytes == 0 ? 1 : bytes, 256);
    if (bytes <= MOST_POISONED) std::memset(reinterpret_cast<void*>(from), 0xff, pages);
    auto number = static_cast<uint32_t>(all.all.size());
    range.extents[number] = {address, address + bytes};
    for (uint64_t page = from; page < from + pages; page += PAGE) range.owner_of_page[(page - range.base) / PAGE] = number;
#if defined(__SANITIZE_ADDRESS__)
    // What lies around it only: the memory was never used before, and the shadow of a large one would cost much.
    __asan_poison_memory_region(reinterpret_cast<void*>(from), address - from);
    __asan_poison_memory_region(reinterpret_cast<void*>(address + bytes), from + pages - address - bytes);
#endif
    all.all.push_back({address, bytes, name, false});
    all.by_address[address] = number;
    all.next = from + pages;
    all.live++;
    return address;
}

bool release(uint64_t address) {
    State& all = state();
    std::lock_guard lock(all.mutex);
    auto found = all.by_address.find(address);
    if (found == all.by_address.end() || all.all[found->second].released) return false;
    Allocation& allocation = all.all[found->second];
    auto [from, to] = pages_of(allocation);
    range.extents[found->second] = {0, 0};
    allocation.released = true;
    all.live--;
    void* pages = reinterpret_cast<void*>(from);
    mmap(pages, to - from, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return true;
}

bool is_device_address(uint64_t address) {
    state();
    return address - range.base < range.bytes;
}

bool is_allocated(uint64_t address, uint64_t bytes) {
    state();
    return is_live(address, bytes);
}

std::string describe_address(uint64_t address, uint64_t bytes) {
    State& all = state();
    auto next = all.by_address.upper_bound(address);
    if (next != all.by_address.begin() && !all.all.empty()) {
        const Allocation& near = all.all[std::prev(next)->second];
        uint64_t offset = address - near.address;
        std::string whose = near.name + " (" + std::to_string(near.bytes) + " bytes)";
        if (offset + bytes <= near.bytes && near.released) return "at byte " + std::to_string(offset) + " of " + whose + ", which was freed";
        bool closer_to_next = next != all.by_address.end() && next->first - address < offset - near.bytes;
        if (offset < near.bytes) return "from byte " + std::to_string(offset) + " of " + whose + " over its end";
        if (!closer_to_next)
            return std::to_string(offset - near.bytes) + " bytes past the end of " + whose + (near.released ? ", which was freed" : "");
    }
    if (next == all.by_address.end()) return "in no allocation";
    const Allocation& near = all.all[next->second];
    return std::to_string(near.address - address) + " bytes before " + near.name + " (" + std::to_string(near.bytes) + " bytes)";
}

std::string check_red_zone(uint64_t address) {
    State& all = state();
    std::lock_guard lock(all.mutex);
    auto found = all.by_address.find(address);
    return found == all.by_address.end() ? "" : red_zone_report(all.all[found->second]);
}

std::string check_red_zones() {
    State& all = state();
    std::lock_guard lock(all.mutex);
    for (const Allocation& allocation : all.all) {
        if (allocation.released) continue;
        std::string report = red_zone_report(allocation);
        if (!report.empty()) return report;
    }
    return "";
}

uint64_t live_allocations() {
    State& all = state();
    std::lock_guard lock(all.mutex);
    return all.live;
}

unsigned char* shared_arena(uint32_t index) {
    state();
    uint64_t at = range.base + index * ARENA_STRIDE + PAGE;
    mprotect(reinterpret_cast<void*>(at), ARENA_BYTES, PROT_READ | PROT_WRITE);
    return reinterpret_cast<unsigned char*>(at);
}

}  // namespace brantas::emulator
