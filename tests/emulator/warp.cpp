// Operations of a warp, and the other functions that kernels call: each lane deposits its operands, the last to arrive
// computes for all where there is something to compute, and all take their results. Deposits are double-buffered, because
// a lane may reach the next operation before the others have read the results of this one.
#include "block.hpp"
#include "check.hpp"

#include <cstring>

#if defined(BRANTAS_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace brantas::emulator {
namespace {

const char* name_of(Operation operation) {
    constexpr const char* NAMES[] = {"warp_sync", "shuffle",    "shuffle_xor",    "shuffle_up",
                                     "vote",      "load_tiles", "transpose_tile", "mma"};
    return NAMES[static_cast<int>(operation)];
}

struct Product {
    Words a;
    uint32_t b[2];
    Floats d;
};

float from_bf16(uint32_t bits) {
    return std::bit_cast<float>(bits << 16);
}

float from_f16(uint32_t half) {
    uint32_t sign = (half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    float value = magnitude < 0x400u ? static_cast<float>(magnitude) * 0x1p-24f
                                     : std::bit_cast<float>((magnitude << 13) + 0x38000000u);
    return sign ? -value : value;
}

/// The fragments of the 32 lanes as matrices, multiplied, and back (PTX ISA, mma.m16n8k16). Products of 16-bit values are
/// exact in fp32; sums run over k in ascending order.
template <float (*Decode)(uint32_t)>
void multiply(Product* lanes) {
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const Product& own = lanes[lane];
        int group = lane >> 2, pair = (lane & 3) * 2;
        for (int i = 0; i < 4; i++) {
            float* to = &a[group + (i & 1) * 8][pair + (i >> 1) * 8];
            to[0] = Decode(own.a.at[i] & 0xffffu);
            to[1] = Decode(own.a.at[i] >> 16);
        }
        for (int i = 0; i < 2; i++) {
            b[pair + i * 8][group] = Decode(own.b[i] & 0xffffu);
            b[pair + i * 8 + 1][group] = Decode(own.b[i] >> 16);
        }
        for (int i = 0; i < 4; i++) d[group + (i >> 1) * 8][pair + (i & 1)] = own.d.at[i];
    }
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 8; n++) d[m][n] += a[m][k] * b[k][n];
    for (int lane = 0; lane < 32; lane++) {
        int group = lane >> 2, pair = (lane & 3) * 2;
        for (int i = 0; i < 4; i++) lanes[lane].d.at[i] = d[group + (i >> 1) * 8][pair + (i & 1)];
    }
}

void require_aligned(const void* address, uintptr_t bytes, const char* operation, Site site) {
    if (reinterpret_cast<uintptr_t>(address) % bytes != 0) fail_misaligned(operation, address, site);
}

}  // namespace

void Block::arrive(Operation operation, Site site) {
    Warp& mine = warp();
    if (mine.live != ALL_LANES)
        fail_at(std::string(name_of(operation)) + (mine.existing != ALL_LANES
                                                       ? ": the warp has fewer than 32 lanes"
                                                       : ": lanes of the warp have already ended"),
                site);
    if (mine.arrived == 0) {
        mine.operation = operation;
        mine.site = site;
    } else if (mine.operation != operation || !same(mine.site, site)) {
        fail(std::string("the lanes of a warp disagree: this one is at ") + name_of(operation) + " (" + text_of(site) +
             "), lane " + std::to_string(std::countr_zero(mine.arrived)) + " at " + name_of(mine.operation) + " (" +
             text_of(mine.site) + ")");
    }
    mine.arrived |= 1u << running_->seen.lane;
}

void Block::leave() {
    Warp& mine = warp();
    if (mine.arrived != ALL_LANES) {
        wait_for_others();
        return;
    }
    mine.arrived = 0;
    mine.phase ^= 1;
    ready_.add(running_->seen.warp, ALL_LANES & ~(1u << running_->seen.lane));
}

uint32_t thread_of_block() noexcept {
    return current->number;
}
uint32_t threads_of_block() noexcept {
    return current->threads;
}
uint32_t block_x() noexcept {
    return current->block.x;
}
uint32_t block_y() noexcept {
    return current->block.y;
}
uint32_t block_z() noexcept {
    return current->block.z;
}
uint32_t blocks_x() noexcept {
    return current->blocks.x;
}
uint32_t blocks_y() noexcept {
    return current->blocks.y;
}
uint32_t blocks_z() noexcept {
    return current->blocks.z;
}
uint32_t lane_of_warp() noexcept {
    return current->lane;
}
uint32_t warp_of_block() noexcept {
    return current->warp;
}
unsigned char* shared_start() noexcept {
    return current->shared;
}
uint32_t shared_size() noexcept {
    return current->shared_bytes;
}
void wait_for_predecessors() {
    current->waited = true;
}

Words load16_stream(const void* from, Site site) {
    require_aligned(from, 16, "load16_stream", site);
    if (reinterpret_cast<uintptr_t>(from) - reinterpret_cast<uintptr_t>(current->shared) < current->shared_bytes)
        here->fail_at("load16_stream of an address in shared memory", site, Fault::ILLEGAL_ADDRESS);
    check_access(from, 16, Access::READ_CONSTANT, __builtin_return_address(0));
    Words words;
    std::memcpy(&words, from, sizeof words);
    return words;
}

void block_sync(Site site) {
    here->sync(site);
}

void warp_sync(Site site) {
    Block& block = *here;
    [[maybe_unused]] auto* fence = block.enter<uint32_t>(Operation::SYNC, site);
#if defined(BRANTAS_TSAN)
    __tsan_release(fence);
#endif
    if (block.is_last()) block.order_warp();
    block.leave();
#if defined(BRANTAS_TSAN)
    __tsan_acquire(fence);
#endif
}

uint64_t exchange(Operation operation, uint64_t value, uint32_t from, Site site) {
    Block& block = *here;
    auto* lanes = block.enter<uint64_t>(operation, site);
    lanes[block.running().seen.lane] = value;
    block.leave();
    return lanes[from];
}

uint32_t vote(bool predicate, Site site) {
    Block& block = *here;
    auto* lanes = block.enter<uint32_t>(Operation::VOTE, site);
    lanes[block.running().seen.lane] = predicate;
    if (block.is_last()) {
        uint32_t bits = 0;
        for (int lane = 0; lane < 32; lane++) bits |= lanes[lane] << lane;
        for (int lane = 0; lane < 32; lane++) lanes[lane] = bits;
    }
    block.leave();
    return lanes[0];
}

Words load_tiles(const void* row, bool transposed, Site site) {
    require_aligned(row, 16, "load_tiles", site);
    Block& block = *here;
    const Thread& self = block.running().seen;
    if (reinterpret_cast<uintptr_t>(row) - reinterpret_cast<uintptr_t>(self.shared) >= self.shared_bytes)
        block.fail_at("load_tiles of an address outside shared memory", site, Fault::ILLEGAL_ADDRESS);
    check_access(row, 16, Access::READ, __builtin_return_address(0));
    struct Rows {
        uint16_t at[8];
        Words got;
    };
    auto* lanes = block.enter<Rows>(Operation::LOAD_TILES, site);
    for (int i = 0; i < 8; i++) lanes[self.lane].at[i] = static_cast<const uint16_t*>(row)[i];
    if (block.is_last()) {
        for (int lane = 0; lane < 32; lane++) {
            int group = lane >> 2, pair = (lane & 3) * 2;
            for (int tile = 0; tile < 4; tile++) {
                const Rows* rows = lanes + tile * 8;
                uint32_t low = transposed ? rows[pair].at[group] : rows[group].at[pair];
                uint32_t high = transposed ? rows[pair + 1].at[group] : rows[group].at[pair + 1];
                lanes[lane].got.at[tile] = low | high << 16;
            }
        }
    }
    block.leave();
    return lanes[self.lane].got;
}

uint32_t transpose_tile(uint32_t pair, Site site) {
    Block& block = *here;
    auto* lanes = block.enter<uint32_t>(Operation::TRANSPOSE_TILE, site);
    uint32_t lane = block.running().seen.lane;
    lanes[lane] = pair;
    block.leave();
    uint32_t column = lane >> 2, row = (lane & 3) * 2;
    uint32_t shift = (column & 1) * 16;
    uint32_t low = lanes[row * 4 + column / 2] >> shift & 0xffffu;
    uint32_t high = lanes[(row + 1) * 4 + column / 2] >> shift & 0xffffu;
    return low | high << 16;
}

Floats mma(Format format, Floats d, Words a, uint32_t b0, uint32_t b1, Site site) {
    Block& block = *here;
    auto* lanes = block.enter<Product>(Operation::MMA, site);
    uint32_t lane = block.running().seen.lane;
    lanes[lane] = {a, {b0, b1}, d};
    if (block.is_last()) {
        if (format == Format::BF16) {
            multiply<from_bf16>(lanes);
        } else {
            multiply<from_f16>(lanes);
        }
    }
    block.leave();
    return lanes[lane].d;
}

void copy_async16(void* shared, const void* global, bool valid, Site site) {
    require_aligned(shared, 16, "copy_async16 to", site);
    require_aligned(global, 16, "copy_async16 from", site);
    Block& block = *here;
    const Thread& self = block.running().seen;
    uintptr_t offset = reinterpret_cast<uintptr_t>(shared) - reinterpret_cast<uintptr_t>(self.shared);
    if (offset >= self.shared_bytes || offset + 16 > self.shared_bytes)
        block.fail_at("copy_async16 to an address outside shared memory", site, Fault::ILLEGAL_ADDRESS);
    const void* code = __builtin_return_address(0);
    if (valid) check_access(global, 16, Access::READ, code);
    check_access(shared, 16, Access::COPY_BEGUN, code);
    block.copy({shared, global, 0, valid, site});
}

void copy_commit() {
    here->commit();
}

void copy_wait(uint32_t pending) {
    here->wait_copies(pending, __builtin_return_address(0));
}

namespace {

template <class T>
T update(Update update, void* at, T value, Site site, const void* code) {
    require_aligned(at, sizeof(T), "atomic", site);
    check_access(at, sizeof(T), Access::ATOMIC, code);
    T* word = static_cast<T*>(at);
    if (update == Update::ADD) return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
    if (update == Update::OR) return __atomic_fetch_or(word, value, __ATOMIC_RELAXED);
    T old = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(word, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

}  // namespace

uint32_t atomic32(Update kind, void* at, uint32_t value, Site site) {
    return update<uint32_t>(kind, at, value, site, __builtin_return_address(0));
}

uint64_t atomic64(Update kind, void* at, uint64_t value, Site site) {
    return update<uint64_t>(kind, at, value, site, __builtin_return_address(0));
}

void fence_device() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(BRANTAS_TSAN)
    // ThreadSanitizer does not know fences. To it, a fence makes known all that went before to every later one, which is more
    // than a device promises. That a fence is missing it does not find: a worker's blocks are in order in any case.
    static char fences;
    __tsan_acquire(&fences);
    __tsan_release(&fences);
#endif
}

void fail(const char* what, Site site) {
    here->fail_at(what, site);
}

void fail_misaligned(const char* operation, const void* address, Site site) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", address);
    here->fail_at(std::string(operation) + " " + text + ", which is misaligned", site, Fault::MISALIGNED);
}

}  // namespace brantas::emulator
