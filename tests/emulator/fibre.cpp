// Stacks and switches; see fibre.hpp. The switch returns by a jump and not by `ret`: the return would always be mispredicted.
#include "fibre.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(BRANTAS_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

extern "C" void brantas_switch(void** save, void* load) __attribute__((visibility("hidden")));
asm(R"(
.text
.p2align 4
.globl brantas_switch
.hidden brantas_switch
.type brantas_switch, @function
brantas_switch:
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
.size brantas_switch, .-brantas_switch
)");

namespace brantas::emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(BRANTAS_TSAN)
constexpr size_t STACK = 256 * 1024;
#else
constexpr size_t STACK = 64 * 1024;
#endif
constexpr size_t GUARD = 4096;
constexpr uint32_t CHUNK = 32;

}  // namespace

unsigned char* Stacks::at(uint32_t index) {
    while (chunks_.size() <= index / CHUNK) {
        void* chunk = mmap(nullptr, (STACK + GUARD) * CHUNK, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (chunk == MAP_FAILED) throw std::bad_alloc();
        for (uint32_t i = 0; i < CHUNK; i++)
            mprotect(static_cast<unsigned char*>(chunk) + i * (STACK + GUARD), GUARD, PROT_NONE);
        chunks_.push_back(static_cast<unsigned char*>(chunk));
    }
    return chunks_[index / CHUNK] + index % CHUNK * (STACK + GUARD) + GUARD;
}

Stacks::~Stacks() {
    for (unsigned char* chunk : chunks_) munmap(chunk, (STACK + GUARD) * CHUNK);
}

void Stacks::prepare(Context& context, uint32_t index, void (*body)()) {
    context.stack = at(index);
    context.stack_bytes = STACK;
#if defined(__SANITIZE_ADDRESS__)
    // An earlier kernel that was stopped half-way left its frames' red zones behind.
    __asan_unpoison_memory_region(context.stack, STACK);
    context.sanitizer = nullptr;
#endif
#if defined(BRANTAS_TSAN)
    if (context.sanitizer == nullptr) context.sanitizer = __tsan_create_fiber(0);
#endif
    size_t colour = index * 5 % 61 * 192;  // multiples of 64
    void** top = reinterpret_cast<void**>(context.stack + STACK - 64 - colour);
    *--top = nullptr;  // stands for a return address: the body sees the alignment of an ordinary call
    *--top = reinterpret_cast<void*>(body);
    for (int saved = 0; saved < 6; saved++) *--top = nullptr;
    context.stack_pointer = top;
}

void adopt_thread([[maybe_unused]] Context& context) {
#if defined(__SANITIZE_ADDRESS__)
    if (context.stack == nullptr) {
        pthread_attr_t attributes;
        void* stack = nullptr;
        size_t bytes = 0;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &stack, &bytes);
        pthread_attr_destroy(&attributes);
        context.stack = static_cast<unsigned char*>(stack);
        context.stack_bytes = bytes;
    }
#endif
#if defined(BRANTAS_TSAN)
    context.sanitizer = __tsan_get_current_fiber();
#endif
}

void fibre_entered() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

void switch_fibre(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.stack_bytes);
#endif
#if defined(BRANTAS_TSAN)
    __tsan_switch_to_fiber(to.sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
    brantas_switch(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from.sanitizer, nullptr, nullptr);
#endif
}

void leave_fibre(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(nullptr, to.stack, to.stack_bytes);
#endif
#if defined(BRANTAS_TSAN)
    __tsan_switch_to_fiber(to.sanitizer, __tsan_switch_to_fiber_no_sync);
#endif
    brantas_switch(&from.stack_pointer, to.stack_pointer);
    __builtin_unreachable();
}

}  // namespace brantas::emulator
