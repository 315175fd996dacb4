// The sectors of the reserved range as bits; see traffic.hpp. The bit maps are only reserved: untouched parts cost nothing.
#include "traffic.hpp"

#include <sys/mman.h>

#include <new>

#include "memory.hpp"
#include "range.hpp"

namespace brantas::emulator {

Traffic traffic;

namespace {

constexpr uint64_t SECTOR = 32;

uint64_t map_bytes() {
    return range.bytes / SECTOR / 8;
}

}  // namespace

void Traffic::watch(bool on) {
    for (auto*& map : sectors_) {
        if (on == (map != nullptr)) continue;
        if (!on) {
            munmap(map, map_bytes());
            map = nullptr;
            continue;
        }
        release(allocate(1, "nothing"));  // so that the range exists
        void* at = mmap(nullptr, map_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        map = static_cast<std::atomic<uint64_t>*>(at);
    }
    for (auto& count : touched_) count = 0;
}

void Traffic::note(uint64_t address, uint32_t bytes, Access access) {
    if (address - range.base < range.arena_bytes) return;
    bool writes = access == Access::WRITE || access == Access::ATOMIC;
    uint64_t last = (address + bytes - 1 - range.base) / SECTOR;
    for (uint64_t sector = (address - range.base) / SECTOR; sector <= last; sector++) {
        std::atomic<uint64_t>& word = sectors_[writes][sector / 64];
        uint64_t bit = 1ull << sector % 64;
        if ((word.load(std::memory_order_relaxed) & bit) != 0) continue;
        if ((word.fetch_or(bit, std::memory_order_relaxed) & bit) == 0) touched_[writes]++;
    }
}

Traffic::Bytes Traffic::take() {
    Bytes bytes;
    if (!watches()) return bytes;
    bytes.read = touched_[0].exchange(0) * static_cast<int64_t>(SECTOR);
    bytes.written = touched_[1].exchange(0) * static_cast<int64_t>(SECTOR);
    for (auto* map : sectors_) madvise(map, map_bytes(), MADV_DONTNEED);
    return bytes;
}

}  // namespace brantas::emulator
