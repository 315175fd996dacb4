// What a running kernel sees of the emulated device: its place in the grid, and the operations that need the runtime
// because other threads take part in them (barriers, warp operations), because time passes in them (asynchronous copies)
// or because they must be checked. The host body of port.cuh is built on these functions and on nothing else. Operands
// travel by value, so that the kernel's registers need no address.
#pragma once
#include <cstdint>
#include <source_location>

namespace brantas::emulator {

/// Where in the kernel's source an operation stands.
using Site = std::source_location;

struct Index {
    uint32_t x = 1, y = 1, z = 1;
};


/// A kernel of an image: KERNEL defines one under the name brantas_kernel_<name>.
struct Entry {
    const char* name;
    const char* file;
    uint32_t line;
    uint32_t most_threads;
    uint32_t args_bytes;
    bool checked;  // every load and store comes through the hooks
    void (*body)(const void* args);
};

/// Four registers of a thread: a fragment of a matrix.
struct Words {
    uint32_t at[4];
};
struct Floats {
    float at[4];
};

enum class Format : uint8_t { BF16, F16 };
enum class Operation : uint8_t { SYNC, SHUFFLE, SHUFFLE_XOR, SHUFFLE_UP, VOTE, LOAD_TILES, TRANSPOSE_TILE, MMA };
enum class Update : uint8_t { ADD, MAX, OR };

#pragma GCC visibility push(default)

// The running thread's place, which never changes while it runs: the compiler may ask once and keep the answer. One number
// a function, since only such calls are moved out of loops.
[[gnu::const]] uint32_t thread_of_block() noexcept;
[[gnu::const]] uint32_t threads_of_block() noexcept;
[[gnu::const]] uint32_t block_x() noexcept;
[[gnu::const]] uint32_t block_y() noexcept;
[[gnu::const]] uint32_t block_z() noexcept;
[[gnu::const]] uint32_t blocks_x() noexcept;
[[gnu::const]] uint32_t blocks_y() noexcept;
[[gnu::const]] uint32_t blocks_z() noexcept;
[[gnu::const]] uint32_t lane_of_warp() noexcept;
[[gnu::const]] uint32_t warp_of_block() noexcept;
/// The block's shared memory.
[[gnu::const]] unsigned char* shared_start() noexcept;
[[gnu::const]] uint32_t shared_size() noexcept;
/// From here on the kernel may touch global memory.
void wait_for_predecessors();

/// The one load that need not wait for predecessors.
Words load16_stream(const void* from, Site site);

void block_sync(Site site);
void warp_sync(Site site);
/// Every lane gives a value and gets that of lane `from`.
uint64_t exchange(Operation operation, uint64_t value, uint32_t from, Site site);
uint32_t vote(bool predicate, Site site);
Words load_tiles(const void* row, bool transposed, Site site);
uint32_t transpose_tile(uint32_t pair, Site site);
Floats mma(Format format, Floats d, Words a, uint32_t b0, uint32_t b1, Site site);

void copy_async16(void* shared, const void* global, bool valid, Site site);
void copy_commit();
void copy_wait(uint32_t pending);

uint32_t atomic32(Update update, void* at, uint32_t value, Site site);
uint64_t atomic64(Update update, void* at, uint64_t value, Site site);
void fence_device();

/// Ends the kernel with an error that names the site.
[[noreturn]] void fail(const char* what, Site site);
[[noreturn]] void fail_misaligned(const char* operation, const void* address, Site site);

#pragma GCC visibility pop
}  // namespace brantas::emulator
