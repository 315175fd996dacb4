// Start, device and contexts. There is one device; a context's only content is whether it lives, because memory, streams
// and modules of all contexts lie in the one process anyway.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "driver.hpp"

namespace brantas::emulator {

void choose_from_environment();

namespace {

thread_local std::vector<Context*> stack;

constexpr unsigned char UUID[16] = {0xb7, 0xa2, 0x7a, 0x50, 0xe0, 0x1a, 0x4c, 0xda,
                                    0x80, 0x0d, 0xec, 0x1c, 0xe0, 0x5e, 0xed, 0x01};

bool is_device(int device) {
    return device == 0;
}

int attribute(int which) {
    const Choices& choices = driver().choices;
    auto shared = static_cast<int>(choices.kernels.most_shared_bytes);
    switch (which) {
        case 1: return 1024;        // threads of a block
        case 2:
        case 3: return 1024;        // block x, y
        case 4: return 64;          // block z
        case 5: return 2147483647;  // grid x
        case 6:
        case 7: return 65535;       // grid y, z
        case 8: return 48 * 1024;   // shared memory of a block without opt-in
        case 9: return 64 * 1024;   // constant memory
        case 10: return 32;         // warp
        case 11: return 2147483647; // pitch
        case 12: return 65536;      // registers of a block
        case 13: return 1000000;    // clock, kHz
        case 14: return 512;        // texture alignment
        case 15: return 1;          // copies overlap kernels
        case 16: return 2;          // multiprocessors
        case 19: return 1;          // host memory can be mapped
        case 31: return 1;          // kernels run concurrently
        case 36: return 1000000;    // memory clock, kHz
        case 37: return 64;         // memory bus, bits
        case 38: return 1 << 20;    // second-level cache
        case 39: return 2048;       // threads of a multiprocessor
        case 40: return 1;          // copy engines
        case 41: return 1;          // unified addresses
        case 75: return choices.capability / 10;
        case 76: return choices.capability % 10;
        case 78: return 1;          // stream priorities
        case 81: return shared + 1024;
        case 82: return 65536;      // registers of a multiprocessor
        case 97: return shared;     // shared memory of a block with opt-in
        case 106: return 32;        // blocks of a multiprocessor
        case 111: return 1024;      // shared memory that the system keeps of each block's
        default: return 0;
    }
}

Code end_context(Context& context) {
    Driver& device = driver();
    Code code = flush_all();
    context.alive = false;
    free_memory_of(context);
    std::erase_if(device.streams, [&](Stream* stream) {
        if (stream->context != &context) return false;
        stream->alive = false;
        device.count("live_streams", -1);
        return true;
    });
    device.sticky = SUCCESS;
    return code;
}

}  // namespace

Context* current_context() {
    return stack.empty() ? nullptr : stack.back();
}

}  // namespace brantas::emulator

using namespace brantas::emulator;

API cuInit(unsigned flags) {
    std::lock_guard lock(driver().mutex);
    static const bool read = (choose_from_environment(), true);
    (void)read;
    if (!driver().refused_choice.empty()) return error(INVALID_VALUE, driver().refused_choice);
    if (flags != 0) return error(INVALID_VALUE, "cuInit: flags must be 0");
    if (driver().choices.start_error != 0) return static_cast<Code>(driver().choices.start_error);
    driver().initialized = true;
    return SUCCESS;
}

API cuDriverGetVersion(int* version) {
    std::lock_guard lock(driver().mutex);
    *version = driver().choices.driver_version;
    return SUCCESS;
}

API cuDeviceGetCount(int* count) {
    ENTER(cuDeviceGetCount, INITIALIZED);
    *count = 1;
    return SUCCESS;
}

API cuDeviceGet(int* device, int ordinal) {
    ENTER(cuDeviceGet, INITIALIZED);
    if (!is_device(ordinal)) return error(INVALID_DEVICE, "cuDeviceGet: there is only device 0");
    *device = 0;
    return SUCCESS;
}

API cuDeviceGetName(char* name, int length, int device) {
    ENTER(cuDeviceGetName, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDeviceGetName: there is only device 0");
    std::snprintf(name, static_cast<size_t>(length), "Emulated CUDA device");
    return SUCCESS;
}

API cuDeviceGetUuid(unsigned char* uuid, int device) {
    ENTER(cuDeviceGetUuid, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDeviceGetUuid: there is only device 0");
    std::memcpy(uuid, UUID, sizeof UUID);
    return SUCCESS;
}

API cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
    return cuDeviceGetUuid(uuid, device);
}

API cuDeviceGetPCIBusId(char* id, int length, int device) {
    ENTER(cuDeviceGetPCIBusId, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDeviceGetPCIBusId: there is only device 0");
    std::snprintf(id, static_cast<size_t>(length), "0000:00:00.0");
    return SUCCESS;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
    ENTER(cuDeviceTotalMem_v2, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDeviceTotalMem: there is only device 0");
    *bytes = driver().choices.memory_bytes;
    return SUCCESS;
}

API cuDeviceGetAttribute(int* value, int which, int device) {
    ENTER(cuDeviceGetAttribute, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDeviceGetAttribute: there is only device 0");
    *value = attribute(which);
    return SUCCESS;
}

API cuDevicePrimaryCtxRetain(Context** context, int device) {
    ENTER(cuDevicePrimaryCtxRetain, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDevicePrimaryCtxRetain: there is only device 0");
    if (strikes("CONTEXT")) return OUT_OF_MEMORY;
    driver().primary_references++;
    driver().primary.alive = true;
    *context = &driver().primary;
    return SUCCESS;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER(cuDevicePrimaryCtxRelease_v2, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDevicePrimaryCtxRelease: there is only device 0");
    if (driver().primary_references == 0)
        return error(INVALID_CONTEXT, "cuDevicePrimaryCtxRelease: the primary context is not retained");
    return --driver().primary_references == 0 ? end_context(driver().primary) : SUCCESS;
}

API cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
    ENTER(cuDevicePrimaryCtxSetFlags_v2, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDevicePrimaryCtxSetFlags: there is only device 0");
    driver().primary.flags = flags;
    return SUCCESS;
}

API cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    ENTER(cuDevicePrimaryCtxGetState, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDevicePrimaryCtxGetState: there is only device 0");
    *flags = driver().primary.flags;
    *active = driver().primary.alive ? 1 : 0;
    return SUCCESS;
}

API cuDevicePrimaryCtxReset_v2(int device) {
    ENTER(cuDevicePrimaryCtxReset_v2, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuDevicePrimaryCtxReset: there is only device 0");
    end_context(driver().primary);
    driver().primary.alive = driver().primary_references > 0;
    return SUCCESS;
}

API cuCtxCreate_v2(Context** context, unsigned flags, int device) {
    ENTER(cuCtxCreate_v2, INITIALIZED);
    if (!is_device(device)) return error(INVALID_DEVICE, "cuCtxCreate: there is only device 0");
    if (strikes("CONTEXT")) return OUT_OF_MEMORY;
    *context = new Context;
    (*context)->flags = flags;
    register_handle(*context);
    stack.push_back(*context);
    return SUCCESS;
}

API cuCtxDestroy_v2(Context* context) {
    ENTER(cuCtxDestroy_v2, INITIALIZED);
    if (!is_valid(context, "the context", "cuCtxDestroy")) return INVALID_CONTEXT;
    if (context->primary) return error(INVALID_CONTEXT, "cuCtxDestroy of the primary context, which is to be released");
    if (current_context() == context) stack.pop_back();
    return end_context(*context);
}

API cuCtxSetCurrent(Context* context) {
    ENTER(cuCtxSetCurrent, INITIALIZED);
    if (context != nullptr && !is_valid(context, "the context", "cuCtxSetCurrent")) return INVALID_CONTEXT;
    if (!stack.empty()) stack.pop_back();
    if (context != nullptr) stack.push_back(context);
    return SUCCESS;
}

API cuCtxGetCurrent(Context** context) {
    ENTER(cuCtxGetCurrent, INITIALIZED);
    *context = current_context();
    return SUCCESS;
}

API cuCtxPushCurrent_v2(Context* context) {
    ENTER(cuCtxPushCurrent_v2, INITIALIZED);
    if (!is_valid(context, "the context", "cuCtxPushCurrent")) return INVALID_CONTEXT;
    stack.push_back(context);
    return SUCCESS;
}

API cuCtxPopCurrent_v2(Context** context) {
    ENTER(cuCtxPopCurrent_v2, INITIALIZED);
    if (stack.empty()) return error(INVALID_CONTEXT, "cuCtxPopCurrent: this thread has no current context");
    if (context != nullptr) *context = stack.back();
    stack.pop_back();
    return SUCCESS;
}

API cuCtxGetDevice(int* device) {
    ENTER(cuCtxGetDevice, CONTEXT);
    *device = 0;
    return SUCCESS;
}

API cuCtxSynchronize() {
    ENTER(cuCtxSynchronize, CONTEXT | NO_CAPTURE);
    driver().count("synchronizations");
    return flush_all();
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER(cuCtxGetStreamPriorityRange, CONTEXT);
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -1;
    return SUCCESS;
}
