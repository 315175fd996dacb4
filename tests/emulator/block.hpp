// One block of a kernel while it runs on a worker: its threads as fibres, who of them can run, where the others wait, and
// the asynchronous copies under way. All waiting is cooperative: a thread runs until it must wait for others, then the
// schedule picks the next one. The first violation ends the block.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "fibre.hpp"
#include "launch.hpp"
#include "races.hpp"
#include "schedule.hpp"

namespace brantas::emulator {

struct Thread {
    Index block, blocks;
    uint32_t number, threads;  // in the block
    uint32_t lane, warp;
    unsigned char* shared;  // the block's shared memory
    uint32_t shared_bytes;
    bool waited;  // for the kernels before this one
};

/// The thread that runs now; null outside a kernel.
extern constinit thread_local Thread* current __attribute__((tls_model("initial-exec")));

struct AsyncCopy {
    void* to;
    const void* from;
    uint64_t group;
    bool valid;
    Site site;
};

struct BlockThread {
    Thread seen;
    Context context;
    uint64_t groups = 0;  // of copies, closed so far
    std::vector<AsyncCopy> copies;
};

constexpr uint32_t DEPOSIT_BYTES = 48;

struct Warp {
    uint32_t existing;  // lanes that the block has
    uint32_t live;      // lanes that have not ended
    uint32_t arrived;   // at the operation under way
    uint32_t phase;
    Operation operation;
    Site site;
    alignas(64) unsigned char deposits[2][WARP_LANES * DEPOSIT_BYTES];
};

class Block {
public:
    explicit Block(uint32_t worker);

    /// Runs block `number` of the grid.
    Violation run(const Launch& launch, const Settings& settings, uint64_t number);

    // ---- called by the running thread ----
    void sync(Site site);
    /// Begins a warp operation and returns this operation's deposits, one a lane.
    template <class Deposit>
    Deposit* enter(Operation operation, Site site) {
        static_assert(sizeof(Deposit) <= DEPOSIT_BYTES);
        arrive(operation, site);
        return reinterpret_cast<Deposit*>(warp().deposits[warp().phase]);
    }
    /// Whether all lanes have made their deposits; then this one may compute for all before it leaves.
    bool is_last() { return warp().arrived == ALL_LANES; }
    /// Waits until all lanes have made their deposits; these stay readable until the warp's next operation but one.
    void leave();

    void copy(AsyncCopy copy);
    void commit() { running_->groups++; }
    void wait_copies(uint32_t pending, const void* code);
    void order_warp() {
        if (watching_) watch_.warp_ordered(running_->seen.warp);
    }
    /// Null if races are not looked for.
    SharedWatch* watch() { return watching_ ? &watch_ : nullptr; }

    [[noreturn]] void fail(const std::string& what, Fault fault = Fault::STOPPED);
    [[noreturn]] void fail_at(const std::string& what, Site site, Fault fault = Fault::STOPPED);

    BlockThread& running() { return *running_; }

private:
    static void thread_body();

    void start(uint64_t number);
    void prepare_shared();
    std::string shared_red_zone();
    Warp& warp() { return warps_[running_->seen.warp]; }
    void arrive(Operation operation, Site site);
    void wait_for_others();
    void end_thread();
    /// Goes back to run() for good.
    [[noreturn]] void leave_block();
    void release_barrier();
    BlockThread* next();
    std::string deadlock();
    std::string who(const Thread& thread);
    void finish_copy(const AsyncCopy& copy);

    unsigned char* arena_;
    Stacks stacks_;
    std::vector<BlockThread> threads_;
    std::vector<Warp> warps_;
    Readiness ready_;
    const Launch* launch_ = nullptr;
    const Settings* settings_ = nullptr;
    BlockThread* running_ = nullptr;
    Context outside_;
    unsigned char* shared_ = nullptr;
    uint32_t count_ = 0;
    uint32_t ended_ = 0;
    uint32_t at_barrier_ = 0;
    Site barrier_;
    uint32_t barrier_first_ = 0;  // the thread that came first
    SharedWatch watch_;
    bool watching_ = false;
    Violation violation_;
    uint64_t barriers_ = 0;  // completed
    char barrier_fences_[2] = {};
    char begin_fence_ = 0;  // addresses by which ThreadSanitizer learns what orders the outside and the threads
    char end_fence_ = 0;
};

/// The block that runs on this worker thread, or null.
extern constinit thread_local Block* here __attribute__((tls_model("initial-exec")));

std::string text_of(Site site);

inline bool same(Site a, Site b) {
    return a.line() == b.line() && a.column() == b.column() &&
           (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace brantas::emulator
