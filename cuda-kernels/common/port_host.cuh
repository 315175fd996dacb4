// The host body of port.cuh: the same names for a host compiler, on the emulated device (tests/emulator), where a block's
// threads are fibres. Values equal the device's except where port.cuh promises less than exactness. Operations in which
// other threads take part or that need an aligned address take the caller's source position as a last, defaulted
// parameter, so that a violation names file and line. Build with -ffp-contract=off: a·b + c must not fuse behind the
// kernel's back.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include "device.hpp"

// Whether the image is built with the hooks that show every load and store to the runtime.
#if !defined(BRANTAS_CHECKED)
#define BRANTAS_CHECKED false
#endif

#define DEVICE inline __attribute__((always_inline))
#define UNROLL
#define ROLLED

#define threadIdx (brantas::emulator::Index{brantas::emulator::thread_of_block(), 0, 0})
#define blockDim (brantas::emulator::Index{brantas::emulator::threads_of_block(), 1, 1})
#define blockIdx \
    (brantas::emulator::Index{brantas::emulator::block_x(), brantas::emulator::block_y(), brantas::emulator::block_z()})
#define gridDim \
    (brantas::emulator::Index{brantas::emulator::blocks_x(), brantas::emulator::blocks_y(), brantas::emulator::blocks_z()})

#define KERNEL(name, Args, threads)                                                                          \
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4096, "not a by-value struct: " #Args); \
    static_assert((threads) >= 1 && (threads) <= 1024, "a block has 1 to 1024 threads: " #name);             \
    static void brantas_body_##name(const Args args);                                                     \
    static void brantas_thread_##name(const void* args) {                                                    \
        brantas_body_##name(*static_cast<const Args*>(args));                                                \
    }                                                                                                        \
    extern "C" __attribute__((visibility("default"))) const brantas::emulator::Entry brantas_kernel_##name; \
    const brantas::emulator::Entry brantas_kernel_##name = {                                                 \
        #name, __FILE__, __LINE__, threads, sizeof(Args), BRANTAS_CHECKED, brantas_thread_##name};                            \
    static void brantas_body_##name([[maybe_unused]] const Args args)

#define KERNEL_OCCUPANCY(name, Args, threads, blocks) KERNEL(name, Args, threads)

using Site = brantas::emulator::Site;

inline bool brantas_aligned16(const void* address) {
    return (reinterpret_cast<uintptr_t>(address) & 15u) == 0;
}

DEVICE unsigned char* shared_bytes(u32 needed, Site site = Site::current()) {
    if (needed > brantas::emulator::shared_size())
        brantas::emulator::fail("the launch gives less shared memory than the kernel needs", site);
    return brantas::emulator::shared_start();
}
template <class T>
DEVICE T& shared_memory(Site site = Site::current()) {
    return *reinterpret_cast<T*>(shared_bytes(sizeof(T), site));
}

DEVICE void fail_if(bool bad, Site site = Site::current()) {
    if (bad) brantas::emulator::fail("the kernel stopped itself", site);
}

// ---- threads of a block, lanes of a warp ------------------------------------------------------------------------------------
DEVICE i32 lane_id() {
    return static_cast<i32>(brantas::emulator::lane_of_warp());
}
DEVICE i32 warp_id() {
    return static_cast<i32>(brantas::emulator::warp_of_block());
}
DEVICE void block_sync(Site site = Site::current()) {
    brantas::emulator::block_sync(site);
}
DEVICE void warp_sync(Site site = Site::current()) {
    brantas::emulator::warp_sync(site);
}

template <class T>
DEVICE T brantas_exchange(brantas::emulator::Operation operation, T value, i32 from, Site site) {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles move 32 or 64 bits");
    using Bits = std::conditional_t<sizeof(T) == 4, u32, u64>;
    u64 got = brantas::emulator::exchange(operation, std::bit_cast<Bits>(value), static_cast<u32>(from) & 31u, site);
    return std::bit_cast<T>(static_cast<Bits>(got));
}
template <class T>
DEVICE T shuffle(T value, i32 lane, Site site = Site::current()) {
    return brantas_exchange(brantas::emulator::Operation::SHUFFLE, value, lane, site);
}
template <class T>
DEVICE T shuffle_xor(T value, i32 lanes, Site site = Site::current()) {
    return brantas_exchange(brantas::emulator::Operation::SHUFFLE_XOR, value, lane_id() ^ lanes, site);
}
template <class T>
DEVICE T shuffle_up(T value, i32 by, Site site = Site::current()) {
    i32 from = lane_id() - by;
    return brantas_exchange(brantas::emulator::Operation::SHUFFLE_UP, value, from < 0 ? lane_id() : from, site);
}
DEVICE u32 vote(bool predicate, Site site = Site::current()) {
    return brantas::emulator::vote(predicate, site);
}
DEVICE i32 count_bits(u32 bits) {
    return std::popcount(bits);
}
DEVICE i32 leading_zeros(u32 bits) {
    return std::countl_zero(bits);
}

// ---- atomics -------------------------------------------------------------------------------------------------------------------
DEVICE i32 atomic_add(i32* at, i32 value, Site site = Site::current()) {
    return static_cast<i32>(
        brantas::emulator::atomic32(brantas::emulator::Update::ADD, at, static_cast<u32>(value), site));
}
DEVICE u32 atomic_add(u32* at, u32 value, Site site = Site::current()) {
    return brantas::emulator::atomic32(brantas::emulator::Update::ADD, at, value, site);
}
DEVICE u64 atomic_add(u64* at, u64 value, Site site = Site::current()) {
    return brantas::emulator::atomic64(brantas::emulator::Update::ADD, at, value, site);
}
DEVICE u64 atomic_max(u64* at, u64 value, Site site = Site::current()) {
    return brantas::emulator::atomic64(brantas::emulator::Update::MAX, at, value, site);
}
DEVICE u32 atomic_or(u32* at, u32 bits, Site site = Site::current()) {
    return brantas::emulator::atomic32(brantas::emulator::Update::OR, at, bits, site);
}

/// Alone orders blocks; the atomics are relaxed, as on the device.
DEVICE void fence_device() {
    brantas::emulator::fence_device();
}

// ---- arithmetic ----------------------------------------------------------------------------------------------------------------
DEVICE f32 fma32(f32 a, f32 b, f32 c) {
    return std::fma(a, b, c);
}
DEVICE f32 inverse_root(f32 x) {
    return static_cast<f32>(1.0 / std::sqrt(static_cast<double>(x)));
}
DEVICE f32 exponential(f32 x) {
    return std::exp(x);
}
/// Results below the smallest normal number are flushed to zero, as are such operands.
DEVICE f32 exponential2_fast(f32 x) {
    f32 y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y;
}
DEVICE f32 log_plus_one(f32 x) {
    return std::log1p(x);
}
DEVICE u32 multiply_high(u32 a, u32 b) {
    return static_cast<u32>(static_cast<u64>(a) * b >> 32);
}
DEVICE u32 float_bits(f32 x) {
    return std::bit_cast<u32>(x);
}
DEVICE f32 bits_float(u32 bits) {
    return std::bit_cast<f32>(bits);
}

// ---- 16-bit formats --------------------------------------------------------------------------------------------------------------
/// Round to nearest even; written out, since not every host has the instruction.
inline u16 brantas_to_f16(f32 v) {
    u32 bits = float_bits(v);
    u32 sign = bits >> 16 & 0x8000u;
    u32 magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff;
    if (magnitude >= 0x477ff000u) return static_cast<u16>(sign | 0x7c00u);  // 65520 and above
    if (magnitude < 0x38800000u) {                                            // below the smallest normal fp16
        f32 scaled = bits_float(magnitude) + 0.5f;  // the sum's last mantissa bit is worth 2⁻²⁴, that of subnormal fp16
        return static_cast<u16>(sign | (float_bits(scaled) - 0x3f000000u));
    }
    u32 rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return static_cast<u16>(sign | (rounded - 0x38000000u) >> 13);
}
inline f32 brantas_from_f16(u16 half) {
    u32 sign = static_cast<u32>(half & 0x8000u) << 16;
    u32 magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return bits_float(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude < 0x400u) return bits_float(sign | float_bits(static_cast<f32>(magnitude) * 0x1p-24f));
    return bits_float(sign | ((magnitude << 13) + 0x38000000u));
}
DEVICE u32 pack_f16(f32 low, f32 high) {
    return static_cast<u32>(brantas_to_f16(low)) | static_cast<u32>(brantas_to_f16(high)) << 16;
}
DEVICE Pair unpack_f16(u32 packed) {
    return {brantas_from_f16(static_cast<u16>(packed)), brantas_from_f16(static_cast<u16>(packed >> 16))};
}

// ---- global memory -----------------------------------------------------------------------------------------------------------
/// A vector for the compiler, so that the sixteen bytes are one access and not four.
typedef u32 BrantasQuad __attribute__((vector_size(16), may_alias));

DEVICE Vec16 brantas_load16(const char* operation, const void* from, Site site) {
    if (!brantas_aligned16(from)) brantas::emulator::fail_misaligned(operation, from, site);
    BrantasQuad words = *static_cast<const BrantasQuad*>(from);
    return {{words[0], words[1], words[2], words[3]}};
}
DEVICE Vec16 load16(const void* from, Site site = Site::current()) {
    return brantas_load16("load16", from, site);
}
DEVICE Vec16 load16_stream(const void* from, Site site = Site::current()) {
    const brantas::emulator::Words words = brantas::emulator::load16_stream(from, site);
    return {{words.at[0], words.at[1], words.at[2], words.at[3]}};
}
DEVICE void store16(void* to, const Vec16& v, Site site = Site::current()) {
    if (!brantas_aligned16(to)) brantas::emulator::fail_misaligned("store16", to, site);
    *static_cast<BrantasQuad*>(to) = BrantasQuad{v.word[0], v.word[1], v.word[2], v.word[3]};
}

// ---- asynchronous copies ---------------------------------------------------------------------------------------------------------
DEVICE void copy_async16(void* shared, const void* global, bool valid, Site site = Site::current()) {
    brantas::emulator::copy_async16(shared, global, valid, site);
}
DEVICE void copy_commit() {
    brantas::emulator::copy_commit();
}
template <i32 Pending>
DEVICE void copy_wait() {
    static_assert(Pending >= 0);
    brantas::emulator::copy_wait(static_cast<u32>(Pending));
}

// ---- matrices --------------------------------------------------------------------------------------------------------------------
DEVICE void brantas_take(u32 (&to)[4], brantas::emulator::Words from) {
    for (i32 i = 0; i < 4; i++) to[i] = from.at[i];
}
DEVICE void load_tiles(u32 (&tile)[4], const void* shared, Site site = Site::current()) {
    brantas_take(tile, brantas::emulator::load_tiles(shared, false, site));
}
DEVICE void load_tiles_transposed(u32 (&tile)[4], const void* shared, Site site = Site::current()) {
    brantas_take(tile, brantas::emulator::load_tiles(shared, true, site));
}
DEVICE u32 transpose_tile(u32 pair, Site site = Site::current()) {
    return brantas::emulator::transpose_tile(pair, site);
}
DEVICE void brantas_mma(
    brantas::emulator::Format format, f32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, Site site) {
    brantas::emulator::Floats sum =
        brantas::emulator::mma(format, {{d[0], d[1], d[2], d[3]}}, {{a[0], a[1], a[2], a[3]}}, b0, b1, site);
    for (i32 i = 0; i < 4; i++) d[i] = sum.at[i];
}
DEVICE void mma_bf16(f32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, Site site = Site::current()) {
    brantas_mma(brantas::emulator::Format::BF16, d, a, b0, b1, site);
}
DEVICE void mma_f16(f32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, Site site = Site::current()) {
    brantas_mma(brantas::emulator::Format::F16, d, a, b0, b1, site);
}

// ---- dependent launches: launches of a stream run one after the other here, but a kernel that touches global memory without
// having waited is found out --------------------------------------------------------------------------------------------------------
DEVICE void wait_for_predecessors() {
    brantas::emulator::wait_for_predecessors();
}
DEVICE void release_successors() {}
