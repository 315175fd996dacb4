// Device memory, pinned host memory, copies and sets. A copy checks its device side when it is asked for and once more when
// it happens, because in between the memory may have been freed; pinned memory is checked in the same way.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "driver.hpp"
#include "memory.hpp"

namespace brantas::emulator {
namespace {

std::string hex(uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

/// The device side of a copy.
Code check_device(Address address, uint64_t bytes, const char* function) {
    if (is_allocated(address, bytes)) return SUCCESS;
    return error(INVALID_VALUE, std::string(function) + " of " + std::to_string(bytes) + " bytes at " + hex(address) + ", " +
                                    describe_address(address, bytes));
}

/// The pinned memory that an address lies in, by its number, or 0.
uint64_t pinned_number(const void* host, uint64_t& left) {
    auto address = reinterpret_cast<uintptr_t>(host);
    auto next = driver().pinned_memory.upper_bound(address);
    if (next == driver().pinned_memory.begin()) return 0;
    auto [start, pinned] = *std::prev(next);
    if (address - start >= pinned.bytes) return 0;
    left = pinned.bytes - (address - start);
    return pinned.number;
}

struct HostSide {
    void* host;
    uint64_t bytes;
    uint64_t pinned;  // number, or 0 if pageable
};

/// The host side of a copy; pageable memory is as good as pinned as far as a copy can know.
Code check_host(const void* host, uint64_t bytes, const char* function, HostSide& side) {
    if (host == nullptr) return error(INVALID_VALUE, std::string(function) + ": the host address is null");
    if (is_device_address(reinterpret_cast<uintptr_t>(host)))
        return error(INVALID_VALUE, std::string(function) + ": the host address " + hex(reinterpret_cast<uintptr_t>(host)) +
                                        " is one of the device");
    uint64_t left = 0;
    side = {const_cast<void*>(host), bytes, pinned_number(host, left)};
    if (side.pinned != 0 && bytes > left)
        return error(INVALID_VALUE, std::string(function) + " of " + std::to_string(bytes) +
                                        " bytes, but the pinned memory ends after " + std::to_string(left));
    return SUCCESS;
}

Code check_host_again(const HostSide& side) {
    uint64_t left = 0;
    if (side.pinned == pinned_number(side.host, left)) return SUCCESS;
    return error(ILLEGAL_ADDRESS, "pinned memory was freed while a copy of it was under way");
}

Code check_device_again(Address address, uint64_t bytes) {
    if (is_allocated(address, bytes)) return SUCCESS;
    return error(ILLEGAL_ADDRESS, "a copy under way found its device memory freed: " + describe_address(address, bytes));
}

bool skips(uint64_t bytes) {
    return driver().choices.skip_large_copies && bytes >= LARGE_BYTES;
}

Code copy_to_device(Address to, const void* from, size_t bytes, Stream& stream, const char* function) {
    HostSide side{};
    if (Code code = check_device(to, bytes, function)) return code;
    if (Code code = check_host(from, bytes, function, side)) return code;
    driver().count(side.pinned == 0 ? "pageable_copies" : "pinned_copies");
    return submit(stream, NodeKind::COPY, [to, side] {
        if (strikes("COPY")) return ILLEGAL_ADDRESS;
        if (Code code = check_host_again(side)) return code;
        if (Code code = check_device_again(to, side.bytes)) return code;
        if (!skips(side.bytes)) std::memcpy(reinterpret_cast<void*>(to), side.host, side.bytes);
        driver().count("host_to_device_copies");
        driver().count("bytes_to_device", static_cast<int64_t>(side.bytes));
        return SUCCESS;
    });
}

Code copy_to_host(void* to, Address from, size_t bytes, Stream& stream, const char* function) {
    HostSide side{};
    if (Code code = check_device(from, bytes, function)) return code;
    if (Code code = check_host(to, bytes, function, side)) return code;
    driver().count(side.pinned == 0 ? "pageable_copies" : "pinned_copies");
    return submit(stream, NodeKind::COPY, [from, side] {
        if (strikes("COPY")) return ILLEGAL_ADDRESS;
        if (Code code = check_host_again(side)) return code;
        if (Code code = check_device_again(from, side.bytes)) return code;
        std::memcpy(side.host, reinterpret_cast<const void*>(from), side.bytes);
        driver().count("device_to_host_copies");
        driver().count("bytes_to_host", static_cast<int64_t>(side.bytes));
        return SUCCESS;
    });
}

Code copy_on_device(Address to, Address from, size_t bytes, Stream& stream, const char* function) {
    if (Code code = check_device(to, bytes, function)) return code;
    if (Code code = check_device(from, bytes, function)) return code;
    if (to < from + bytes && from < to + bytes)
        return error(INVALID_VALUE, std::string(function) + ": source and destination overlap");
    return submit(stream, NodeKind::COPY, [=] {
        if (strikes("COPY")) return ILLEGAL_ADDRESS;
        if (Code code = check_device_again(to, bytes)) return code;
        if (Code code = check_device_again(from, bytes)) return code;
        std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        driver().count("device_to_device_copies");
        return SUCCESS;
    });
}

template <class T>
Code set(Address to, T value, size_t count, Stream& stream, const char* function) {
    if (to % sizeof(T) != 0) return error(INVALID_VALUE, std::string(function) + ": the address is misaligned");
    if (Code code = check_device(to, count * sizeof(T), function)) return code;
    return submit(stream, NodeKind::SET, [=] {
        if (Code code = check_device_again(to, count * sizeof(T))) return code;
        if (!skips(count * sizeof(T))) std::fill_n(reinterpret_cast<T*>(to), count, value);
        driver().count("sets");
        return SUCCESS;
    });
}

/// Work of the null stream, done before the call returns.
Code now(Code code) {
    return code == SUCCESS ? flush_for_null_stream() : code;
}

void forget(std::map<Address, DeviceMemory>::iterator memory) {
    Driver& device = driver();
    release(memory->first);
    device.device_bytes -= memory->second.bytes;
    device.count("live_allocations", -1);
    device.count("live_bytes", -static_cast<int64_t>(memory->second.bytes));
    device.device_memory.erase(memory);
}

}  // namespace

void free_memory_of(const Context& context) {
    auto& all = driver().device_memory;
    for (auto at = all.begin(); at != all.end();) {
        auto memory = at++;
        if (memory->second.context != &context) continue;
        if (driver().choices.print_leaks)
            error(SUCCESS, "a context ends with " + std::to_string(memory->second.bytes) + " bytes of device memory allocated");
        forget(memory);
    }
}

}  // namespace brantas::emulator

using namespace brantas::emulator;

API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    ENTER(cuMemGetInfo_v2, CONTEXT);
    *total = driver().choices.memory_bytes;
    *free_bytes = *total - std::min<size_t>(driver().device_bytes, *total);
    return SUCCESS;
}

API cuMemAlloc_v2(Address* address, size_t bytes) {
    ENTER(cuMemAlloc_v2, CONTEXT | NO_CAPTURE);
    Driver& device = driver();
    if (bytes == 0) return error(INVALID_VALUE, "cuMemAlloc of 0 bytes");
    if (strikes("ALLOCATION")) return OUT_OF_MEMORY;
    if (bytes > device.choices.memory_bytes || device.device_bytes + bytes > device.choices.memory_bytes)
        return error(OUT_OF_MEMORY, "cuMemAlloc of " + std::to_string(bytes) + " bytes where " +
                                        std::to_string(device.choices.memory_bytes - std::min(device.device_bytes, device.choices.memory_bytes)) +
                                        " of " + std::to_string(device.choices.memory_bytes) + " are free");
    device.count("allocations");
    uint64_t got = allocate(bytes, "allocation " + std::to_string(device.counts["allocations"]));
    if (got == 0) return error(OUT_OF_MEMORY, "the emulated device has used up its addresses");
    device.device_memory[got] = {bytes, current_context()};
    device.device_bytes += bytes;
    device.count("live_allocations");
    device.count("live_bytes", static_cast<int64_t>(bytes));
    int64_t& most = device.counts["most_bytes"];
    most = std::max(most, device.counts["live_bytes"]);
    *address = got;
    return SUCCESS;
}

/// As the driver's, this waits for all work.
API cuMemFree_v2(Address address) {
    ENTER(cuMemFree_v2, CONTEXT | NO_CAPTURE);
    if (address == 0) return SUCCESS;
    auto memory = driver().device_memory.find(address);
    if (memory == driver().device_memory.end())
        return error(INVALID_VALUE, "cuMemFree of " + hex(address) + ", which is not allocated: " + describe_address(address, 1));
    Code code = flush_all();
    std::string overrun = check_red_zone(address);
    forget(memory);
    return overrun.empty() ? code : driver().sticky = error(ILLEGAL_ADDRESS, overrun);
}

API cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    ENTER(cuMemHostAlloc, CONTEXT | NO_CAPTURE);
    if (bytes == 0) return error(INVALID_VALUE, "cuMemHostAlloc of 0 bytes");
    if (strikes("PINNED")) return OUT_OF_MEMORY;
    void* got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) return error(OUT_OF_MEMORY, "no host memory to pin");
    if (bytes <= 64u << 20) std::memset(got, 0xff, bytes);
    Driver& device = driver();
    device.pinned_memory[reinterpret_cast<uintptr_t>(got)] = {bytes, device.next_number++};
    device.count("pinned_allocations");
    device.count("live_pinned");
    device.count("live_pinned_bytes", static_cast<int64_t>(bytes));
    *address = got;
    return SUCCESS;
}

API cuMemAllocHost_v2(void** address, size_t bytes) {
    return cuMemHostAlloc(address, bytes, 0);
}

/// Does not wait for copies: one that finds its memory gone says so.
API cuMemFreeHost(void* address) {
    ENTER(cuMemFreeHost, CONTEXT | NO_CAPTURE);
    Driver& device = driver();
    auto pinned = device.pinned_memory.find(reinterpret_cast<uintptr_t>(address));
    if (pinned == device.pinned_memory.end()) return error(INVALID_VALUE, "cuMemFreeHost of memory that is not pinned");
    munmap(address, pinned->second.bytes);
    device.count("live_pinned", -1);
    device.count("live_pinned_bytes", -static_cast<int64_t>(pinned->second.bytes));
    device.pinned_memory.erase(pinned);
    return SUCCESS;
}

API cuMemHostGetDevicePointer_v2(Address*, void*, unsigned) {
    ENTER(cuMemHostGetDevicePointer_v2, CONTEXT);
    return error(NOT_SUPPORTED, "mapped host memory is not modelled: copy instead");
}

API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    ENTER(cuMemcpyHtoD_v2, CONTEXT | NO_CAPTURE);
    return now(copy_to_device(to, from, bytes, driver().null_stream, "cuMemcpyHtoD"));
}

API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    ENTER(cuMemcpyDtoH_v2, CONTEXT | NO_CAPTURE);
    return now(copy_to_host(to, from, bytes, driver().null_stream, "cuMemcpyDtoH"));
}

API cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    ENTER(cuMemcpyDtoD_v2, CONTEXT | NO_CAPTURE);
    return now(copy_on_device(to, from, bytes, driver().null_stream, "cuMemcpyDtoD"));
}

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* handle) {
    ENTER(cuMemcpyHtoDAsync_v2, CONTEXT);
    Stream* stream = stream_of(handle, "cuMemcpyHtoDAsync");
    return stream == nullptr ? INVALID_HANDLE : copy_to_device(to, from, bytes, *stream, "cuMemcpyHtoDAsync");
}

API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* handle) {
    ENTER(cuMemcpyDtoHAsync_v2, CONTEXT);
    Stream* stream = stream_of(handle, "cuMemcpyDtoHAsync");
    return stream == nullptr ? INVALID_HANDLE : copy_to_host(to, from, bytes, *stream, "cuMemcpyDtoHAsync");
}

API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* handle) {
    ENTER(cuMemcpyDtoDAsync_v2, CONTEXT);
    Stream* stream = stream_of(handle, "cuMemcpyDtoDAsync");
    return stream == nullptr ? INVALID_HANDLE : copy_on_device(to, from, bytes, *stream, "cuMemcpyDtoDAsync");
}

API cuMemsetD8_v2(Address to, unsigned char value, size_t count) {
    ENTER(cuMemsetD8_v2, CONTEXT | NO_CAPTURE);
    return now(set<uint8_t>(to, value, count, driver().null_stream, "cuMemsetD8"));
}

API cuMemsetD32_v2(Address to, unsigned value, size_t count) {
    ENTER(cuMemsetD32_v2, CONTEXT | NO_CAPTURE);
    return now(set<uint32_t>(to, value, count, driver().null_stream, "cuMemsetD32"));
}

API cuMemsetD8Async(Address to, unsigned char value, size_t count, void* handle) {
    ENTER(cuMemsetD8Async, CONTEXT);
    Stream* stream = stream_of(handle, "cuMemsetD8Async");
    return stream == nullptr ? INVALID_HANDLE : set<uint8_t>(to, value, count, *stream, "cuMemsetD8Async");
}

API cuMemsetD32Async(Address to, unsigned value, size_t count, void* handle) {
    ENTER(cuMemsetD32Async, CONTEXT);
    Stream* stream = stream_of(handle, "cuMemsetD32Async");
    return stream == nullptr ? INVALID_HANDLE : set<uint32_t>(to, value, count, *stream, "cuMemsetD32Async");
}
