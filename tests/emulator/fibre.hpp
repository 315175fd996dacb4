// Fibres: a thread of a block is a stack and a saved stack pointer, and switching is a dozen instructions. Stacks have a
// guard page below them, and their tops are spread over the cache sets, without which 1024 equal stacks would fight for one
// set. Under AddressSanitizer and ThreadSanitizer every switch is announced to them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace brantas::emulator {

struct Context {
    void* stack_pointer = nullptr;
    unsigned char* stack = nullptr;  // its lowest byte
    size_t stack_bytes = 0;
    void* sanitizer = nullptr;  // AddressSanitizer's fake stack or ThreadSanitizer's fibre
};

/// Stacks for the fibres of one worker; made once and used by block after block.
class Stacks {
public:
    Stacks() = default;
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    ~Stacks();

    /// Sets `context` up so that the first switch to it calls `body`, which must never return.
    void prepare(Context& context, uint32_t index, void (*body)());

private:
    unsigned char* at(uint32_t index);

    std::vector<unsigned char*> chunks_;  // of CHUNK stacks each
};

/// Leaves `from` and goes on in `to`; comes back when somebody switches to `from`.
void switch_fibre(Context& from, Context& to);
/// As switch_fibre, for a fibre that will not be resumed.
[[noreturn]] void leave_fibre(Context& from, Context& to);
/// Must be the first act of a fibre's body.
void fibre_entered();
/// Makes `context` stand for the stack of the calling thread.
void adopt_thread(Context& context);

}  // namespace brantas::emulator
