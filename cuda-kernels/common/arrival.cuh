// How several blocks of a launch work on one result: each leaves its part in global memory and arrives at a counter, and the
// one that finds itself the last puts the parts together. Which block that is depends on the schedule, what it does must not.
// No block waits for another, so it does not matter how many of them a device runs at once.
//
// Why the last one sees every part: a block_sync orders the writes of all threads of a block before one thread's fence, and
// the fence before its atomic; the atomics on a counter come one after the other; and the last block's second fence orders all
// of them before its threads, behind another block_sync, read. Parts must be read by ordinary loads, never by load16_stream,
// whose memory nobody may write while the kernel runs.
//
// Why the counter is zero again for the next launch: the last block takes back all arrivals, and nobody else touches the
// counter any more. Later kernels of the stream, that may use the same counter, wait for this one to end
// (wait_for_predecessors). Whoever allocates counters makes them zero once.
#pragma once
#include "port.cuh"

/// Whether this block is the last of `blocks` to arrive. Called by all threads of the block; `word` lies in shared memory, and
/// is free again after the next block_sync.
DEVICE bool last_to_arrive(u32* arrivals, u32 blocks, u32& word) {
    block_sync();
    if (threadIdx.x == 0) {
        fence_device();
        const bool last = atomic_add(arrivals, 1u) == blocks - 1;
        if (last) atomic_add(arrivals, 0u - blocks);
        fence_device();
        word = last ? 1u : 0u;
    }
    block_sync();
    return word != 0;
}
