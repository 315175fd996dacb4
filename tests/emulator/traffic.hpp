// What a launch moves between global memory and the device, if every multiprocessor shares one cache that is empty before
// each launch and large enough for it: the 32-byte sectors that are read, and those that are written, each counted once.
// Only checked images tell of their loads and stores.
#pragma once
#include <atomic>
#include <cstdint>

#include "access.hpp"

namespace brantas::emulator {

class Traffic {
public:
    struct Bytes {
        int64_t read = 0;
        int64_t written = 0;
    };

    /// Begins, or ends for good.
    void watch(bool on);
    bool watches() const { return sectors_[0] != nullptr; }
    void note(uint64_t address, uint32_t bytes, Access access);
    /// What was noted since the last call.
    Bytes take();

private:
    std::atomic<uint64_t>* sectors_[2] = {};  // a bit a sector of the reserved range: read, written
    std::atomic<int64_t> touched_[2] = {};
};

extern Traffic traffic;

}  // namespace brantas::emulator
