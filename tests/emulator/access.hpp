// The kinds of access to memory that are told apart.
#pragma once
#include <cstdint>

namespace brantas::emulator {

enum class Access : uint8_t {
    READ,
    READ_CONSTANT,  // of memory that no kernel writes
    WRITE,
    ATOMIC,
    COPY_BEGUN,    // an asynchronous copy will write here
    COPY_ARRIVED,  // and its thread has now waited for it
};

inline bool is_read(Access access) {
    return access == Access::READ || access == Access::READ_CONSTANT;
}

}  // namespace brantas::emulator
