// What is left of the checks of single accesses when the quick test (check.hpp) has not passed one: shared memory, and
// everything that is wrong.
#include "check.hpp"

#include <cstdio>
#include <cstdlib>

#include "memory.hpp"
#include "source.hpp"

#if defined(BRANTAS_TSAN)
extern "C" void __tsan_read_range(void* address, unsigned long bytes);
extern "C" void __tsan_write_range(void* address, unsigned long bytes);
#endif

namespace brantas::emulator {
namespace {

std::string verb(Access access, uint32_t bytes, const void* code) {
    return (is_read(access) ? "reads " : "writes ") + std::to_string(bytes) + " bytes" + code_mark(code) + " ";
}

[[gnu::cold, noreturn]] void fail_shared(int64_t offset, uint32_t bytes, Access access, const void* code) {
    here->fail(verb(access, bytes, code) + "at byte " + std::to_string(offset) + " of shared memory, which has " +
                   std::to_string(current->shared_bytes),
               Fault::ILLEGAL_ADDRESS);
}

[[gnu::cold]] void fail_global(uint64_t address, uint32_t bytes, Access access, const void* code) {
    if (here != nullptr && is_live(address, bytes))
        here->fail("touches global memory" + code_mark(code) + " before wait_for_predecessors");
    std::string text = verb(access, bytes, code) + describe_address(address, bytes);
    if (here != nullptr) here->fail(text, Fault::ILLEGAL_ADDRESS);
    // Host code of a native test that is built with checks.
    std::fprintf(stderr, "emulated device: host code %s\n", with_sources(text).c_str());
    std::abort();
}

}  // namespace

void fail_misaligned_access(const void* address, size_t bytes, const void* code) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", address);
    if (here != nullptr)
        here->fail("an access of " + std::to_string(bytes) + " bytes at " + text + ", which is misaligned" + code_mark(code),
                   Fault::MISALIGNED);
}

void check_unusual_access(uint64_t address, uint32_t bytes, Access access, const void* code) {
    if (address - range.base >= range.arena_bytes || here == nullptr) return fail_global(address, bytes, access, code);
    uint64_t offset = address - reinterpret_cast<uint64_t>(current->shared);
    if (offset >= current->shared_bytes || offset + bytes > current->shared_bytes)
        fail_shared(static_cast<int64_t>(offset), bytes, access, code);
    SharedWatch* watch = here->watch();
    if (watch != nullptr && !watch->access(current->number, offset, bytes, access, code)) [[unlikely]]
        here->fail(watch->report());
}

void check_access(const void* address, uint32_t bytes, Access access, const void* code) {
    check_quickly(reinterpret_cast<uint64_t>(address), bytes, access, code);
#if defined(BRANTAS_TSAN)
    if (is_read(access)) {
        __tsan_read_range(const_cast<void*>(address), bytes);
    } else if (access != Access::ATOMIC) {
        __tsan_write_range(const_cast<void*>(address), bytes);
    }
#endif
}

}  // namespace brantas::emulator
