// The emulated device finds mistakes: every kernel here has one planted, and each must be reported, with the line that is
// to blame where accesses are checked; the sound kernel among them must pass. Under the sanitizers the planted mistakes run
// in a child process, which must not end well.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "harness.hpp"

namespace {

constexpr i32 THREADS = 128;
constexpr bool CHECKED = BRANTAS_CHECKED;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool ASAN = true;
#else
constexpr bool ASAN = false;
#endif
#if defined(BRANTAS_TSAN)
constexpr bool TSAN = true;
#else
constexpr bool TSAN = false;
#endif

struct PlantedArgs {
    u64 dst;   // i32 [THREADS]
    u64 src;   // 16-byte aligned bytes
    i32 mode;  // which mistake, 0 for none
    i32 rows;
};

struct Numbers {
    i32 at[THREADS];
};

const i32* neighbours(const PlantedArgs& args) {
    return reinterpret_cast<const i32*>(args.src);
}

}  // namespace

/// Reads a neighbour's number, round after round: mode 1 forgets the barrier before the read, 2 the one before the next
/// write.
KERNEL(turns, PlantedArgs, THREADS) {
    wait_for_predecessors();
    Numbers& numbers = shared_memory<Numbers>();
    i32 mine = static_cast<i32>(threadIdx.x), sum = 0;
    for (i32 row = 0; row < args.rows; row++) {
        numbers.at[mine] = mine * 3 + row;
        if (args.mode != 1) block_sync();
        sum += numbers.at[(mine + 37) % THREADS];
        if (args.mode != 2) block_sync();
    }
    reinterpret_cast<i32*>(args.dst)[mine] = sum;
}

/// As turns, inside a warp: mode 1 has no warp_sync but a shuffle, which does not order memory.
KERNEL(warp_turns, PlantedArgs, THREADS) {
    wait_for_predecessors();
    Numbers& numbers = shared_memory<Numbers>();
    i32 lane = lane_id();
    i32* own = numbers.at + warp_id() * WARP;
    own[lane] = lane * 5;
    if (args.mode == 1) {
        lane = shuffle(lane, lane);
    } else {
        warp_sync();
    }
    reinterpret_cast<i32*>(args.dst)[threadIdx.x] = own[lane ^ 1];
}

namespace {
constexpr i32 STAGES = 3;
struct Pipeline {
    Vec16 stage[STAGES][THREADS];
};
}  // namespace

/// Sums rows of 16-byte pieces that asynchronous copies bring, two rows ahead. Modes: 1 waits for one group too few, 2 has
/// the barrier before the wait, 3 fetches ahead before the barrier, 4 closes no empty groups at the end, 5 never waits.
KERNEL(pipeline, PlantedArgs, THREADS) {
    wait_for_predecessors();
    Pipeline& shared = shared_memory<Pipeline>();
    const Vec16* src = reinterpret_cast<const Vec16*>(args.src);
    i32 mine = static_cast<i32>(threadIdx.x), sum = 0;
    auto fetch = [&](i32 row) {
        if (row < args.rows) copy_async16(&shared.stage[row % STAGES][mine], src + row * THREADS + mine, true);
        if (row < args.rows || args.mode != 4) copy_commit();
    };
    for (i32 row = 0; row < STAGES - 1; row++) fetch(row);
    for (i32 row = 0; row < args.rows; row++) {
        if (args.mode == 2) block_sync();
        if (args.mode == 1) copy_wait<STAGES - 1>();
        if (args.mode != 1 && args.mode != 5) copy_wait<STAGES - 2>();
        if (args.mode == 3) fetch(row + STAGES - 1);
        if (args.mode != 2) block_sync();
        if (args.mode != 3) fetch(row + STAGES - 1);
        if (args.mode != 5) sum += static_cast<i32>(shared.stage[row % STAGES][(mine + 64) % THREADS].word[1]);
    }
    if (args.mode != 5) copy_wait<0>();
    reinterpret_cast<i32*>(args.dst)[mine] = sum;
}

/// Touches what it may not. Modes: 1 writes past shared memory, 2 reads past it, 3 writes past dst, 4 reads before src,
/// 5 reads src, 6 takes a struct that is larger than the launch's shared memory, 7 touches memory before
/// wait_for_predecessors, 8 loads four bytes from an odd address, 9 streams src, 10 past its end, 11 shared memory.
KERNEL(overrun, PlantedArgs, THREADS) {
    if (args.mode == 7) reinterpret_cast<i32*>(args.dst)[threadIdx.x] = 1;
    Vec16 early = {};
    if (args.mode == 9 || args.mode == 10) early = load16_stream(reinterpret_cast<const Vec16*>(args.src) + args.rows);
    if (args.mode == 11) early = load16_stream(shared_bytes(16));
    wait_for_predecessors();
    i32* shared = reinterpret_cast<i32*>(shared_bytes(THREADS * 4));
    i32* dst = reinterpret_cast<i32*>(args.dst);
    i32 mine = static_cast<i32>(threadIdx.x);
    shared[mine] = mine + static_cast<i32>(early.word[0]);
    if (args.mode == 1) shared[mine + 1] = mine;
    if (args.mode == 2) dst[mine] = shared[mine + args.rows];
    if (args.mode == 3) dst[mine + args.rows] = mine;
    if (args.mode == 4) dst[mine] = neighbours(args)[mine - args.rows];
    if (args.mode == 5) dst[mine] = neighbours(args)[mine];
    if (args.mode == 8) dst[mine] = *reinterpret_cast<const i32*>(args.src + 4 * static_cast<u64>(mine) + 1);
    if (args.mode == 6) dst[mine] = shared_memory<Pipeline>().stage[0][mine].word[0] != 0;
}

/// Barriers and warp operations that threads do not share. Modes: 1 half of the block skips the barrier, 2 the halves are at
/// different barriers, 3 lanes end before a shuffle, 4 lanes are at different shuffles, 5 a warp waits at a barrier while
/// another waits for its own lanes, 6 an odd lane's shuffle against warp_sync, 7 misaligned load16, 8 misaligned load_tiles,
/// 9 the kernel stops itself, 10 a warp operation in a partial warp.
KERNEL(discord, PlantedArgs, THREADS) {
    wait_for_predecessors();
    i32 mine = static_cast<i32>(threadIdx.x);
    i32 value = mine;
    if (args.mode == 1 && mine < 64) block_sync();
    if (args.mode == 2) {
        if (mine < 64) {
            block_sync();
        } else {
            block_sync();
        }
    }
    if (args.mode == 3 && mine % WARP == 5) return;
    if (args.mode == 3 || args.mode == 10) value = shuffle_xor(value, 1);
    if (args.mode == 4) {
        if (mine % 2 == 0) {
            value = shuffle(value, 0);
        } else {
            value = shuffle(value, 1);
        }
    }
    if (args.mode == 5) {
        if (mine < 40) block_sync();
        warp_sync();
    }
    if (args.mode == 6) {
        if (mine % 2 == 0) {
            warp_sync();
        } else {
            value = shuffle(value, 0);
        }
    }
    if (args.mode == 7) value = static_cast<i32>(load16(reinterpret_cast<const unsigned char*>(args.src) + 8).word[0]);
    if (args.mode == 8) {
        u32 tile[4];
        load_tiles(tile, shared_bytes(4096) + mine * 2);
        value = static_cast<i32>(tile[0]);
    }
    fail_if(args.mode == 9 && mine == 70);
    reinterpret_cast<i32*>(args.dst)[mine] = value;
}

namespace {

struct Trial {
    const brantas::emulator::Entry& kernel;
    i32 mode;
    i32 rows = 9;
    i64 shared = sizeof(Pipeline);
    i64 threads = THREADS;
};

struct Outcome {
    std::string violation;
    i64 checksum;
};

Outcome attempt(const Trial& trial) {
    DeviceArray<i32> dst(THREADS, "dst");
    DeviceArray<Vec16> src(static_cast<size_t>(16 * THREADS), "src");
    for (size_t i = 0; i < src.size(); i++) src[i] = {{1, static_cast<u32>(i), 2, 3}};
    std::vector<i32> freed_numbers(THREADS, 1);
    u64 freed = DeviceArray<i32>(freed_numbers, "freed").address();
    bool use_freed = trial.kernel.body == KERNEL_OF(overrun).body && trial.mode == 5;
    PlantedArgs args{dst.address(), use_freed ? freed : src.address(), trial.mode, trial.rows};
    Outcome outcome{launch_violation(trial.kernel, 1, trial.threads, trial.shared, &args, sizeof args), 0};
    for (size_t i = 0; i < dst.size(); i++) outcome.checksum += static_cast<i64>(dst[i]) * static_cast<i64>(i + 1);
    return outcome;
}

constexpr const char* PLANTED = "BRANTAS_PLANTED";

/// Whether a new process that makes the attempt, as TEST(planted_trial), ends badly. A mere fork would not do: in it
/// ThreadSanitizer looks away.
bool child_finds(const Trial& trial) {
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        std::string text = std::string(trial.kernel.name) + " " + std::to_string(trial.mode) + " " +
                           std::to_string(trial.rows) + " " + std::to_string(trial.shared);
        setenv(PLANTED, text.c_str(), 1);
        setenv("ASAN_OPTIONS", "detect_leaks=0:symbolize=0", 1);  // nobody reads the report
        setenv("TSAN_OPTIONS", "halt_on_error=1:symbolize=0", 1);
        if (std::freopen("/dev/null", "w", stderr) == nullptr || std::freopen("/dev/null", "w", stdout) == nullptr) _exit(2);
        execl("/proc/self/exe", "emulator_test", "planted_trial", nullptr);
        _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 2);
    return status != 0;
}

void expect(const Trial& trial, const std::string& part) {
    std::string found = attempt(trial).violation;
    if (found.find(part) == std::string::npos)
        fail_test(std::string(trial.kernel.name) + " mode " + std::to_string(trial.mode) + ": expected \"" + part +
                      "\", found \"" + found + "\"",
                  Site::current());
}

/// The runtime itself reports this, however the kernel was compiled.
void always(const Trial& trial, const std::string& part) {
    for_all_schedules([&](const Schedule&) { expect(trial, part); });
}

/// A race: reported in every schedule when accesses are checked, and by ThreadSanitizer; otherwise some schedule gives
/// another result than the sound kernel.
void race(const Trial& trial, const std::string& part) {
    if (CHECKED) return always(trial, part);
    if (TSAN) CHECK(child_finds(trial));
    if (TSAN || ASAN) return;
    i32 found = 0;
    for_all_schedules([&](const Schedule&) {
        Trial sound = trial;
        sound.mode = 0;
        Outcome right = attempt(sound);
        CHECK(right.violation.empty());
        Outcome wrong = attempt(trial);
        found += !wrong.violation.empty() || wrong.checksum != right.checksum;
    });
    CHECK(found > 0);
}

/// An access outside of memory: reported when accesses are checked, and by AddressSanitizer.
void outside(const Trial& trial, const std::string& part) {
    if (CHECKED) always(trial, part);
    if (ASAN) CHECK(child_finds(trial));
}

}  // namespace

TEST(planted_trial) {
    const char* wish = std::getenv(PLANTED);
    if (wish == nullptr) return;
    for (const auto* kernel : {&KERNEL_OF(turns), &KERNEL_OF(warp_turns), &KERNEL_OF(pipeline), &KERNEL_OF(overrun)}) {
        i32 mode = 0, rows = 0, shared = 0;
        if (std::sscanf(wish, (std::string(kernel->name) + " %d %d %d").c_str(), &mode, &rows, &shared) != 3) continue;
        for_all_schedules([&](const Schedule&) { CHECK(attempt({*kernel, mode, rows, shared}).violation.empty()); });
    }
}

TEST(sound_kernels_pass_and_agree_under_all_schedules) {
    for (const auto* kernel : {&KERNEL_OF(turns), &KERNEL_OF(warp_turns), &KERNEL_OF(pipeline)}) {
        i64 first = 0;
        bool any = false;
        for_all_schedules([&](const Schedule&) {
            Outcome outcome = attempt({*kernel, 0});
            check_equal(outcome.violation.size(), size_t{0}, outcome.violation);
            if (!any) first = outcome.checksum;
            any = true;
            check_equal(outcome.checksum, first, kernel->name);
        });
    }
}

TEST(missing_barriers) {
    race({KERNEL_OF(turns), 1}, "with no block_sync between");
    race({KERNEL_OF(turns), 1}, "emulator_test.cpp:");
    race({KERNEL_OF(turns), 2}, "with no block_sync between");
    // Here a shuffle makes lanes wait for each other, so that no schedule changes the result.
    if (CHECKED || TSAN) race({KERNEL_OF(warp_turns), 1}, "with no warp_sync or block_sync between");
}

TEST(asynchronous_copies) {
    race({KERNEL_OF(pipeline), 1}, "asynchronous copy to which is still under way");
    race({KERNEL_OF(pipeline), 2}, "asynchronous copy to which is still under way");
    race({KERNEL_OF(pipeline), 3}, "asynchronous copy to");
    race({KERNEL_OF(pipeline), 4}, "asynchronous copy to which is still under way");
    always({KERNEL_OF(pipeline), 5, 2}, "ends with an asynchronous copy under way");
}

TEST(accesses_outside_of_memory) {
    i64 exact = THREADS * 4;
    outside({KERNEL_OF(overrun), 1, 0, exact}, CHECKED ? "shared memory" : "");
    outside({KERNEL_OF(overrun), 2, 1, exact}, "shared memory");
    outside({KERNEL_OF(overrun), 3, 1}, " bytes past the end of dst");
    outside({KERNEL_OF(overrun), 4, 2}, " bytes before src");
    outside({KERNEL_OF(overrun), 5}, "freed of line");
    outside({KERNEL_OF(overrun), 5}, "which was freed");
    always({KERNEL_OF(overrun), 6, 0, exact}, "less shared memory than the kernel needs");
    outside({KERNEL_OF(overrun), 8}, "which is misaligned (emulator_test.cpp:");
    if (CHECKED) always({KERNEL_OF(overrun), 7}, "before wait_for_predecessors");
    always({KERNEL_OF(overrun), 10, 16 * THREADS}, " bytes past the end of src");
    always({KERNEL_OF(overrun), 11}, "load16_stream of an address in shared memory");
    for_all_schedules([](const Schedule&) { CHECK(attempt({KERNEL_OF(overrun), 9, 5}).violation.empty()); });
}

TEST(red_zones_show_unchecked_overruns) {
    if (CHECKED || ASAN || TSAN) return;  // there the access itself is reported
    i64 exact = THREADS * 4 - 8;
    always({KERNEL_OF(overrun), 0, 0, exact}, "less shared memory than the kernel needs");
    always({KERNEL_OF(overrun), 1, 0, THREADS * 4 + 2}, "shared memory was overrun");
    DeviceArray<i32> dst(3, "dst");
    dst.data()[3] = 7;
    CHECK(brantas::emulator::check_red_zones().find("memory around dst") != std::string::npos);
    std::memset(dst.data() + 3, 0xff, 4);
}

TEST(barrier_and_warp_discipline) {
    always({KERNEL_OF(discord), 1}, "threads wait for ever");
    always({KERNEL_OF(discord), 2}, "at one block barrier while thread");
    always({KERNEL_OF(discord), 3}, "lanes of ");
    always({KERNEL_OF(discord), 4}, "the lanes of a warp disagree");
    always({KERNEL_OF(discord), 5}, "threads wait for ever");
    always({KERNEL_OF(discord), 6}, "the lanes of a warp disagree");
    always({KERNEL_OF(discord), 7}, "load16 0x");
    always({KERNEL_OF(discord), 8}, "load_tiles 0x");
    always({KERNEL_OF(discord), 9}, "thread 70: the kernel stopped itself (emulator_test.cpp:");
    always({KERNEL_OF(discord), 10, 0, 0, 48}, "the warp has fewer than 32 lanes");
}

TEST(launches_beyond_the_limits_are_refused) {
    always({KERNEL_OF(turns), 0, 1, 164 * 1024}, "bytes of shared memory, where a block may have 166912");
    always({KERNEL_OF(turns), 0, 1, 1024, 129}, "where the kernel is for at most 128");
    always({KERNEL_OF(turns), 0, 1, 1024, 0}, "where the kernel is for at most 128");
    PlantedArgs args{};
    CHECK(launch_violation(KERNEL_OF(turns), 0, 32, 0, &args, sizeof args).find("is not allowed") != std::string::npos);
    CHECK(launch_violation(KERNEL_OF(turns), {1, 65536}, 32, 0, &args, sizeof args).find("is not allowed") != std::string::npos);
    CHECK(launch_violation(KERNEL_OF(turns), 1, 32, 0, &args, 8).find("other arguments") != std::string::npos);
}
