// Addresses to source lines; see source.hpp. A module's image lives in memory only, under /proc/self/fd, which another
// process must find under this one's number.
#include "source.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace brantas::emulator {
namespace {

constexpr char OPEN = '\1';
constexpr char CLOSE = '\2';

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

/// addr2line's answer, innermost frame first, without the lines of the port itself.
std::string lines_of(const std::string& command) {
    std::FILE* answer = popen(command.c_str(), "r");
    if (answer == nullptr) return "";
    char line[1024];
    std::string found;
    while (std::fgets(line, sizeof line, answer) != nullptr) {
        std::string text = base_name(line);
        text = text.substr(0, text.find_first_of(" \n"));
        if (text.empty() || text[0] == '?' || text.starts_with("port_host.cuh") || text.starts_with("device.hpp")) continue;
        if (text.find(":?") != std::string::npos || text.find(":0") != std::string::npos) continue;
        found += (found.empty() ? "" : " in ") + text;
    }
    pclose(answer);
    return found;
}

std::string find_source(uint64_t code) {
    Dl_info info;
    if (dladdr(reinterpret_cast<void*>(code), &info) == 0 || info.dli_fname == nullptr) return "";
    char offset[32];
    std::snprintf(offset, sizeof offset, "0x%llx",
                  static_cast<unsigned long long>(code - reinterpret_cast<uint64_t>(info.dli_fbase) - 1));
    std::string file = info.dli_fname;
    std::string prefix = "/proc/self/";
    if (file.starts_with(prefix)) file = "/proc/" + std::to_string(getpid()) + "/" + file.substr(prefix.size());
    std::string lines = lines_of("addr2line -i -e '" + file + "' " + offset + " 2>/dev/null");
    return lines.empty() ? "code " + std::string(offset) + " of " + base_name(file) : lines;
}

/// As find_source, but asks only once for each address: a process for every answer takes its time.
std::string source_of(uint64_t code) {
    static std::mutex mutex;
    static auto& known = *new std::map<uint64_t, std::string>;
    std::lock_guard lock(mutex);
    auto found = known.find(code);
    if (found == known.end()) found = known.emplace(code, find_source(code)).first;
    return found->second;
}

}  // namespace

std::string code_mark(const void* code) {
    if (code == nullptr) return "";
    char text[32];
    std::snprintf(text, sizeof text, "%c%p%c", OPEN, code, CLOSE);
    return text;
}

std::string with_sources(const std::string& text) {
    std::string out;
    size_t at = 0;
    while (at < text.size()) {
        size_t open = text.find(OPEN, at);
        out += text.substr(at, open - at);
        if (open == std::string::npos) break;
        std::string source = source_of(std::strtoull(text.c_str() + open + 1, nullptr, 16));
        if (!source.empty()) out += " (" + source + ")";
        at = text.find(CLOSE, open) + 1;
    }
    return out;
}

}  // namespace brantas::emulator
