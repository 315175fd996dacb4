// Kernels of the module image that the driver's test loads.
#include "common/port.cuh"

struct AddArgs {
    u64 dst;  // i32 [count]
    i32 count;
    i32 value;
};

KERNEL(add, AddArgs, 64) {
    wait_for_predecessors();
    i32* dst = reinterpret_cast<i32*>(args.dst);
    i32 at = static_cast<i32>(blockIdx.x) * 64 + static_cast<i32>(threadIdx.x);
    if (at < args.count) dst[at] += args.value;
}

/// Adds its block's number to one word, from all blocks, and stops itself where value is negative.
KERNEL(count_blocks, AddArgs, 64) {
    wait_for_predecessors();
    fail_if(args.value < 0);
    if (threadIdx.x == 0) atomic_add(reinterpret_cast<i32*>(args.dst), static_cast<i32>(blockIdx.x));
}
