// What neither the Java bindings of the driver nor a plain foreign call should do: launches with extended attributes. This
// header is the contract; brantas.cuda.shim binds it. The library links nothing of CUDA's: it asks the driver that the
// process has loaded already. Results are the driver's (CUresult, 0 is success) or, below zero, the shim's own.
#pragma once
#include <cstddef>
#include <cstdint>

// There is no libcuda.so.1 that could be loaded.
#define BRANTAS_SHIM_NO_DRIVER (-1)
// The driver has no cuLaunchKernelEx: it is older than CUDA 12.
#define BRANTAS_SHIM_NO_EXTENDED_LAUNCH (-2)

// The kernel may begin before its predecessor in the stream has ended (programmatic dependent launch). Only for kernels that
// wait for their predecessors themselves, on sm_90 and later.
#define BRANTAS_SHIM_PROGRAMMATIC 1u

// One launch. Handles and addresses are as the driver gave them.
struct brantas_shim_request {
    uint64_t function;      // CUfunction
    uint64_t stream;        // CUstream
    uint64_t parameters;    // void*[], a pointer for each kernel parameter
    uint32_t grid_x;        // blocks
    uint32_t grid_y;
    uint32_t grid_z;
    uint32_t block_x;       // threads; blocks are one-dimensional
    uint32_t shared_bytes;  // dynamic shared memory
    uint32_t flags;         // BRANTAS_SHIM_PROGRAMMATIC or 0
    uint32_t cluster_x;     // blocks of a cluster; 0 and 1 mean none
    uint32_t padding;
};
static_assert(sizeof(brantas_shim_request) == 56 && offsetof(brantas_shim_request, grid_x) == 24);

extern "C" {
// Whether launches are possible; 0, or why not.
int brantas_shim_open();

// Launches what the brantas_shim_request at this address describes. Allocates nothing, keeps nothing.
int brantas_shim_launch(int64_t request);
}
