// What a user can choose about the emulated device, by environment variables before the start or by brantas_emulator_set
// later; README.md lists it. Unknown names and values are refused: a misspelt choice must not pass as a green test.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <thread>

#include "driver.hpp"
#include "traffic.hpp"

extern char** environ;

namespace brantas::emulator {
namespace {

constexpr const char* PREFIX = "BRANTAS_EMULATOR_";

std::optional<uint64_t> number(const std::string& text) {
    uint64_t value = 0;
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

template <class T>
struct Word {
    const char* word;
    T value;
};

template <class T, size_t N>
std::string pick(const std::string& name, const std::string& value, const Word<T> (&words)[N], T& into) {
    std::string all;
    for (const Word<T>& word : words) {
        if (value == word.word) {
            into = word.value;
            return "";
        }
        all += (all.empty() ? "" : " or ") + std::string(word.word);
    }
    return PREFIX + name + " is " + all + ", not \"" + value + "\"";
}

std::string pick_number(const std::string& name, const std::string& value, uint64_t from, uint64_t to, uint64_t& into) {
    std::optional<uint64_t> parsed = number(value);
    if (!parsed || *parsed < from || *parsed > to)
        return PREFIX + name + " is a number from " + std::to_string(from) + " to " + std::to_string(to) + ", not \"" + value + "\"";
    into = *parsed;
    return "";
}

std::string choose_capability(const std::string& value) {
    int digits = 0;
    if (value.size() >= 3 && value[value.size() - 2] == '.') {
        std::optional<uint64_t> parsed = number(value.substr(0, value.size() - 2) + value.back());
        if (parsed && *parsed < 1000) digits = static_cast<int>(*parsed);
    }
    if (most_shared_bytes(digits) == 0)
        return std::string(PREFIX) + "CAPABILITY is 7.5, 8.0, 8.6, 8.7, 8.9, 9.0, 10.0, 10.3, 12.0 or 12.1, not \"" + value + "\"";
    driver().choices.capability = digits;
    driver().choices.kernels.most_shared_bytes = most_shared_bytes(digits);
    return "";
}

/// Kinds of failure that can be injected, as FAIL_<KIND>.
constexpr const char* FAILURES[] = {"ALLOCATION", "PINNED", "LAUNCH", "KERNEL", "GRAPH", "COPY", "MODULE",
                                    "STREAM",     "EVENT",  "SHARED", "SYMBOL", "CONTEXT"};

}  // namespace

uint32_t most_shared_bytes(int capability) {
    switch (capability) {
        case 75: return 64 * 1024;
        case 80:
        case 87: return 163 * 1024;
        case 86:
        case 89:
        case 120:
        case 121: return 99 * 1024;
        case 90:
        case 100:
        case 103: return 227 * 1024;
        default: return 0;
    }
}

std::string choose(const std::string& name, const std::string& value) {
    Choices& now = driver().choices;
    uint64_t parsed = 0;
    std::string wrong;
    if (name == "SCHEDULE") {
        static constexpr Word<Schedule> WORDS[] = {{"in-order", Schedule::IN_ORDER}, {"reverse", Schedule::REVERSE},
                                                   {"random", Schedule::RANDOM},     {"starve", Schedule::STARVE}};
        return pick(name, value, WORDS, now.kernels.schedule);
    }
    if (name == "COPIES") {
        static constexpr Word<Copies> WORDS[] = {{"eager", Copies::EAGER}, {"lazy", Copies::LAZY}};
        return pick(name, value, WORDS, now.kernels.copies);
    }
    if (name == "STREAMS") {
        static constexpr Word<Streams> WORDS[] = {{"immediate", Streams::IMMEDIATE}, {"deferred", Streams::DEFERRED}};
        return pick(name, value, WORDS, now.streams);
    }
    if (name == "KERNELS") {
        static constexpr Word<bool> WORDS[] = {{"run", true}, {"skip", false}};
        return pick(name, value, WORDS, now.run_kernels);
    }
    if (name == "CLOCK") {
        static constexpr Word<bool> WORDS[] = {{"time", false}, {"kernels", true}};
        return pick(name, value, WORDS, now.clock_counts_kernels);
    }
    if (name == "TRAFFIC") {
        static constexpr Word<bool> WORDS[] = {{"ignore", false}, {"count", true}};
        wrong = pick(name, value, WORDS, now.count_traffic);
        if (wrong.empty()) traffic.watch(now.count_traffic);
        return wrong;
    }
    if (name == "DATA") {
        static constexpr Word<bool> WORDS[] = {{"move", false}, {"skip-large", true}};
        return pick(name, value, WORDS, now.skip_large_copies);
    }
    if (name == "LEAKS") {
        static constexpr Word<bool> WORDS[] = {{"print", true}, {"ignore", false}};
        return pick(name, value, WORDS, now.print_leaks);
    }
    if (name == "SEED") return pick_number(name, value, 0, UINT64_MAX, now.kernels.seed);
    if (name == "MEMORY") return pick_number(name, value, 1, 1ull << 38, now.memory_bytes);
    if (name == "WORKERS") {
        wrong = pick_number(name, value, 1, 64, parsed);
        if (wrong.empty()) now.kernels.workers = static_cast<uint32_t>(parsed);
        return wrong;
    }
    if (name == "INIT") {
        wrong = pick_number(name, value, 0, 999, parsed);
        if (wrong.empty()) now.start_error = static_cast<int>(parsed);
        return wrong;
    }
    if (name == "DRIVER_VERSION") {
        wrong = pick_number(name, value, 1000, 99990, parsed);
        if (wrong.empty()) now.driver_version = static_cast<int>(parsed);
        return wrong;
    }
    if (name == "CAPABILITY") return choose_capability(value);
    if (name == "MISSING_SYMBOL") {
        now.missing_symbol = value;
        return "";
    }
    for (const char* what : FAILURES)
        if (name == std::string("FAIL_") + what) return pick_number(name, value, 0, UINT64_MAX, now.failures[what]);
    return std::string("there is no choice ") + PREFIX + name + ": see tests/emulator/README.md";
}

/// Reads the environment once, when the library is loaded.
void choose_from_environment() {
    driver().choices.kernels.workers = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    for (char** entry = environ; *entry != nullptr; entry++) {
        const char* equals = std::strchr(*entry, '=');
        if (std::strncmp(*entry, PREFIX, std::strlen(PREFIX)) != 0 || equals == nullptr) continue;
        std::string name(static_cast<const char*>(*entry) + std::strlen(PREFIX), equals);
        std::string wrong = choose(name, equals + 1);
        if (!wrong.empty() && driver().refused_choice.empty()) driver().refused_choice = wrong;
    }
}

}  // namespace brantas::emulator
