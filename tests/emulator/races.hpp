// Finds races on a block's shared memory while a kernel runs, whatever the schedule: two accesses by different threads, at
// least one of them a write, with no block barrier between them and, inside a warp, no warp_sync. For every two bytes it
// keeps the last write and enough of the reads since then. Time is a tick that every barrier and warp_sync moves on, so
// that what happened before the last one needs no clearing. Accesses of single bytes are not watched, because a neighbour
// byte may be another thread's; shuffles do not order memory, as on the device.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "access.hpp"

namespace brantas::emulator {

class SharedWatch {
public:
    void begin_block(uint32_t shared_bytes);
    void block_ordered() {
        barrier_ = tick_++;
    }
    void warp_ordered(uint32_t warp) {
        warp_barrier_[warp] = tick_++;
    }
    /// Whether this access is in order; if not, report() says why.
    bool access(uint32_t thread, uint64_t offset, uint32_t bytes, Access access, const void* code);
    const std::string& report() const { return report_; }

private:
    enum Flags : uint16_t { NONE = 0, ATOMIC_WRITE = 1, COPY_UNDER_WAY = 2, SEVERAL_LANES = 4 };

    struct Touch {
        uint32_t tick = 0;  // 0: never
        uint16_t thread = 0;
        uint16_t flags = NONE;
        uint32_t code = 0;  // the lower half of the address
    };
    struct Cell {
        Touch write;
        Touch read;        // by some thread
        Touch other_read;  // by some thread of another warp than `read`
    };

    bool is_ordered(const Touch& touch, uint32_t thread) const {
        return touch.tick <= barrier_ || touch.thread == thread ||
               (touch.thread / 32u == thread / 32u && touch.tick <= warp_barrier_[thread / 32u]);
    }
    const Touch* conflicting_read(const Cell& cell, uint32_t thread) const;
    void note_read(Cell& cell, const Touch& now);
    [[gnu::cold]] bool conflict(const Touch& earlier, bool earlier_wrote, uint32_t thread, uint64_t offset, Access access,
                                const void* code);

    std::string report_;
    std::vector<Cell> cells_;
    uint32_t tick_ = 1;
    uint32_t begin_ = 0;    // accesses up to this tick belong to earlier blocks
    uint32_t barrier_ = 0;  // accesses up to this tick are ordered before the present
    uint32_t warp_barrier_[32] = {};
};

}  // namespace brantas::emulator
