// The life of a block: starting its threads, switching between them, the block barrier, asynchronous copies, and what is
// reported when threads wait for ever; see block.hpp. Operations of a warp are in warp.cpp.
#include "block.hpp"

#include "check.hpp"
#include "memory.hpp"
#include "source.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if defined(BRANTAS_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace brantas::emulator {

constinit thread_local Thread* current = nullptr;
constinit thread_local Block* here = nullptr;

namespace {

constexpr uint32_t FRONT_ZONE = 256;

// Under ThreadSanitizer a barrier orders memory and a shuffle does not, as on the device.
void publish([[maybe_unused]] void* fence) {
#if defined(BRANTAS_TSAN)
    __tsan_release(fence);
#endif
}
void observe([[maybe_unused]] void* fence) {
#if defined(BRANTAS_TSAN)
    __tsan_acquire(fence);
#endif
}

Index index_of(uint64_t number, Index size) {
    return {static_cast<uint32_t>(number % size.x), static_cast<uint32_t>(number / size.x % size.y),
            static_cast<uint32_t>(number / size.x / size.y)};
}

std::string text_of(Index index) {
    return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

}  // namespace

std::string text_of(Site site) {
    std::string file = site.file_name();
    return file.substr(file.rfind('/') + 1) + ":" + std::to_string(site.line());
}

Block::Block(uint32_t worker) : arena_(shared_arena(worker)), threads_(1024), warps_(32) {}

Violation Block::run(const Launch& launch, const Settings& settings, uint64_t number) {
    launch_ = &launch;
    settings_ = &settings;
    count_ = launch.threads.x;
    ended_ = 0;
    at_barrier_ = 0;
    violation_ = {};
    adopt_thread(outside_);
    prepare_shared();
    start(number);
    publish(&begin_fence_);
    here = this;
    BlockThread* first = next();
    running_ = first;
    current = &first->seen;
    switch_fibre(outside_, first->context);
    here = nullptr;
    current = nullptr;
    observe(&end_fence_);
    if (violation_.fault == Fault::NONE) {
        std::string overrun = shared_red_zone();
        if (!overrun.empty()) violation_ = {Fault::ILLEGAL_ADDRESS, overrun};
    }
    violation_.text = with_sources(violation_.text);
    return violation_;
}

void Block::start(uint64_t number) {
    uint32_t warps = (count_ + WARP_LANES - 1) / WARP_LANES;
    ready_.begin(settings_->schedule, settings_->seed + number * 31, warps);
    Index block = index_of(number, launch_->blocks);
    for (uint32_t i = 0; i < count_; i++) {
        BlockThread& thread = threads_[i];
        thread.seen = {block,   launch_->blocks,       i,     count_, i % WARP_LANES, i / WARP_LANES,
                       shared_, launch_->shared_bytes, false};
        thread.groups = 0;
        thread.copies.clear();
        stacks_.prepare(thread.context, i, thread_body);
    }
    for (uint32_t w = 0; w < warps; w++) {
        uint32_t lanes = count_ - w * WARP_LANES;
        Warp& warp = warps_[w];
        warp.existing = lanes >= WARP_LANES ? ALL_LANES : (1u << lanes) - 1;
        warp.live = warp.existing;
        warp.arrived = 0;
        warp.phase = 0;
        ready_.add(w, warp.existing);
    }
}

void Block::prepare_shared() {
    uint32_t room = (launch_->shared_bytes + 127) / 128 * 128;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(arena_, ARENA_BYTES);
#endif
    shared_ = arena_ + ARENA_BYTES - room;
    unsigned char* zone = shared_ - FRONT_ZONE;
    for (unsigned char* at = zone; at < shared_ + room; at += 8) *reinterpret_cast<uint64_t*>(at) = ~0ull;
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(arena_, ARENA_BYTES);
    __asan_unpoison_memory_region(shared_, launch_->shared_bytes);
#endif
    watching_ = launch_->entry->checked;
    if (watching_) watch_.begin_block(launch_->shared_bytes);
}

std::string Block::shared_red_zone() {
#if defined(__SANITIZE_ADDRESS__)
    return "";  // AddressSanitizer reports the access itself
#else
    const unsigned char* end = shared_ + launch_->shared_bytes;
    for (const unsigned char* at = shared_ - FRONT_ZONE; at < arena_ + ARENA_BYTES; at++) {
        if (at == shared_) at = end;
        if (at >= arena_ + ARENA_BYTES || *at == 0xff) continue;
        std::string where = at < shared_ ? std::to_string(shared_ - at) + " bytes before its start"
                                         : std::to_string(at - end) + " bytes past its end";
        return std::string("kernel ") + launch_->entry->name + ", block " + text_of(threads_[0].seen.block) +
               ": shared memory was overrun, " + where;
    }
    return "";
#endif
}

void Block::thread_body() {
    fibre_entered();
    Block& block = *here;
    observe(&block.begin_fence_);
    block.launch_->entry->body(block.launch_->args);
    block.end_thread();
}

void Block::end_thread() {
    BlockThread& self = *running_;
    Warp& mine = warp();
    if (!self.copies.empty())
        fail_at("the thread ends with an asynchronous copy under way", self.copies.front().site);
    if (mine.arrived != 0) fail_at("the thread ends while other lanes of its warp wait for it", mine.site);
    mine.live &= ~(1u << self.seen.lane);
    ended_++;
    BlockThread* to = next();
    if (to == nullptr) {
        if (ended_ != count_) violation_ = {Fault::STOPPED, deadlock()};
        leave_block();
    }
    publish(&end_fence_);
    running_ = to;
    current = &to->seen;
    leave_fibre(self.context, to->context);
}

void Block::leave_block() {
    publish(&end_fence_);
    leave_fibre(running_->context, outside_);
}

BlockThread* Block::next() {
    uint32_t chosen = ready_.take();
    return chosen == NOBODY ? nullptr : &threads_[chosen];
}

void Block::wait_for_others() {
    publish(&end_fence_);  // this may be the thread's last act
    BlockThread* self = running_;
    BlockThread* to = next();
    if (to == self) return;
    if (to == nullptr) {
        violation_ = {Fault::STOPPED, deadlock()};
        leave_block();
    }
    running_ = to;
    current = &to->seen;
    switch_fibre(self->context, to->context);
}

void Block::sync(Site site) {
    BlockThread& self = *running_;
    if (at_barrier_ == 0) {
        barrier_ = site;
        barrier_first_ = self.seen.number;
    } else if (!same(barrier_, site)) {
        fail_at("the thread is at one block barrier while thread " + std::to_string(barrier_first_) +
                    " waits at another, " + text_of(barrier_) + "; it is at",
                site);
    }
    // Two fences in turn: a thread may reach the next barrier before another has gone on from this one.
    char* fence = &barrier_fences_[barriers_ & 1];
    publish(fence);
    at_barrier_++;
    if (at_barrier_ == count_) {
        release_barrier();
    } else {
        wait_for_others();
    }
    observe(fence);
}

void Block::release_barrier() {
    at_barrier_ = 0;
    barriers_++;
    if (watching_) watch_.block_ordered();
    const Thread& self = running_->seen;
    for (uint32_t w = 0; w * WARP_LANES < count_; w++)
        ready_.add(w, w == self.warp ? warps_[w].existing & ~(1u << self.lane) : warps_[w].existing);
}

std::string Block::deadlock() {
    std::string text = std::string("kernel ") + launch_->entry->name + ", block " + text_of(threads_[0].seen.block) +
                       ": threads wait for ever:";
    if (at_barrier_ != 0)
        text += " " + std::to_string(at_barrier_) + " of " + std::to_string(count_) + " threads at the block barrier " +
                text_of(barrier_) + ";";
    for (uint32_t w = 0; w * WARP_LANES < count_; w++) {
        if (warps_[w].arrived == 0) continue;
        text += " " + std::to_string(std::popcount(warps_[w].arrived)) + " lanes of warp " + std::to_string(w) +
                " at the warp operation " + text_of(warps_[w].site) + ";";
        break;
    }
    return text + " " + std::to_string(ended_) + " have ended";
}

std::string Block::who(const Thread& thread) {
    return std::string("kernel ") + launch_->entry->name + ", block " + text_of(thread.block) + ", thread " +
           std::to_string(thread.number);
}

void Block::fail(const std::string& what, Fault fault) {
    violation_ = {fault, who(running_->seen) + ": " + what};
    leave_block();
}

void Block::fail_at(const std::string& what, Site site, Fault fault) {
    fail(what + " (" + text_of(site) + ")", fault);
}

void Block::copy(AsyncCopy copy) {
    copy.group = running_->groups;
    auto* words = static_cast<uint64_t*>(copy.to);
    if (settings_->copies == Copies::LAZY) {
        words[0] = ~0ull;
        words[1] = ~0ull;
    } else {
        finish_copy(copy);
    }
    running_->copies.push_back(copy);
}

void Block::finish_copy(const AsyncCopy& copy) {
    auto* to = static_cast<uint64_t*>(copy.to);
    const auto* from = static_cast<const uint64_t*>(copy.from);
    to[0] = copy.valid ? from[0] : 0;
    to[1] = copy.valid ? from[1] : 0;
}

void Block::wait_copies(uint32_t pending, const void* code) {
    BlockThread& self = *running_;
    size_t done = 0;
    for (; done < self.copies.size(); done++) {
        const AsyncCopy& copy = self.copies[done];
        if (copy.group + pending >= self.groups) break;
        if (settings_->copies == Copies::LAZY) {
            if (copy.valid) check_access(copy.from, 16, Access::READ, code);
            finish_copy(copy);
        }
        check_access(copy.to, 16, Access::COPY_ARRIVED, code);
    }
    self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace brantas::emulator
