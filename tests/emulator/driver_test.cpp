// The stand-in for the driver's library obeys the driver's rules and reports what breaks them. Linked with the library
// itself; the module image is read from the file that the first test names.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "../kernels/harness.hpp"

extern "C" {
using Handle = void*;
int cuInit(unsigned);
int cuDriverGetVersion(int*);
int cuDeviceGet(int*, int);
int cuDeviceGetName(char*, int, int);
int cuDeviceGetAttribute(int*, int, int);
int cuDevicePrimaryCtxRetain(Handle*, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuCtxSetCurrent(Handle);
int cuCtxSynchronize();
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemAlloc_v2(u64*, size_t);
int cuMemFree_v2(u64);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoD_v2(u64, const void*, size_t);
int cuMemcpyDtoH_v2(void*, u64, size_t);
int cuMemcpyHtoDAsync_v2(u64, const void*, size_t, Handle);
int cuMemcpyDtoHAsync_v2(void*, u64, size_t, Handle);
int cuMemcpyDtoDAsync_v2(u64, u64, size_t, Handle);
int cuMemsetD8Async(u64, unsigned char, size_t, Handle);
int cuMemsetD32_v2(u64, unsigned, size_t);
int cuStreamCreate(Handle*, unsigned);
int cuStreamDestroy_v2(Handle);
int cuStreamSynchronize(Handle);
int cuStreamQuery(Handle);
int cuStreamWaitEvent(Handle, Handle, unsigned);
int cuEventCreate(Handle*, unsigned);
int cuEventRecord(Handle, Handle);
int cuEventSynchronize(Handle);
int cuEventQuery(Handle);
int cuEventElapsedTime(float*, Handle, Handle);
int cuEventDestroy_v2(Handle);
int cuStreamBeginCapture_v2(Handle, int);
int cuStreamEndCapture(Handle, Handle*);
int cuGraphInstantiateWithFlags(Handle*, Handle, unsigned long long);
int cuGraphGetNodes(Handle, Handle*, size_t*);
int cuGraphLaunch(Handle, Handle);
int cuGraphExecDestroy(Handle);
int cuGraphDestroy(Handle);
int cuModuleLoadData(Handle*, const void*);
int cuModuleUnload(Handle);
int cuModuleGetFunction(Handle*, Handle, const char*);
int cuFuncSetAttribute(Handle, int, int);
int cuLaunchKernel(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void**, void**);
int cuLaunchKernelEx(const void*, Handle, void**, void**);
int cuGetErrorName(int, const char**);
int cuGetErrorString(int, const char**);
int64_t brantas_emulator_count(const char*);
const char* brantas_emulator_last_error();
int brantas_emulator_set(const char*, const char*);
void brantas_emulator_reset();
}

namespace {

constexpr size_t COUNT = 100;
constexpr size_t BYTES = COUNT * 4;

struct AddArgs {
    u64 dst;
    i32 count, value;
};

std::vector<char> image() {
    std::ifstream file(std::getenv("BRANTAS_DRIVER_TEST_IMAGE"), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A context with a module, a stream and device memory of zeros; everything as at the start.
struct Session {
    Handle context{}, module{}, add{}, count_blocks{}, stream{};
    u64 memory{};
    std::vector<i32> host = std::vector<i32>(COUNT, -1);

    explicit Session(const char* streams = "immediate") {
        set("STREAMS", streams);
        brantas_emulator_reset();
        CHECK(cuInit(0) == 0);
        CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0);
        CHECK(cuCtxSetCurrent(context) == 0);
        std::vector<char> bytes = image();
        CHECK(cuModuleLoadData(&module, bytes.data()) == 0);
        CHECK(cuModuleGetFunction(&add, module, "add") == 0);
        CHECK(cuModuleGetFunction(&count_blocks, module, "count_blocks") == 0);
        CHECK(cuStreamCreate(&stream, 1) == 0);
        CHECK(cuMemAlloc_v2(&memory, BYTES) == 0);
        CHECK(cuMemsetD32_v2(memory, 0, COUNT) == 0);
        brantas_emulator_reset();
    }
    ~Session() {
        brantas_emulator_reset();
        cuCtxSetCurrent(context);
        cuModuleUnload(module);
        cuStreamDestroy_v2(stream);
        cuCtxSetCurrent(nullptr);
        cuDevicePrimaryCtxRelease_v2(0);
    }
    static void set(const char* name, const char* value) { CHECK(brantas_emulator_set(name, value) == 0); }

    int launch_add(i32 value, i32 count = COUNT) {
        AddArgs args{memory, count, value};
        void* parameters[] = {&args};
        return cuLaunchKernel(add, 2, 1, 1, 64, 1, 1, 0, stream, parameters, nullptr);
    }
    int read() { return cuMemcpyDtoHAsync_v2(host.data(), memory, BYTES, stream); }
    i32 first() {
        i32 value = -1;
        CHECK(cuMemcpyDtoH_v2(&value, memory, 4) == 0);
        return value;
    }
};

bool said(const char* part) {
    return std::strstr(brantas_emulator_last_error(), part) != nullptr;
}

}  // namespace

TEST(device_and_version) {
    Session session;
    char name[64];
    int version = 0, value = 0;
    CHECK(cuDriverGetVersion(&version) == 0 && version == 12060);
    CHECK(cuDeviceGetName(name, 64, 0) == 0 && std::strcmp(name, "Emulated CUDA device") == 0);
    CHECK(cuDeviceGetAttribute(&value, 75, 0) == 0 && value == 8);
    CHECK(cuDeviceGetAttribute(&value, 97, 0) == 0 && value == 163 * 1024);
    Session::set("CAPABILITY", "12.0");
    CHECK(cuDeviceGetAttribute(&value, 97, 0) == 0 && value == 99 * 1024);
    Session::set("CAPABILITY", "8.0");
    CHECK(cuDeviceGet(&value, 1) == 101);
}

TEST(kernels_run_and_copies_arrive) {
    Session session;
    CHECK(session.launch_add(5) == 0 && session.launch_add(-2) == 0 && session.read() == 0);
    CHECK(cuStreamSynchronize(session.stream) == 0);
    for (i32 value : session.host) check_equal(value, 3);
    check_equal(brantas_emulator_count("kernel_launches"), 2);
    check_equal(brantas_emulator_count("device_to_host_copies"), 1);
    check_equal(brantas_emulator_count("bytes_to_host"), static_cast<i64>(BYTES));
    check_equal(brantas_emulator_count("pageable_copies"), 1);
    check_equal(brantas_emulator_count("no such counter"), -1);
}

TEST(traffic_counts_each_sector_of_a_launch_once) {
    Session session;
    CHECK(brantas_emulator_set("TRAFFIC", "count") == 0);
    CHECK(session.launch_add(5) == 0 && session.launch_add(5, 9) == 0 && cuStreamSynchronize(session.stream) == 0);
    check_equal(brantas_emulator_count("runs:add"), 2);
    check_equal(brantas_emulator_count("runs"), 2);
    check_equal(brantas_emulator_count("runs:ad"), 0);
    i64 all = (static_cast<i64>(COUNT) * 4 + 31) / 32 * 32;
    check_equal(brantas_emulator_count("bytes_read:add"), all + 64);
    check_equal(brantas_emulator_count("bytes_written"), all + 64);
    CHECK(brantas_emulator_set("TRAFFIC", "ignore") == 0 && session.launch_add(1) == 0);
    check_equal(brantas_emulator_count("bytes_read"), all + 64);
    brantas_emulator_reset();
    check_equal(brantas_emulator_count("runs"), 0);
}

TEST(blocks_of_several_workers_add_up) {
    Session session;
    Session::set("WORKERS", "4");
    AddArgs args{session.memory, 0, 0};
    void* parameters[] = {&args};
    CHECK(cuLaunchKernel(session.count_blocks, 1000, 1, 1, 64, 1, 1, 0, session.stream, parameters, nullptr) == 0);
    check_equal(session.first(), 999 * 500);
    Session::set("WORKERS", "2");
}

TEST(an_illegal_access_is_sticky_and_explained) {
    Session session;
    CHECK(session.launch_add(1, COUNT + 1) == 0);
    CHECK(cuStreamSynchronize(session.stream) == 700);
    CHECK(said("kernel add, block (1,0,0), thread 36") && said("0 bytes past the end of allocation"));
    CHECK(said("driver_test_kernels.cu:14"));
    u64 more = 0;
    CHECK(cuMemAlloc_v2(&more, 16) == 700);
    const char* text = nullptr;
    CHECK(cuGetErrorName(700, &text) == 0 && std::strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
    CHECK(cuGetErrorString(700, &text) == 0 && std::strstr(text, "past the end") != nullptr);
}

TEST(a_kernel_that_stops_itself_fails_the_launch) {
    Session session;
    AddArgs args{session.memory, 0, -1};
    void* parameters[] = {&args};
    CHECK(cuLaunchKernel(session.count_blocks, 1, 1, 1, 64, 1, 1, 0, session.stream, parameters, nullptr) == 0);
    CHECK(cuCtxSynchronize() == 719 && said("the kernel stopped itself"));
}

TEST(images_for_other_machines_are_refused) {
    Session session;
    Handle module = nullptr;
    std::vector<u32> fat(64, 0);
    fat[0] = 0xba55ed50u;
    CHECK(cuModuleLoadData(&module, fat.data()) == 209);
    std::vector<char> cubin = image();
    cubin[18] = static_cast<char>(190);
    CHECK(cuModuleLoadData(&module, cubin.data()) == 209);
    CHECK(cuModuleLoadData(&module, "this is no image, but text that is long enough to look at its header") == 200);
    Handle function = nullptr;
    CHECK(cuModuleGetFunction(&function, session.module, "subtract") == 500 && function == nullptr);
}

TEST(handles_memory_and_contexts_are_checked) {
    Session session;
    Handle stream = nullptr;
    std::vector<i32> host(COUNT + 1);
    CHECK(cuMemcpyHtoD_v2(session.memory + 4, host.data(), BYTES) == 1 && said("over its end"));
    CHECK(cuMemcpyDtoH_v2(host.data(), session.memory, BYTES + 4) == 1);
    CHECK(cuMemcpyDtoH_v2(reinterpret_cast<void*>(session.memory), session.memory, 4) == 1 && said("is one of the device"));
    CHECK(cuMemcpyDtoDAsync_v2(session.memory + 4, session.memory, 8, session.stream) == 1 && said("overlap"));
    CHECK(cuMemFree_v2(session.memory + 4) == 1);
    CHECK(cuMemFree_v2(session.memory) == 0);
    CHECK(cuMemFree_v2(session.memory) == 1 && said("which was freed"));
    CHECK(session.launch_add(1) == 0);
    CHECK(cuCtxSynchronize() == 700 && said("which was freed"));
    brantas_emulator_reset();
    CHECK(cuStreamCreate(&stream, 0) == 0 && cuStreamDestroy_v2(stream) == 0);
    CHECK(cuStreamSynchronize(stream) == 400 && said("was destroyed before"));
    CHECK(cuStreamSynchronize(host.data()) == 400 && said("is no such handle"));
    int elsewhere = 0;
    std::thread([&] { elsewhere = cuCtxSynchronize(); }).join();
    check_equal(elsewhere, 201);
}

TEST(launches_are_checked) {
    Session session;
    AddArgs args{session.memory, 1, 1};
    void* parameters[] = {&args};
    CHECK(cuLaunchKernel(session.add, 0, 1, 1, 64, 1, 1, 0, session.stream, parameters, nullptr) == 1);
    CHECK(cuLaunchKernel(session.add, 1, 1, 1, 65, 1, 1, 0, session.stream, parameters, nullptr) == 1);
    CHECK(cuLaunchKernel(session.add, 1, 1, 1, 64, 1, 1, 50000, session.stream, parameters, nullptr) == 1);
    CHECK(cuFuncSetAttribute(session.add, 8, 50000) == 0);
    CHECK(cuLaunchKernel(session.add, 1, 1, 1, 64, 1, 1, 50000, session.stream, parameters, nullptr) == 0);
    CHECK(cuFuncSetAttribute(session.add, 8, 163 * 1024 + 1) == 1);
    size_t bytes = sizeof args - 4;
    void* extra[] = {reinterpret_cast<void*>(1), &args, reinterpret_cast<void*>(2), &bytes, nullptr};
    CHECK(cuLaunchKernel(session.add, 1, 1, 1, 64, 1, 1, 0, session.stream, nullptr, extra) == 1 && said("takes 16 bytes"));
    bytes = sizeof args;
    CHECK(cuLaunchKernel(session.add, 1, 1, 1, 64, 1, 1, 0, session.stream, nullptr, extra) == 0);
    check_equal(session.first(), 2);
}

TEST(deferred_streams_show_missing_synchronisation) {
    for (bool synchronise : {false, true}) {
        Session session("deferred");
        CHECK(session.launch_add(7) == 0 && session.read() == 0);
        CHECK(cuStreamQuery(session.stream) == 600);
        if (synchronise) CHECK(cuStreamSynchronize(session.stream) == 0);
        check_equal(session.host[0], synchronise ? 7 : -1);
        if (!synchronise) CHECK(cuCtxSynchronize() == 0);
    }
    Session session("deferred");
    i32 word = 1;
    CHECK(cuMemcpyHtoDAsync_v2(session.memory, &word, 4, session.stream) == 0);
    word = 2;  // too early
    CHECK(cuCtxSynchronize() == 0);
    check_equal(session.first(), 2);
    void* pinned = nullptr;
    CHECK(cuMemHostAlloc(&pinned, 64, 0) == 0);
    CHECK(cuMemcpyHtoDAsync_v2(session.memory, pinned, 65, session.stream) == 1 && said("the pinned memory ends after 64"));
    CHECK(cuMemcpyHtoDAsync_v2(session.memory, pinned, 64, session.stream) == 0);
    CHECK(cuMemFreeHost(pinned) == 0);  // too early as well
    CHECK(cuStreamSynchronize(session.stream) == 700 && said("pinned memory was freed"));
}

TEST(events_order_streams) {
    for (const char* mode : {"immediate", "deferred"}) {
        Session session(mode);
        Handle other = nullptr, event = nullptr, end = nullptr;
        CHECK(cuStreamCreate(&other, 1) == 0 && cuEventCreate(&event, 0) == 0 && cuEventCreate(&end, 0) == 0);
        CHECK(session.launch_add(4) == 0 && cuEventRecord(event, session.stream) == 0);
        CHECK(cuStreamWaitEvent(other, event, 0) == 0);
        i32 word = -1;
        CHECK(cuMemcpyDtoHAsync_v2(&word, session.memory, 4, other) == 0);
        CHECK(cuEventRecord(end, other) == 0 && cuEventSynchronize(end) == 0);
        check_equal(word, 4);
        CHECK(cuEventQuery(event) == 0);
        float elapsed = -1;
        CHECK(cuEventElapsedTime(&elapsed, event, end) == 0 && elapsed >= 0);
        CHECK(cuEventDestroy_v2(event) == 0 && cuEventDestroy_v2(end) == 0 && cuStreamDestroy_v2(other) == 0);
    }
}

TEST(a_clock_may_count_kernels) {
    Session session("immediate");
    CHECK(brantas_emulator_set("CLOCK", "hours") == 1 && brantas_emulator_set("CLOCK", "kernels") == 0);
    Handle start = nullptr, end = nullptr;
    CHECK(cuEventCreate(&start, 0) == 0 && cuEventCreate(&end, 0) == 0 && cuEventRecord(start, session.stream) == 0);
    CHECK(session.launch_add(4) == 0 && session.launch_add(4) == 0 && cuEventRecord(end, session.stream) == 0);
    float elapsed = -1;
    CHECK(cuEventElapsedTime(&elapsed, start, end) == 0 && elapsed == 2);
    CHECK(cuEventDestroy_v2(start) == 0 && cuEventDestroy_v2(end) == 0);
    CHECK(brantas_emulator_set("CLOCK", "time") == 0);
}

TEST(a_wait_is_for_the_record_that_was_the_last_then) {
    Session session("deferred");
    Handle other = nullptr, event = nullptr;
    CHECK(cuStreamCreate(&other, 1) == 0 && cuEventCreate(&event, 0) == 0);
    CHECK(session.launch_add(4) == 0 && cuEventRecord(event, session.stream) == 0);
    CHECK(cuStreamWaitEvent(other, event, 0) == 0);
    CHECK(session.launch_add(1) == 0 && cuEventRecord(event, session.stream) == 0);
    i32 word = -1;
    CHECK(cuMemcpyDtoHAsync_v2(&word, session.memory, 4, other) == 0 && cuStreamSynchronize(other) == 0);
    check_equal(word, 4);
    CHECK(cuEventQuery(event) == 600 && cuEventSynchronize(event) == 0 && cuEventQuery(event) == 0);
    check_equal(session.first(), 5);
}

TEST(captured_work_runs_when_the_graph_is_launched) {
    Session session;
    Handle graph = nullptr, exec = nullptr;
    CHECK(cuStreamBeginCapture_v2(session.stream, 1) == 0);
    CHECK(session.launch_add(3) == 0 && session.launch_add(4) == 0 && session.read() == 0);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 0);
    check_equal(brantas_emulator_count("kernel_launches"), 0);
    check_equal(session.first(), 0);
    size_t nodes = 0;
    CHECK(cuGraphGetNodes(graph, nullptr, &nodes) == 0 && nodes == 3);
    CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0) == 0 && cuGraphDestroy(graph) == 0);
    CHECK(cuGraphLaunch(exec, session.stream) == 0 && cuGraphLaunch(exec, session.stream) == 0);
    CHECK(cuStreamSynchronize(session.stream) == 0);
    check_equal(session.host[99], 14);
    check_equal(brantas_emulator_count("graph_launches"), 2);
    check_equal(brantas_emulator_count("graph_kernels"), 4);
    CHECK(cuGraphExecDestroy(exec) == 0);
    CHECK(cuGraphLaunch(exec, session.stream) == 1 && said("was destroyed before"));
}

TEST(what_a_capture_forbids_spoils_it) {
    Session session;
    Handle graph = nullptr;
    u64 more = 0;
    CHECK(cuStreamBeginCapture_v2(session.stream, 0) == 0);
    CHECK(cuStreamSynchronize(session.stream) == 900);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 901 && graph == nullptr);
    CHECK(cuStreamBeginCapture_v2(session.stream, 1) == 0);
    CHECK(cuMemAlloc_v2(&more, 16) == 900);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 901);
    CHECK(cuStreamBeginCapture_v2(session.stream, 2) == 0);
    CHECK(cuMemAlloc_v2(&more, 16) == 0);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 0 && cuGraphDestroy(graph) == 0);
    CHECK(cuStreamBeginCapture_v2(nullptr, 1) == 900);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 1);
    // Another thread goes on allocating beside a capture of this thread only.
    CHECK(cuStreamBeginCapture_v2(session.stream, 1) == 0);
    int elsewhere = -1;
    std::thread([&] { elsewhere = cuCtxSetCurrent(session.context) + cuMemAlloc_v2(&more, 16); }).join();
    check_equal(elsewhere, 0);
    CHECK(cuStreamEndCapture(session.stream, &graph) == 0 && cuGraphDestroy(graph) == 0);
}

TEST(captures_fork_and_must_join) {
    for (bool join : {false, true}) {
        Session session;
        Handle other = nullptr, event = nullptr, graph = nullptr;
        CHECK(cuStreamCreate(&other, 1) == 0 && cuEventCreate(&event, 0) == 0);
        CHECK(cuStreamBeginCapture_v2(session.stream, 1) == 0);
        CHECK(cuEventRecord(event, session.stream) == 0 && cuStreamWaitEvent(other, event, 0) == 0);
        CHECK(cuMemsetD8Async(session.memory, 1, 4, other) == 0);
        CHECK(cuEventQuery(event) == 907);
        if (join) CHECK(cuEventRecord(event, other) == 0 && cuStreamWaitEvent(session.stream, event, 0) == 0);
        check_equal(cuStreamEndCapture(session.stream, &graph), join ? 0 : 904);
    }
}

TEST(failures_strike_where_they_are_injected) {
    Session session;
    u64 more = 0;
    void* pinned = nullptr;
    Session::set("FAIL_ALLOCATION", "2");
    CHECK(cuMemAlloc_v2(&more, 16) == 0 && cuMemAlloc_v2(&more, 16) == 2 && cuMemAlloc_v2(&more, 16) == 0);
    CHECK(said("injected failure of ALLOCATION"));
    Session::set("FAIL_PINNED", "1");
    CHECK(cuMemHostAlloc(&pinned, 16, 0) == 2);
    Session::set("FAIL_LAUNCH", "1");
    CHECK(session.launch_add(1) == 701 && session.launch_add(1) == 0);
    Session::set("FAIL_SHARED", "1");
    CHECK(cuFuncSetAttribute(session.add, 8, 50000) == 1 && cuFuncSetAttribute(session.add, 8, 50000) == 0);
    Session::set("MISSING_SYMBOL", "add");
    CHECK(cuModuleGetFunction(&session.add, session.module, "add") == 500);
    Session::set("MISSING_SYMBOL", "");
    CHECK(cuModuleGetFunction(&session.add, session.module, "add") == 0);
    Session::set("FAIL_KERNEL", "1");
    CHECK(session.launch_add(1) == 0 && cuStreamSynchronize(session.stream) == 719);
    brantas_emulator_reset();
    Session::set("FAIL_COPY", "1");
    CHECK(session.read() == 0 && cuStreamSynchronize(session.stream) == 700);
    brantas_emulator_reset();
    CHECK(brantas_emulator_set("FAIL_NOTHING", "1") == 1 && said("there is no choice BRANTAS_EMULATOR_FAIL_NOTHING"));
}

TEST(memory_is_as_large_as_chosen) {
    Session session;
    size_t free_bytes = 0, total = 0;
    u64 more = 0;
    Session::set("MEMORY", "1000");
    CHECK(cuMemGetInfo_v2(&free_bytes, &total) == 0 && total == 1000 && free_bytes == 1000 - BYTES);
    CHECK(cuMemAlloc_v2(&more, 601) == 2 && cuMemAlloc_v2(&more, 600) == 0);
    check_equal(brantas_emulator_count("live_bytes"), 1000);
    CHECK(cuMemFree_v2(more) == 0);
    check_equal(brantas_emulator_count("live_bytes"), static_cast<i64>(BYTES));
    Session::set("MEMORY", "2147483648");
}

TEST(a_context_that_ends_takes_its_memory_along) {
    {
        Session session;
        check_equal(brantas_emulator_count("live_allocations"), 1);
        check_equal(brantas_emulator_count("live_streams"), 1);
        check_equal(brantas_emulator_count("live_modules"), 1);
    }
    for (const char* what : {"live_allocations", "live_bytes", "live_streams", "live_modules"})
        check_equal(brantas_emulator_count(what), 0, what);
}

TEST(kernels_can_be_skipped) {
    Session session;
    Session::set("KERNELS", "skip");
    CHECK(session.launch_add(1) == 0);
    Session::set("KERNELS", "run");
    check_equal(session.first(), 0);
    check_equal(brantas_emulator_count("kernel_launches"), 1);
}

TEST(dependent_launches_need_a_device_that_has_them) {
    Session session;
    struct {
        int id = 6, padding = 0;
        unsigned char value[64] = {1};
    } attribute;
    struct {
        unsigned grid[3] = {2, 1, 1}, block[3] = {64, 1, 1}, shared = 0;
        Handle stream;
        void* attributes;
        unsigned count = 1;
    } config;
    config.stream = session.stream;
    config.attributes = &attribute;
    AddArgs args{session.memory, COUNT, 6};
    void* parameters[] = {&args};
    CHECK(cuLaunchKernelEx(&config, session.add, parameters, nullptr) == 801);
    Session::set("CAPABILITY", "9.0");
    CHECK(cuLaunchKernelEx(&config, session.add, parameters, nullptr) == 0);
    Session::set("CAPABILITY", "8.0");
    check_equal(session.first(), 6);
    check_equal(brantas_emulator_count("dependent_launches"), 1);
}

TEST(unknown_choices_in_the_environment_fail_the_start) {
    for (const char* choice : {"BRANTAS_EMULATOR_SCHEDULE=sideways", "BRANTAS_EMULATOR_SCEDULE=random"}) {
        pid_t child = fork();
        if (child == 0) {
            std::string assignment = choice;
            size_t equals = assignment.find('=');
            if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(3);
            setenv(assignment.substr(0, equals).c_str(), assignment.c_str() + equals + 1, 1);
            execl("/proc/self/exe", "driver_test", "only_start", nullptr);
            _exit(3);
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    }
}

TEST(only_start) {
    check_equal(cuInit(0), 0);
}
