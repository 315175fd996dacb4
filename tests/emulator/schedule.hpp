// Which of the ready threads of a block runs next. Ready threads are bits, one word a warp and one bit a warp above them,
// so that the choice costs a few instructions whatever the block's size.
#pragma once
#include <bit>
#include <cstdint>

#include "launch.hpp"

namespace brantas::emulator {

constexpr uint32_t WARP_LANES = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;
constexpr uint32_t NOBODY = 0xffffffffu;

class Readiness {
public:
    void begin(Schedule schedule, uint64_t seed, uint32_t warps) {
        schedule_ = schedule;
        random_ = seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull;
        for (int i = 0; i < 4; i++) draw();
        warps_ = 0;
        for (uint32_t& lanes : lanes_) lanes = 0;
        starved_ = schedule == Schedule::STARVE ? 1u << draw() % warps : 0;
        last_ = schedule == Schedule::REVERSE ? warps * WARP_LANES : NOBODY;
    }

    void add(uint32_t warp, uint32_t lanes) {
        if (lanes == 0) return;
        lanes_[warp] |= lanes;
        warps_ |= 1u << warp;
    }

    /// Takes the next thread out, or gives NOBODY.
    uint32_t take() {
        if (warps_ == 0) return NOBODY;
        uint32_t warps = warps_ & ~starved_ ? warps_ & ~starved_ : warps_;
        uint32_t chosen = schedule_ == Schedule::REVERSE  ? below(warps)
                          : schedule_ == Schedule::RANDOM ? any(warps)
                                                          : above(warps);
        uint32_t warp = chosen / WARP_LANES;
        lanes_[warp] &= ~(1u << chosen % WARP_LANES);
        if (lanes_[warp] == 0) warps_ &= ~(1u << warp);
        last_ = chosen;
        return chosen;
    }

private:
    /// Bits strictly above `bit`, which may be 31.
    static uint32_t bits_above(uint32_t bit) { return bit >= 31 ? 0 : ALL_LANES << (bit + 1); }

    uint32_t above(uint32_t warps) {
        uint32_t first = last_ == NOBODY ? 0 : last_ / WARP_LANES;
        if (last_ != NOBODY && (warps >> first & 1)) {
            uint32_t lanes = lanes_[first] & bits_above(last_ % WARP_LANES);
            if (lanes) return first * WARP_LANES + static_cast<uint32_t>(std::countr_zero(lanes));
        }
        uint32_t after = last_ == NOBODY ? warps : warps & bits_above(first);
        uint32_t warp = static_cast<uint32_t>(std::countr_zero(after ? after : warps));
        return warp * WARP_LANES + static_cast<uint32_t>(std::countr_zero(lanes_[warp]));
    }

    uint32_t below(uint32_t warps) {
        uint32_t first = last_ / WARP_LANES;
        if (first < 32 && (warps >> first & 1)) {
            uint32_t lanes = lanes_[first] & ((1u << last_ % WARP_LANES) - 1);
            if (lanes) return first * WARP_LANES + static_cast<uint32_t>(std::bit_width(lanes)) - 1;
        }
        uint32_t before = first < 32 ? warps & ((1u << first) - 1) : warps;
        uint32_t warp = static_cast<uint32_t>(std::bit_width(before ? before : warps)) - 1;
        return warp * WARP_LANES + static_cast<uint32_t>(std::bit_width(lanes_[warp])) - 1;
    }

    uint32_t any(uint32_t warps) {
        uint64_t random = draw();
        uint32_t warp = pick(warps, static_cast<uint32_t>(random));
        return warp * WARP_LANES + pick(lanes_[warp], static_cast<uint32_t>(random >> 8));
    }

    static uint32_t pick(uint32_t bits, uint32_t random) {
        uint32_t turn = random & 31u;
        return (turn + static_cast<uint32_t>(std::countr_zero(std::rotr(bits, static_cast<int>(turn))))) & 31u;
    }

    uint64_t draw() {  // xorshift64*
        random_ ^= random_ >> 12;
        random_ ^= random_ << 25;
        random_ ^= random_ >> 27;
        return random_ * 0x2545f4914f6cdd1dull >> 32;
    }

    Schedule schedule_ = Schedule::IN_ORDER;
    uint64_t random_ = 1;
    uint32_t starved_ = 0;
    uint32_t last_ = NOBODY;
    uint32_t warps_ = 0;
    uint32_t lanes_[32] = {};
};

}  // namespace brantas::emulator
