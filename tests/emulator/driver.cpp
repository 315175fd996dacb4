// What all entry points share: the lock, errors and their texts, injected failures, counters, and the functions by which a
// test in the same process steers the device (brantas_emulator_…); see driver.hpp.
#include "driver.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "memory.hpp"

namespace brantas::emulator {
namespace {

struct Name {
    Code code;
    const char* name;
    const char* text;
};

constexpr Name NAMES[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {static_cast<Code>(34), "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {static_cast<Code>(218), "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {static_cast<Code>(222), "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {PRIMARY_CONTEXT_ACTIVE, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "the primary context is active"},
    {CONTEXT_IS_DESTROYED, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {static_cast<Code>(802), "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {static_cast<Code>(803), "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {static_cast<Code>(804), "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"},
    {STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "capture was invalidated by an earlier error"},
    {STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not begun in this stream"},
    {STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capture has unjoined work"},
    {STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency on uncaptured work"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const Name* name_of(int code) {
    for (const Name& name : NAMES)
        if (name.code == code) return &name;
    return nullptr;
}

std::set<const Handle*>& handles() {
    static auto& all = *new std::set<const Handle*>;
    return all;
}

}  // namespace

Driver& driver() {
    static Driver& made = *[] {
        auto* fresh = new Driver;
        fresh->primary.primary = true;
        fresh->primary.alive = false;
        fresh->null_stream.context = &fresh->primary;
        handles().insert(&fresh->primary);
        std::atexit(report_leaks);
        return fresh;
    }();
    return made;
}

void register_handle(Handle* handle) {
    handles().insert(handle);
}

bool is_valid(const Handle* handle, const char* what, const char* function) {
    if (handles().contains(handle) && handle->alive) return true;
    error(INVALID_HANDLE, std::string(function) + ": " + what +
                              (handles().contains(handle) ? " was destroyed before" : " is no such handle"));
    return false;
}

Code error(Code code, const std::string& text) {
    driver().last_error = text;
    std::fprintf(stderr, "emulated device: %s\n", text.c_str());
    return code;
}

bool strikes(const char* what) {
    auto found = driver().choices.failures.find(what);
    if (found == driver().choices.failures.end() || found->second == 0) return false;
    if (--found->second != 0) return false;
    driver().last_error = std::string("injected failure of ") + what;
    return true;
}

Entered::Entered(const char* function, unsigned needs) : lock_(driver().mutex) {
    Driver& device = driver();
    device.calls_inside++;
    if (needs == NOTHING) return;
    if (!device.initialized) {
        code = error(NOT_INITIALIZED, std::string(function) + " before cuInit");
        return;
    }
    if (needs & CONTEXT) {
        Context* context = current_context();
        if (context == nullptr || !context->alive) {
            code = error(context == nullptr ? INVALID_CONTEXT : CONTEXT_IS_DESTROYED,
                         std::string(function) + ": this thread has no " + (context == nullptr ? "" : "living ") + "current context");
            return;
        }
        code = device.sticky;
        if (code != SUCCESS) return;
    }
    if (!(needs & NO_CAPTURE)) return;
    for (Capture* capture : device.captures) {
        if (capture->mode == 2 || (capture->mode == 1 && capture->thread != std::this_thread::get_id())) continue;
        capture->invalidated = true;
        code = error(STREAM_CAPTURE_UNSUPPORTED, std::string(function) + " while a stream is being captured");
    }
}

Entered::~Entered() {
    if (--driver().calls_inside > 0) return;
    auto inside = std::chrono::steady_clock::now() - since_;
    driver().count("nanoseconds_inside", std::chrono::duration_cast<std::chrono::nanoseconds>(inside).count());
}

void report_leaks() {
    Driver& device = driver();
    if (!device.choices.print_leaks) return;
    for (const auto& [address, memory] : device.device_memory)
        std::fprintf(stderr, "emulated device: device memory of %llu bytes was never freed\n",
                     static_cast<unsigned long long>(memory.bytes));
    for (const auto& [address, pinned] : device.pinned_memory)
        std::fprintf(stderr, "emulated device: pinned memory of %llu bytes was never freed\n",
                     static_cast<unsigned long long>(pinned.bytes));
    for (const char* what : {"live_streams", "live_events", "live_modules", "live_graphs", "live_graph_execs"})
        if (int64_t live = device.counts[what]; live != 0)
            std::fprintf(stderr, "emulated device: %s at exit: %lld\n", what, static_cast<long long>(live));
}

}  // namespace brantas::emulator

using namespace brantas::emulator;

API cuGetErrorName(int code, const char** name) {
    const Name* found = name_of(code);
    *name = found == nullptr ? nullptr : found->name;
    return found == nullptr ? INVALID_VALUE : SUCCESS;
}

/// The driver's text, and for the code of the last error also what this device noted about it.
API cuGetErrorString(int code, const char** text) {
    const Name* found = name_of(code);
    static thread_local std::string answer;
    std::lock_guard lock(driver().mutex);
    *text = nullptr;
    if (found == nullptr) return INVALID_VALUE;
    answer = found->text;
    if (code != SUCCESS && !driver().last_error.empty()) answer += ": " + driver().last_error;
    *text = answer.c_str();
    return SUCCESS;
}

namespace {

/// Answers for counters that are kept by kernel: `runs`, `bytes_read` and `bytes_written`, of all kernels or of one.
bool count_of_kernels(std::string_view name, int64_t& answer) {
    static const std::map<std::string_view, int64_t KernelCounts::*> COUNTERS = {
        {"runs", &KernelCounts::runs},
        {"bytes_read", &KernelCounts::bytes_read},
        {"bytes_written", &KernelCounts::bytes_written}};
    size_t colon = name.find(':');
    auto counter = COUNTERS.find(name.substr(0, colon));
    if (counter == COUNTERS.end()) return false;
    for (const auto& [kernel, counts] : driver().by_kernel)
        if (colon == name.npos || kernel == name.substr(colon + 1)) answer += counts.*counter->second;
    return true;
}

}  // namespace

#define TEST_API extern "C" __attribute__((visibility("default")))

/// A counter's value by its name; −1 if there is none of this name. Those that begin with `live_` count what is there now.
/// Those with a colon are about one kernel: `runs:NAME`.
TEST_API int64_t brantas_emulator_count(const char* name) {
    static const std::set<std::string> KNOWN = {
        "kernel_launches", "graph_launches",     "graph_kernels",   "dependent_launches", "host_to_device_copies",
        "device_to_host_copies", "device_to_device_copies", "sets",  "bytes_to_device",    "bytes_to_host",
        "pageable_copies", "synchronizations",   "allocations",     "pinned_allocations", "live_allocations",
        "live_bytes",      "live_pinned",        "live_pinned_bytes", "live_streams",     "live_events",
        "live_modules",    "live_graphs",        "live_graph_execs", "most_bytes",      "nanoseconds_inside"};
    std::lock_guard lock(driver().mutex);
    if (int64_t answer = 0; count_of_kernels(name, answer)) return answer;
    if (!KNOWN.contains(name)) return -1;
    auto found = driver().counts.find(name);
    return found == driver().counts.end() ? 0 : found->second;
}

/// What the device noted about the last error; empty if there was none since the last reset. Valid until the next call.
TEST_API const char* brantas_emulator_last_error() {
    static thread_local std::string answer;
    std::lock_guard lock(driver().mutex);
    answer = driver().last_error;
    return answer.c_str();
}

/// Counters that do not begin with `live_` start from zero again, injected failures and the device's error are forgotten;
/// memory, handles and other choices stay.
TEST_API void brantas_emulator_reset() {
    std::lock_guard lock(driver().mutex);
    Driver& device = driver();
    for (auto& [name, value] : device.counts)
        if (!name.starts_with("live_")) value = 0;
    device.by_kernel.clear();
    device.choices.failures.clear();
    device.choices.missing_symbol.clear();
    device.last_error.clear();
    device.sticky = SUCCESS;
}

/// Sets a choice at run time, by the name of its environment variable without the prefix. 0, or 1 with the reason as the
/// last error.
TEST_API int brantas_emulator_set(const char* name, const char* value) {
    std::lock_guard lock(driver().mutex);
    std::string wrong = choose(name, value);
    if (wrong.empty()) return 0;
    error(INVALID_VALUE, wrong);
    return 1;
}
