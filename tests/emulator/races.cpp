// The rules by which accesses to shared memory conflict; see races.hpp.
#include "races.hpp"

#include "source.hpp"

namespace brantas::emulator {

void SharedWatch::begin_block(uint32_t shared_bytes) {
    size_t cells = (shared_bytes + 1) / 2;
    if (cells_.size() < cells) cells_.resize(cells);
    if (tick_ > 0xf0000000u) {
        for (Cell& cell : cells_) cell = {};
        tick_ = 1;
        for (uint32_t& warp : warp_barrier_) warp = 0;
    }
    begin_ = barrier_ = tick_++;
}

const SharedWatch::Touch* SharedWatch::conflicting_read(const Cell& cell, uint32_t thread) const {
    if (cell.read.tick <= barrier_) return nullptr;
    if (!is_ordered(cell.read, thread)) return &cell.read;
    bool same_warp = cell.read.thread / 32u == thread / 32u;
    if (same_warp && cell.read.flags & SEVERAL_LANES && cell.read.tick > warp_barrier_[thread / 32u]) return &cell.read;
    return is_ordered(cell.other_read, thread) ? nullptr : &cell.other_read;
}

void SharedWatch::note_read(Cell& cell, const Touch& now) {
    Touch& read = cell.read;
    if (read.tick <= barrier_) {
        read = now;
        cell.other_read.tick = 0;
        return;
    }
    uint32_t warp = now.thread / 32u;
    if (read.thread / 32u != warp) {
        if (cell.other_read.tick <= barrier_) cell.other_read = now;
        return;
    }
    bool earlier_lane = read.tick > warp_barrier_[warp] && (read.thread != now.thread || read.flags & SEVERAL_LANES);
    read = now;
    if (earlier_lane) read.flags = SEVERAL_LANES;
}

bool SharedWatch::access(uint32_t thread, uint64_t offset, uint32_t bytes, Access access, const void* code) {
    Touch now{tick_, static_cast<uint16_t>(thread), NONE, static_cast<uint32_t>(reinterpret_cast<uintptr_t>(code))};
    if (access == Access::ATOMIC) now.flags = ATOMIC_WRITE;
    if (access == Access::COPY_BEGUN) now.flags = COPY_UNDER_WAY;
    Cell* last = &cells_[(offset + bytes - 1) / 2];
    for (Cell* cell = &cells_[offset / 2]; cell <= last; cell++) {
        Touch& write = cell->write;
        if (write.flags & COPY_UNDER_WAY && write.tick > begin_) {
            if (access != Access::COPY_ARRIVED || write.thread != thread)
                return conflict(write, true, thread, offset, access, code);
        } else if (!is_ordered(write, thread) && !(write.flags & ATOMIC_WRITE && access == Access::ATOMIC)) {
            if (bytes > 1) return conflict(write, true, thread, offset, access, code);
        }
        if (bytes == 1) continue;
        if (access == Access::READ) {
            note_read(*cell, now);
            continue;
        }
        if (const Touch* read = conflicting_read(*cell, thread))
            return conflict(*read, false, thread, offset, access, code);
        if (access == Access::COPY_ARRIVED) now.code = write.code;
        write = now;
        cell->read.tick = 0;
    }
    return true;
}

bool SharedWatch::conflict(const Touch& earlier, bool earlier_wrote, uint32_t thread, uint64_t offset,
                           Access access, const void* code) {
    // The earlier code lies in the same image, hence within 2 GiB.
    auto here = reinterpret_cast<uint64_t>(code != nullptr ? code : reinterpret_cast<const void*>(&code_mark));
    auto there = here + static_cast<uint64_t>(static_cast<int64_t>(
                            static_cast<int32_t>(earlier.code - static_cast<uint32_t>(here))));
    bool copying = earlier_wrote && earlier.flags & COPY_UNDER_WAY;
    std::string text = access == Access::READ           ? "reads"
                       : access == Access::ATOMIC       ? "atomically changes"
                       : access == Access::COPY_BEGUN   ? "begins an asynchronous copy to"
                       : access == Access::COPY_ARRIVED ? "completes an asynchronous copy to"
                                                        : "writes";
    text += " byte " + std::to_string(offset) + " of shared memory" + code_mark(code) + ", ";
    if (copying) {
        text += thread == earlier.thread ? "its own" : "thread " + std::to_string(earlier.thread) + "'s";
        report_ = text + " asynchronous copy to which is still under way" + code_mark(reinterpret_cast<void*>(there));
        return false;
    }
    text += "which thread " + std::to_string(earlier.thread) + (earlier_wrote ? " wrote" : " read") +
            code_mark(reinterpret_cast<void*>(there)) + " with no ";
    report_ = text + (thread / 32 == earlier.thread / 32u ? "warp_sync or block_sync" : "block_sync") + " between";
    return false;
}

}  // namespace brantas::emulator
