// The kinds of access to memory that are told apart.
#pragma once
#include <cstdint>

namespace brantas::emulator {

enum class Access : uint8_t {
    READ,
    WRITE,
    ATOMIC,
    COPY_BEGUN,    // an asynchronous copy will write here
    COPY_ARRIVED,  // and its thread has now waited for it
};

}  // namespace brantas::emulator
