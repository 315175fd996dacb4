// The wall between kernels and hardware: the only place with inline PTX or compiler intrinsics. Everything a kernel may
// do beyond plain C++ is a function or macro of this header, which has two bodies: the device body below for nvcc, and the
// host body (port_host.cuh) for a host compiler, where an emulated device runs the same kernel source. A kernel must
// compile with both. Lane, fragment and group rules are those of the PTX ISA.
#pragma once
#include <cstdint>

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i32 = int32_t;
using i64 = int64_t;
using f32 = float;

/// A bfloat16 in memory; arithmetic is in fp32 after to_float.
struct bf16 {
    u16 bits;
};

/// Sixteen bytes that move at once: eight 16-bit values or four 32-bit ones.
struct alignas(16) Vec16 {
    u32 word[4];
};

/// Two fp32 values.
struct alignas(8) Pair {
    f32 x, y;
};

constexpr i32 WARP = 32;

#if defined(__CUDACC__)

#include <cuda_fp16.h>

#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
/// Keeps a loop a loop, where the copies of its body would not find registers.
#define ROLLED _Pragma("unroll 1")

/// An entry point: `KERNEL(name, Args, threads) { … args.x … }`. Args is one by-value struct of fixed-width fields without
/// implicit padding; `threads` is the largest block it is launched with. The head comment above it (`//! kernel …`) declares
/// the same for the manifest.
#define KERNEL(name, Args, threads) \
    extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args args)

/// As KERNEL, with a hint that so many blocks should fit on a multiprocessor.
#define KERNEL_OCCUPANCY(name, Args, threads, blocks) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Args args)

extern __shared__ __align__(128) unsigned char brantas_shared[];

/// The block's shared memory as a struct of the kernel's own; all shared memory is dynamic, sized by the launcher. It holds
/// garbage at first.
template <class T>
DEVICE T& shared_memory() {
    return *reinterpret_cast<T*>(brantas_shared);
}

/// The block's shared memory when its size depends on the launch.
DEVICE unsigned char* shared_bytes(u32 /*needed*/) {
    return brantas_shared;
}

/// Stops the kernel with an error that the host sees.
DEVICE void fail_if(bool bad) {
    if (bad) __trap();
}

// ---- threads of a block, lanes of a warp; all lanes of a warp take part --------------------------------------------------
DEVICE i32 lane_id() {
    return threadIdx.x & 31;
}
DEVICE i32 warp_id() {
    return threadIdx.x >> 5;
}
DEVICE void block_sync() {
    __syncthreads();
}
DEVICE void warp_sync() {
    __syncwarp();
}
/// The value of lane `lane`.
template <class T>
DEVICE T shuffle(T value, i32 lane) {
    return __shfl_sync(0xffffffffu, value, lane);
}
template <class T>
DEVICE T shuffle_xor(T value, i32 lanes) {
    return __shfl_xor_sync(0xffffffffu, value, lanes);
}
/// The value of the lane `by` below; the lanes without one keep theirs.
template <class T>
DEVICE T shuffle_up(T value, i32 by) {
    return __shfl_up_sync(0xffffffffu, value, by);
}
/// One bit a lane: whether its predicate holds.
DEVICE u32 vote(bool predicate) {
    return __ballot_sync(0xffffffffu, predicate);
}
DEVICE i32 count_bits(u32 bits) {
    return __popc(bits);
}
/// Leading zero bits of a non-zero word.
DEVICE i32 leading_zeros(u32 bits) {
    return __clz(static_cast<int>(bits));
}

// ---- atomics, on shared or global memory; integers only, so that the order does not show ---------------------------------
DEVICE i32 atomic_add(i32* at, i32 value) {
    return atomicAdd(at, value);
}
DEVICE u32 atomic_add(u32* at, u32 value) {
    return atomicAdd(at, value);
}
DEVICE u64 atomic_add(u64* at, u64 value) {
    return atomicAdd(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
}
DEVICE u64 atomic_max(u64* at, u64 value) {
    return atomicMax(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
}
DEVICE u32 atomic_or(u32* at, u32 bits) {
    return atomicOr(at, bits);
}

/// Orders this thread's accesses to global memory before it with those behind it, for all blocks of the device: what one block
/// wrote before its fence and an atomic, another sees that comes upon the atomic and then fences. With a block_sync in
/// front it speaks for all threads of the block.
DEVICE void fence_device() {
    __threadfence();
}

// ---- arithmetic: exact library versions, no fast-math ----------------------------------------------------------------------
DEVICE f32 fma32(f32 a, f32 b, f32 c) {
    return __fmaf_rn(a, b, c);
}
/// 1/√x, correctly rounded operations.
DEVICE f32 inverse_root(f32 x) {
    return __frsqrt_rn(x);
}
DEVICE f32 exponential(f32 x) {
    return expf(x);
}
/// 2ˣ by the hardware's approximation (2 ulp): for softmax only.
DEVICE f32 exponential2_fast(f32 x) {
    f32 y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
DEVICE f32 log_plus_one(f32 x) {
    return log1pf(x);
}
/// Upper half of the 64-bit product.
DEVICE u32 multiply_high(u32 a, u32 b) {
    return __umulhi(a, b);
}
DEVICE u32 float_bits(f32 x) {
    return __float_as_uint(x);
}
DEVICE f32 bits_float(u32 bits) {
    return __uint_as_float(bits);
}

// ---- 16-bit formats ---------------------------------------------------------------------------------------------------------
/// Two fp32 to packed fp16, `low` in the low half, round to nearest even.
DEVICE u32 pack_f16(f32 low, f32 high) {
    __half2 h = __floats2half2_rn(low, high);
    return *reinterpret_cast<u32*>(&h);
}
DEVICE Pair unpack_f16(u32 packed) {
    float2 f = __half22float2(*reinterpret_cast<__half2*>(&packed));
    return {f.x, f.y};
}

// ---- global memory -----------------------------------------------------------------------------------------------------------
/// Sixteen aligned bytes.
DEVICE Vec16 load16(const void* from) {
    const uint4 v = *reinterpret_cast<const uint4*>(from);
    return {{v.x, v.y, v.z, v.w}};
}
/// Sixteen aligned bytes that are read once and that no kernel writes: weights. Does not displace other data from the
/// first-level cache, and may come before wait_for_predecessors.
DEVICE Vec16 load16_stream(const void* from) {
    Vec16 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
                 : "l"(__cvta_generic_to_global(from)));
    return v;
}
DEVICE void store16(void* to, const Vec16& v) {
    *reinterpret_cast<uint4*>(to) = make_uint4(v.word[0], v.word[1], v.word[2], v.word[3]);
}

// ---- asynchronous copies from global to shared memory ----------------------------------------------------------------------
/// Copies 16 aligned bytes; with `valid` false it writes zeros and does not read. Arrives after a copy_wait that covers its
/// group, for this thread; after a block_sync behind that, for all.
DEVICE void copy_async16(void* shared, const void* global, bool valid) {
    u32 to = static_cast<u32>(__cvta_generic_to_shared(shared));
    i32 bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(global)), "r"(bytes)
                 : "memory");
}
/// Closes the group of copies since the last one; perhaps empty.
DEVICE void copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Waits until at most `Pending` of this thread's groups are under way.
template <i32 Pending>
DEVICE void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// ---- matrices: 8×8 tiles of 16-bit values and the tensor cores -------------------------------------------------------------
/// Four 8×8 tiles from shared memory; lane l gives the address of row l mod 8 of tile l / 8 (16-byte aligned), and gets of
/// tile i the pair at row lane / 4, columns 2·(lane mod 4).
DEVICE void load_tiles(u32 (&tile)[4], const void* shared) {
    u32 from = static_cast<u32>(__cvta_generic_to_shared(shared));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"(from)
                 : "memory");
}
/// As load_tiles, each tile transposed.
DEVICE void load_tiles_transposed(u32 (&tile)[4], const void* shared) {
    u32 from = static_cast<u32>(__cvta_generic_to_shared(shared));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"(from)
                 : "memory");
}
/// Transposes an 8×8 tile that lies in registers.
DEVICE u32 transpose_tile(u32 pair) {
    u32 out;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(pair));
    return out;
}
/// d += a · b: a 16×16 row-major, b 16×8 column-major in bf16, d 16×8 in fp32 (m16n8k16). With g = lane / 4 and t = lane mod 4:
/// a holds (row g, k 2t..2t+1), (g+8, same), (g, k+8), (g+8, k+8); b holds (k 2t..2t+1, column g), (k+8); d holds
/// (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1).
DEVICE void mma_bf16(f32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/// As mma_bf16, in fp16.
DEVICE void mma_f16(f32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- dependent launches (sm_90 and later; nothing elsewhere) ----------------------------------------------------------------
/// Waits until the kernels before this one in the stream have finished and their writes are visible. Must come before the
/// first touch of anything they write; without the launch attribute it does nothing.
DEVICE void wait_for_predecessors() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// Lets the next kernel of the stream begin its prologue.
DEVICE void release_successors() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

#else
#include "port_host.cuh"
#endif

// ---- common to both ------------------------------------------------------------------------------------------------------------
DEVICE f32 to_float(bf16 v) {
    return bits_float(static_cast<u32>(v.bits) << 16);
}
/// Round to nearest even; not-a-number stays one.
DEVICE bf16 to_bf16(f32 v) {
    u32 u = float_bits(v);
    if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
    return {static_cast<u16>((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}
/// Two fp32 to packed bf16, `low` in the low half.
DEVICE u32 pack_bf16(f32 low, f32 high) {
    return static_cast<u32>(to_bf16(low).bits) | static_cast<u32>(to_bf16(high).bits) << 16;
}
/// Exact.
DEVICE Pair unpack_bf16(u32 packed) {
    return {bits_float(packed << 16), bits_float(packed & 0xffff0000u)};
}
/// The sum over the warp's lanes in a fixed order, in every lane.
DEVICE f32 warp_sum(f32 v) {
    UNROLL
    for (i32 o = 16; o > 0; o >>= 1) v += shuffle_xor(v, o);
    return v;
}
DEVICE f32 warp_max(f32 v) {
    UNROLL
    for (i32 o = 16; o > 0; o >>= 1) {
        f32 other = shuffle_xor(v, o);
        v = other > v ? other : v;
    }
    return v;
}
/// 1 / (1 + e⁻ˣ) without overflow.
DEVICE f32 sigmoid(f32 x) {
    f32 e = exponential(x < 0 ? x : -x);
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}
DEVICE f32 silu(f32 x) {
    return x * sigmoid(x);
}
/// ln(1 + eˣ); x itself above 20 (spec 0.2).
DEVICE f32 softplus(f32 x) {
    return x > 20.0f ? x : log_plus_one(exponential(x));
}
