// main of the native kernel tests, and the parts of the harness that need no template. Arguments choose tests by parts of
// their names.
#include "harness.hpp"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace {

namespace emulator = brantas::emulator;

struct Test {
    const char* name;
    void (*body)();
};

std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

emulator::Settings& settings() {
    static emulator::Settings now;
    return now;
}

u64 seed() {
    static const u64 chosen = [] {
        const char* wish = std::getenv("BRANTAS_TEST_SEED");
        return wish == nullptr ? 20250917ull : std::strtoull(wish, nullptr, 0);
    }();
    return chosen;
}

std::string context;         // what is being run, for failure texts
const char* running = "";    // the test

#if !defined(__SANITIZE_ADDRESS__) && !defined(BRANTAS_TSAN)
/// A plain access far outside of the device's memory is nothing that the emulated device could know from one to the host's: the
/// processor reports it. The process ends, but not without saying in which test.
void end_with_name(int, siginfo_t* info, void*) {
    char text[256];
    const int length = std::snprintf(text, sizeof text, "FAILED %s (0.00 s)\n       accesses %p, where no memory is%.80s\n", running,
                                     info->si_addr, context.c_str());
    const bool said = write(STDOUT_FILENO, text, static_cast<size_t>(length)) == length;
    _exit(said ? 1 : 2);
}

void name_the_test_in_crashes() {
    static char stack[64 * 1024];  // the fibre's may be what has run out
    stack_t other = {};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = end_with_name;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}
#else
void name_the_test_in_crashes() {}
#endif

u64 mix(u64 x) {  // splitmix64's finish
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

std::vector<Schedule> schedules() {
    using Order = emulator::Schedule;
    using emulator::Copies;
    std::vector<Schedule> all;
#if defined(__SANITIZE_ADDRESS__) || defined(BRANTAS_TSAN)
    // The sanitizers judge by other means than results, so the two extremes are enough.
    all.push_back({{.schedule = Order::IN_ORDER, .copies = Copies::EAGER, .seed = seed()}});
    all.push_back({{.schedule = Order::STARVE, .copies = Copies::LAZY, .seed = seed()}});
#else
    for (Copies copies : {Copies::EAGER, Copies::LAZY})
        for (Order order : {Order::IN_ORDER, Order::REVERSE, Order::RANDOM, Order::STARVE})
            all.push_back({{.schedule = order, .copies = copies, .seed = seed(), .workers = order == Order::RANDOM ? 2u : 1u}});
#endif
    return all;
}

bool wanted(const char* name, int count, char** parts) {
    if (count < 2) return true;
    for (int i = 1; i < count; i++)
        if (std::strstr(name, parts[i]) != nullptr) return true;
    return false;
}

bool run_test(const Test& test) {
    context.clear();
    running = test.name;
    settings() = {};
    auto start = std::chrono::steady_clock::now();
    std::string failure;
    try {
        test.body();
    } catch (const TestFailure& failed) {
        failure = failed.text;
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %s (%.2f s)\n", failure.empty() ? "  ok  " : "FAILED", test.name, seconds);
    if (!failure.empty()) std::printf("       %s\n", failure.c_str());
    std::fflush(stdout);
    return failure.empty();
}

}  // namespace

std::string Schedule::name() const {
    return std::string(emulator::name_of(settings.schedule)) + ", copies " + emulator::name_of(settings.copies);
}

void fail_test(const std::string& text, Site site) {
    std::string file = site.file_name();
    throw TestFailure{file.substr(file.rfind('/') + 1) + ":" + std::to_string(site.line()) + ": " + text + context};
}

void register_test(const char* name, void (*body)()) {
    tests().push_back({name, body});
}

const emulator::Settings& current_settings() {
    return settings();
}

void for_all_schedules(const std::function<void(const Schedule&)>& body) {
    for (const Schedule& schedule : schedules()) {
        settings() = schedule.settings;
        context = " [" + schedule.name() + "]";
        body(schedule);
    }
    settings() = {};
    context.clear();
}

std::string launch_violation(
    const emulator::Entry& kernel, Grid grid, i64 threads, i64 shared_bytes, const void* args, size_t args_bytes) {
    if (args_bytes != kernel.args_bytes)
        return std::string("kernel ") + kernel.name + " takes other arguments than it is given";
    emulator::Index blocks{static_cast<u32>(grid.x), static_cast<u32>(grid.y), static_cast<u32>(grid.z)};
    emulator::Index block{static_cast<u32>(threads), 1, 1};
    emulator::Launch launch{&kernel, blocks, block, static_cast<u32>(shared_bytes), args};
    std::string violation = emulator::refusal(launch, settings());
    if (violation.empty()) violation = emulator::run(launch, settings()).text;
    if (!violation.empty()) return violation;
    std::string overrun = emulator::check_red_zones();
    return overrun.empty() ? "" : std::string("kernel ") + kernel.name + ": " + overrun;
}

Random::Random(u64 stream) : state_(mix(seed() + 0x9e3779b97f4a7c15ull * (stream + 1))) {}

u64 Random::bits() {
    return mix(state_ += 0x9e3779b97f4a7c15ull);
}

double Random::normal() {
    double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
    return radius * std::cos(6.283185307179586 * unit());
}

void check_close_values(double actual, double expected, double tolerance, const std::string& what, Site site) {
    if (std::abs(actual - expected) <= tolerance) return;
    char text[160];
    std::snprintf(text, sizeof text, " is %.9g, expected %.9g within %.3g", actual, expected, tolerance);
    fail_test(what + text, site);
}

int main(int count, char** parts) {
    std::printf("seed %llu (BRANTAS_TEST_SEED sets another)\n", static_cast<unsigned long long>(seed()));
    std::fflush(stdout);
    name_the_test_in_crashes();
    int failures = 0;
    for (const Test& test : tests())
        if (wanted(test.name, count, parts)) failures += run_test(test) ? 0 : 1;
    return failures == 0 ? 0 : 1;
}
