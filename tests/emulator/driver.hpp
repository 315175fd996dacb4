// The stand-in for the CUDA driver library: its state, and what all of its entry points share. Entry points keep the
// driver's names, codes and rules; where the driver would merely misbehave, this one refuses and says why. One lock covers
// everything: a kernel runs while its launch or the synchronising call holds it.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "launch.hpp"

#define API extern "C" __attribute__((visibility("default"))) brantas::emulator::Code

namespace brantas::emulator {

/// Error codes with the driver's numbers.
enum Code : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    PRIMARY_CONTEXT_ACTIVE = 708,
    CONTEXT_IS_DESTROYED = 709,
    MISALIGNED_ADDRESS = 716,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    STREAM_CAPTURE_UNSUPPORTED = 900,
    STREAM_CAPTURE_INVALIDATED = 901,
    STREAM_CAPTURE_UNMATCHED = 903,
    STREAM_CAPTURE_UNJOINED = 904,
    STREAM_CAPTURE_ISOLATION = 905,
    CAPTURED_EVENT = 907,
    UNKNOWN = 999,
};

using Address = unsigned long long;

/// Common to all handles. The few bytes of a destroyed one stay, so that its use is recognised.
struct Handle {
    bool alive = true;
};

struct Context : Handle {
    bool primary = false;
    unsigned flags = 0;
};

struct Stream;

struct Event : Handle {
    uint64_t recorded = 0;  // how often
    uint64_t reached = 0;   // the last record that its stream has come to
    bool captured = false;  // its last record belongs to a capture
    uint64_t captured_nodes = 0;
    double milliseconds = 0;
    Stream* stream = nullptr;
    struct Capture* capture = nullptr;

    bool pending() const { return reached < recorded; }
};

/// Work of a stream, done when its turn comes.
using Work = std::function<Code()>;

enum class NodeKind : int { KERNEL = 0, COPY = 1, SET = 2 };

struct Node {
    NodeKind kind;
    Work act;
};

struct Graph : Handle {
    std::vector<Node> nodes;
};

struct Capture {
    std::unique_ptr<Graph> graph = std::make_unique<Graph>();
    Stream* origin;
    uint64_t id;
    int mode;  // 0 global, 1 of its thread, 2 relaxed
    std::thread::id thread;
    bool invalidated = false;
    std::vector<Stream*> joined;  // other streams that a wait for a captured event brought in
};

struct Stream : Handle {
    Context* context = nullptr;
    bool blocking = true;  // waits for the null stream and makes it wait
    std::deque<Work> queue;
    Capture* capture = nullptr;
    uint64_t nodes_in_capture = 0;
    uint64_t nodes_joined = 0;  // of these, so many precede what the origin has waited for
};

struct Module;

struct Function : Handle {
    const Entry* entry;
    Module* module;
    uint32_t most_shared_bytes = 48 * 1024;
};

struct Module : Handle {
    void* library = nullptr;
    int file = -1;
    std::map<std::string, Function*> functions;
};

struct DeviceMemory {
    uint64_t bytes;
    Context* context;
};

struct PinnedMemory {
    uint64_t bytes;
    uint64_t number;
};

enum class Streams : uint8_t { IMMEDIATE, DEFERRED };

/// What tests choose: from the environment, or at run time through brantas_emulator_set.
struct Choices {
    Settings kernels;
    Streams streams = Streams::IMMEDIATE;
    uint64_t memory_bytes = 2ull << 30;
    int capability = 80;
    int driver_version = 12060;
    int start_error = 0;  // cuInit's answer
    bool run_kernels = true;
    bool clock_counts_kernels = false;
    bool count_traffic = false;
    bool skip_large_copies = false;
    bool print_leaks = false;
    std::string missing_symbol;
    std::map<std::string, uint64_t> failures;  // by what fails: the how manieth from now, 0 for never
};

/// What one kernel did since the last reset.
struct KernelCounts {
    int64_t runs = 0;
    int64_t bytes_read = 0;
    int64_t bytes_written = 0;
};

/// What counts as large where large copies are skipped.
constexpr uint64_t LARGE_BYTES = 1 << 20;

struct Driver {
    std::recursive_mutex mutex;
    bool initialized = false;
    Choices choices;
    std::string refused_choice;  // of the environment; cuInit fails with it
    Code sticky = SUCCESS;       // an error of the device, returned by every call until the context goes
    std::string last_error;
    std::map<std::string, int64_t> counts;
    int calls_inside = 0;      // calls of the program under way, one inside the other
    int64_t kernels_done = 0;  // since the library was loaded
    std::map<std::string, KernelCounts, std::less<>> by_kernel;
    Context primary;
    int primary_references = 0;
    std::vector<Stream*> streams;
    Stream null_stream;
    std::vector<Capture*> captures;
    std::map<Address, DeviceMemory> device_memory;
    uint64_t device_bytes = 0;
    std::map<uintptr_t, PinnedMemory> pinned_memory;
    uint64_t next_number = 1;

    /// A thing that tests count, by the name that brantas_emulator_count takes.
    void count(const char* name, int64_t by = 1) { counts[name] += by; }
};

Driver& driver();

/// The current context of the calling thread, or null.
Context* current_context();

/// Notes and prints an error and gives its code back.
Code error(Code code, const std::string& text);
/// Whether the injected failure of this kind strikes now.
bool strikes(const char* what);
/// Sets one choice by its name without prefix; says what is wrong with it, or nothing.
std::string choose(const std::string& name, const std::string& value);

/// What an entry point requires before it does anything.
enum Needs : unsigned {
    NOTHING = 0,
    INITIALIZED = 1,
    CONTEXT = 2,   // current in this thread, and no error of the device so far
    NO_CAPTURE = 4,  // would break a capture that is under way in this thread
};

/// Holds the lock while an entry point runs; `code` says whether it may.
class Entered {
public:
    Entered(const char* function, unsigned needs);
    ~Entered();
    Code code = SUCCESS;

private:
    std::lock_guard<std::recursive_mutex> lock_;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

#define ENTER(function, needs)                  \
    brantas::emulator::Entered entered(#function, needs); \
    if (entered.code != brantas::emulator::SUCCESS) return entered.code

/// The stream behind a handle, or null after noting an error.
Stream* stream_of(void* handle, const char* function);
/// Whether a handle of this type was given out and not destroyed; notes an error if not.
bool is_valid(const Handle* handle, const char* what, const char* function);

/// Does or queues or records work of a stream.
Code submit(Stream& stream, NodeKind kind, Work act);
/// Does a stream's queued work, and what that depends on.
Code flush(Stream& stream);
Code flush_all();
/// Makes way for a call that works as if in the null stream and waits.
Code flush_for_null_stream();

/// All handles ever given out, to tell them from wild pointers.
void register_handle(Handle* handle);

Code launch(Function& function, Index blocks, Index threads, uint32_t shared_bytes, Stream& stream, void** parameters,
            void** extra);
/// Frees what a context that ends still holds.
void free_memory_of(const Context& context);
void report_leaks();
uint32_t most_shared_bytes(int capability);

}  // namespace brantas::emulator
