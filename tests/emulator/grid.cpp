// A launch: what is checked before it, the order of the blocks, and the workers that share them; see launch.hpp. Workers are
// threads that live as long as the process; the caller is the first of them and does not wait for one that never came.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "block.hpp"
#include "memory.hpp"

namespace brantas::emulator {
namespace {

uint64_t count(Index index) {
    return static_cast<uint64_t>(index.x) * index.y * index.z;
}

std::string text_of(Index index) {
    return std::to_string(index.x) + "×" + std::to_string(index.y) + "×" + std::to_string(index.z);
}

}  // namespace

std::string refusal(const Launch& launch, const Settings& settings) {
    const Entry& entry = *launch.entry;
    Index grid = launch.blocks;
    std::string prefix = std::string("kernel ") + entry.name + " is not launched: ";
    if (count(grid) == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return prefix + "a grid of " + text_of(grid) + " blocks is not allowed";
    if (launch.threads.y != 1 || launch.threads.z != 1)
        return prefix + "a block of " + text_of(launch.threads) + " threads: y and z must be 1 here";
    if (launch.threads.x < 1 || launch.threads.x > entry.most_threads)
        return prefix + "a block of " + std::to_string(launch.threads.x) + " threads, where the kernel is for at most " +
               std::to_string(entry.most_threads);
    if (launch.shared_bytes > settings.most_shared_bytes)
        return prefix + std::to_string(launch.shared_bytes) + " bytes of shared memory, where a block may have " +
               std::to_string(settings.most_shared_bytes);
    return "";
}

namespace {

/// Blocks in the schedule's order: ascending, descending, or by steps that are coprime to their number.
class Order {
public:
    Order(Schedule schedule, uint64_t seed, uint64_t blocks) : blocks_(blocks) {
        if (schedule == Schedule::REVERSE) {
            first_ = blocks - 1;
            step_ = blocks - 1;
        } else if (schedule != Schedule::IN_ORDER) {
            first_ = seed * 0x9e3779b97f4a7c15ull % blocks;
            step_ = seed * 0xbf58476d1ce4e5b9ull % blocks | 1;
            while (std::gcd(step_, blocks) != 1) step_++;
        }
    }
    uint64_t at(uint64_t turn) const {
        return static_cast<uint64_t>((first_ + static_cast<unsigned __int128>(step_) * turn) % blocks_);
    }

private:
    uint64_t blocks_;
    uint64_t first_ = 0;
    uint64_t step_ = 1;
};

struct Job {
    const Launch& launch;
    const Settings& settings;
    Order order;
    uint64_t blocks;
    std::atomic<uint64_t> turn{0};
    std::atomic<bool> stopped{false};
    std::mutex mutex{};
    Violation violation{};

    void work(Block& block) {
        while (!stopped) {
            uint64_t mine = turn++;
            if (mine >= blocks) return;
            Violation found = block.run(launch, settings, order.at(mine));
            if (found.fault == Fault::NONE) continue;
            std::lock_guard lock(mutex);
            if (!stopped.exchange(true)) violation = found;
        }
    }
};

class Workers {
public:
    void run(Job& job, uint32_t wanted) {
        std::lock_guard one_launch(launches_);
        {
            std::lock_guard lock(mutex_);
            while (blocks_.size() < wanted) {
                auto index = static_cast<uint32_t>(blocks_.size());
                blocks_.push_back(std::make_unique<Block>(index));
                if (index > 0) std::thread(&Workers::serve, this, std::ref(*blocks_.back())).detach();
            }
            job_ = wanted > 1 ? &job : nullptr;
            places_ = wanted - 1;
        }
        if (wanted > 1) wake_.notify_all();
        job.work(*blocks_[0]);
        std::unique_lock lock(mutex_);
        job_ = nullptr;
        idle_.wait(lock, [this] { return busy_ == 0; });
    }

private:
    void serve(Block& block) {
        std::unique_lock lock(mutex_);
        while (true) {
            wake_.wait(lock, [this] { return job_ != nullptr && places_ > 0; });
            Job* job = job_;
            places_--;
            busy_++;
            lock.unlock();
            job->work(block);
            lock.lock();
            if (--busy_ == 0) idle_.notify_all();
        }
    }

    std::mutex launches_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable idle_;
    std::vector<std::unique_ptr<Block>> blocks_;  // a worker's fibres are used launch after launch
    Job* job_ = nullptr;
    uint32_t places_ = 0;
    uint32_t busy_ = 0;
};

}  // namespace

const char* name_of(Schedule schedule) {
    constexpr const char* NAMES[] = {"in order", "reverse", "random", "starve"};
    return NAMES[static_cast<int>(schedule)];
}

const char* name_of(Copies copies) {
    return copies == Copies::EAGER ? "eager" : "lazy";
}

Violation run(const Launch& launch, const Settings& settings) {
    static Workers& workers = *new Workers;  // never destroyed: its threads live as long as the process
    uint64_t blocks = count(launch.blocks);
    Job job{launch, settings, Order(settings.schedule, settings.seed, blocks), blocks};
    uint64_t wanted = blocks * launch.threads.x < 512 ? 1 : std::min<uint64_t>(settings.workers, blocks);
#if defined(BRANTAS_TSAN)
    wanted = 1;
#endif
    workers.run(job, static_cast<uint32_t>(std::min<uint64_t>(wanted < 1 ? 1 : wanted, MOST_WORKERS)));
    return job.violation;
}

}  // namespace brantas::emulator
