// The hooks of a checked image. It is compiled with -fsanitize=thread, which makes the compiler call a function before
// every load and store, but linked without the sanitizer's library: these functions stand in for it. So the checks work in
// any process, a JVM included. Accesses outside the device's range, above all to a fibre's own stack, pass at once.
#if !defined(BRANTAS_TSAN)  // there the true library is linked
#include <cstddef>
#include <cstdint>

#include "check.hpp"

using brantas::emulator::Access;

namespace {

template <uint64_t Alignment>
[[gnu::always_inline]] inline void see(const void* address, size_t bytes, Access access, const void* code) {
    using brantas::emulator::range;
    if (reinterpret_cast<uint64_t>(address) - range.base >= range.bytes) return;
    if (reinterpret_cast<uint64_t>(address) % Alignment != 0) [[unlikely]]
        brantas::emulator::fail_misaligned_access(address, bytes, code);
    brantas::emulator::check_quickly(reinterpret_cast<uint64_t>(address), static_cast<uint32_t>(bytes), access, code);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

#define HOOK(name, bytes, access, alignment) \
    void name(void* address) { see<alignment>(address, bytes, access, __builtin_return_address(0)); }
// The compiler says "unaligned" where it has merged accesses; elsewhere the access's type requires its alignment.
#define HOOKS(bytes)                                             \
    HOOK(__tsan_read##bytes, bytes, Access::READ, bytes)         \
    HOOK(__tsan_write##bytes, bytes, Access::WRITE, bytes)       \
    HOOK(__tsan_unaligned_read##bytes, bytes, Access::READ, 1)   \
    HOOK(__tsan_unaligned_write##bytes, bytes, Access::WRITE, 1) \
    HOOK(__tsan_volatile_read##bytes, bytes, Access::READ, bytes) \
    HOOK(__tsan_volatile_write##bytes, bytes, Access::WRITE, bytes)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void* address, size_t bytes) {
    see<1>(address, bytes, Access::READ, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
    see<1>(address, bytes, Access::WRITE, __builtin_return_address(0));
}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

// Atomic operations of the host code of tests; kernels have theirs from the runtime.
#define ATOMICS(bits, T)                                                                                             \
    T __tsan_atomic##bits##_load(const volatile T* at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }        \
    void __tsan_atomic##bits##_store(volatile T* at, T value, int) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); } \
    T __tsan_atomic##bits##_exchange(volatile T* at, T value, int) {                                                 \
        return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                                     \
    }                                                                                                                \
    T __tsan_atomic##bits##_fetch_add(volatile T* at, T value, int) {                                                \
        return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                                      \
    }                                                                                                                \
    T __tsan_atomic##bits##_fetch_sub(volatile T* at, T value, int) {                                                \
        return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                                      \
    }                                                                                                                \
    T __tsan_atomic##bits##_fetch_or(volatile T* at, T value, int) {                                                 \
        return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST);                                                       \
    }                                                                                                                \
    T __tsan_atomic##bits##_fetch_and(volatile T* at, T value, int) {                                                \
        return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST);                                                      \
    }                                                                                                                \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T value, int, int) {              \
        return __atomic_compare_exchange_n(at, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
    }                                                                                                                \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T value, int, int) {                \
        return __atomic_compare_exchange_n(at, expected, value, 1, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // extern "C"
#pragma GCC visibility pop
#endif  // !BRANTAS_TSAN
