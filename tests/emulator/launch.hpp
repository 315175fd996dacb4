// Running a kernel's grid on the emulated device. The blocks are shared out among worker threads; a worker runs one block
// at a time, whose threads are fibres. Schedule and copy mode decide in which of the legal orders things happen: a correct
// kernel gives the same result under all of them.
#pragma once
#include <cstdint>
#include <string>

#include "device.hpp"

namespace brantas::emulator {

#pragma GCC visibility push(default)

/// Which ready thread runs next. STARVE: in order, but one warp of each block runs only when no other can.
enum class Schedule : uint8_t { IN_ORDER, REVERSE, RANDOM, STARVE };
/// When an asynchronous copy happens: at once, or at the last moment that the waits allow.
enum class Copies : uint8_t { EAGER, LAZY };

struct Settings {
    Schedule schedule = Schedule::IN_ORDER;
    Copies copies = Copies::EAGER;
    uint64_t seed = 1;
    uint32_t workers = 1;
    uint32_t most_shared_bytes = 163 * 1024;  // of a block, with opt-in
};

struct Launch {
    const Entry* entry;
    Index blocks;
    Index threads;
    uint32_t shared_bytes;
    const void* args;
};

enum class Fault : uint8_t { NONE, STOPPED, ILLEGAL_ADDRESS, MISALIGNED };

/// What went wrong in a kernel; the text names kernel, block, thread and source line.
struct Violation {
    Fault fault = Fault::NONE;
    std::string text;
};

/// Why a launch is not allowed, or an empty text.
std::string refusal(const Launch& launch, const Settings& settings);
/// Runs all blocks of an allowed launch.
Violation run(const Launch& launch, const Settings& settings);

const char* name_of(Schedule schedule);
const char* name_of(Copies copies);

#pragma GCC visibility pop
}  // namespace brantas::emulator
