// Modules, functions and launches. A module image for this device is a shared object for the host, given as bytes like any
// other image and loaded from memory; code for a true device is refused with the driver's "no binary for this device".
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "driver.hpp"
#include "traffic.hpp"

namespace brantas::emulator {
namespace {

constexpr uint32_t FAT_BINARY = 0xba55ed50u;
constexpr uint16_t CUBIN_MACHINE = 190;

/// Bytes of an ELF image, whose section headers come last.
size_t image_bytes(const Elf64_Ehdr& header) {
    return header.e_shoff + static_cast<size_t>(header.e_shnum) * header.e_shentsize;
}

Code check_image(const void* image) {
    uint32_t magic = 0;
    std::memcpy(&magic, image, sizeof magic);
    const auto& header = *static_cast<const Elf64_Ehdr*>(image);
    bool elf = std::memcmp(image, ELFMAG, SELFMAG) == 0;
    if (magic == FAT_BINARY || (elf && header.e_machine == CUBIN_MACHINE))
        return error(NO_BINARY_FOR_GPU, "the module image is for a true device: the emulated one needs target/emulator/kernels.so");
    if (!elf) return error(INVALID_IMAGE, "the module image is neither a shared object nor one for a device");
    if (header.e_machine != EM_X86_64 || header.e_type != ET_DYN || image_bytes(header) < sizeof(Elf64_Ehdr))
        return error(INVALID_IMAGE, "the module image is an ELF file, but no x86-64 shared object");
    return SUCCESS;
}

Code load(Module& module, const void* image) {
    if (Code code = check_image(image)) return code;
    size_t bytes = image_bytes(*static_cast<const Elf64_Ehdr*>(image));
    module.file = memfd_create("brantas-module", MFD_CLOEXEC);
    const auto* from = static_cast<const char*>(image);
    while (module.file >= 0 && bytes > 0) {
        ssize_t written = write(module.file, from, bytes);
        if (written <= 0) break;
        from += written;
        bytes -= static_cast<size_t>(written);
    }
    if (module.file < 0 || bytes > 0) return error(OUT_OF_MEMORY, "no memory for the module image");
    std::string path = "/proc/self/fd/" + std::to_string(module.file);
    module.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module.library == nullptr) return error(INVALID_IMAGE, std::string("the module image does not load: ") + dlerror());
    return SUCCESS;
}

Code code_of(Fault fault) {
    switch (fault) {
        case Fault::NONE: return SUCCESS;
        case Fault::ILLEGAL_ADDRESS: return ILLEGAL_ADDRESS;
        case Fault::MISALIGNED: return MISALIGNED_ADDRESS;
        default: return LAUNCH_FAILED;
    }
}

/// Arguments as one struct, from either of the driver's ways to pass them.
Code take_arguments(const Entry& entry, void** parameters, void** extra, std::vector<uint64_t>& into) {
    const void* from = nullptr;
    if (extra != nullptr) {
        size_t bytes = 0;
        for (void** at = extra; *at != nullptr; at += 2) {
            if (*at == reinterpret_cast<void*>(1)) from = at[1];
            if (*at == reinterpret_cast<void*>(2)) bytes = *static_cast<size_t*>(at[1]);
        }
        if (bytes != entry.args_bytes)
            return error(INVALID_VALUE, std::string("kernel ") + entry.name + " takes " + std::to_string(entry.args_bytes) +
                                            " bytes of arguments and is given " + std::to_string(bytes));
    } else if (parameters != nullptr) {
        from = parameters[0];
    }
    if (from == nullptr) return error(INVALID_VALUE, std::string("kernel ") + entry.name + " is launched without arguments");
    into.assign((entry.args_bytes + 7) / 8, 0);
    std::memcpy(into.data(), from, entry.args_bytes);
    return SUCCESS;
}

KernelCounts& counts_of(std::string_view kernel) {
    auto& all = driver().by_kernel;
    auto found = all.find(kernel);
    return found != all.end() ? found->second : all.emplace(kernel, KernelCounts()).first->second;
}

}  // namespace

Code launch(Function& function, Index blocks, Index threads, uint32_t shared_bytes, Stream& stream, void** parameters,
            void** extra) {
    const Entry& entry = *function.entry;
    if (strikes("LAUNCH")) return LAUNCH_OUT_OF_RESOURCES;
    std::vector<uint64_t> arguments;
    if (Code code = take_arguments(entry, parameters, extra, arguments)) return code;
    Settings settings = driver().choices.kernels;
    settings.most_shared_bytes = function.most_shared_bytes;
    std::string refused = refusal({&entry, blocks, threads, shared_bytes, arguments.data()}, settings);
    if (!refused.empty()) return error(INVALID_VALUE, refused);
    bool eager = stream.capture == nullptr;
    if (eager) driver().count("kernel_launches");
    return submit(stream, NodeKind::KERNEL, [&function, blocks, threads, shared_bytes, arguments = std::move(arguments)] {
        if (!function.alive) return error(INVALID_HANDLE, "a module was unloaded before a launch of its kernel was done");
        if (strikes("KERNEL")) return LAUNCH_FAILED;
        driver().kernels_done++;
        KernelCounts& counts = counts_of(function.entry->name);
        counts.runs++;
        if (!driver().choices.run_kernels) return SUCCESS;
        Settings now = driver().choices.kernels;
        now.seed += static_cast<uint64_t>(driver().next_number++);
        Violation found = run({function.entry, blocks, threads, shared_bytes, arguments.data()}, now);
        Traffic::Bytes moved = traffic.take();
        counts.bytes_read += moved.read;
        counts.bytes_written += moved.written;
        return found.fault == Fault::NONE ? SUCCESS : error(code_of(found.fault), found.text);
    });
}

}  // namespace brantas::emulator

using namespace brantas::emulator;

/// Of the options only the buffer for an error text is honoured.
API cuModuleLoadDataEx(Module** module, const void* image, unsigned count, int* options, void** values) {
    ENTER(cuModuleLoadDataEx, CONTEXT | NO_CAPTURE);
    if (image == nullptr) return error(INVALID_VALUE, "cuModuleLoadData without an image");
    if (strikes("MODULE")) return OUT_OF_MEMORY;
    auto* loaded = new Module;
    Code code = load(*loaded, image);
    if (code != SUCCESS) {
        if (loaded->file >= 0) close(loaded->file);
        delete loaded;
        char* log = nullptr;
        size_t room = 0;
        for (unsigned i = 0; i < count; i++) {
            if (options[i] == 5) log = static_cast<char*>(values[i]);
            if (options[i] == 6) room = static_cast<unsigned>(reinterpret_cast<uintptr_t>(values[i]));
        }
        if (log != nullptr && room > 0) std::snprintf(log, room, "%s", driver().last_error.c_str());
        return code;
    }
    register_handle(loaded);
    driver().count("live_modules");
    *module = loaded;
    return SUCCESS;
}

API cuModuleLoadData(Module** module, const void* image) {
    return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

API cuModuleUnload(Module* module) {
    ENTER(cuModuleUnload, CONTEXT | NO_CAPTURE);
    if (!is_valid(module, "the module", "cuModuleUnload")) return INVALID_HANDLE;
    Code code = flush_all();
    for (auto& [name, function] : module->functions) function->alive = false;
    module->alive = false;
    dlclose(module->library);
    close(module->file);
    driver().count("live_modules", -1);
    return code;
}

API cuModuleGetFunction(Function** function, Module* module, const char* name) {
    ENTER(cuModuleGetFunction, CONTEXT);
    if (!is_valid(module, "the module", "cuModuleGetFunction")) return INVALID_HANDLE;
    *function = nullptr;
    if (strikes("SYMBOL") || name == driver().choices.missing_symbol) return NOT_FOUND;
    Function*& known = module->functions[name];
    if (known == nullptr) {
        auto* entry = static_cast<const Entry*>(dlsym(module->library, (std::string("brantas_kernel_") + name).c_str()));
        if (entry == nullptr) {
            module->functions.erase(name);
            driver().last_error = std::string("the module has no kernel ") + name;
            return NOT_FOUND;
        }
        known = new Function;
        known->entry = entry;
        known->module = module;
        register_handle(known);
    }
    *function = known;
    return SUCCESS;
}

API cuFuncSetAttribute(Function* function, int which, int value) {
    ENTER(cuFuncSetAttribute, CONTEXT);
    if (!is_valid(function, "the function", "cuFuncSetAttribute")) return INVALID_HANDLE;
    if (which != 8) return SUCCESS;  // hints
    auto most = static_cast<int>(driver().choices.kernels.most_shared_bytes);
    if (strikes("SHARED")) return INVALID_VALUE;
    if (value < 0 || value > most)
        return error(INVALID_VALUE, std::string("kernel ") + function->entry->name + " asks for " + std::to_string(value) +
                                        " bytes of shared memory, and a block can have " + std::to_string(most));
    function->most_shared_bytes = static_cast<uint32_t>(value);
    return SUCCESS;
}

API cuFuncGetAttribute(int* value, int which, Function* function) {
    ENTER(cuFuncGetAttribute, CONTEXT);
    if (!is_valid(function, "the function", "cuFuncGetAttribute")) return INVALID_HANDLE;
    *value = which == 0   ? static_cast<int>(function->entry->most_threads)
             : which == 4 ? 32
             : which == 5 || which == 6 ? driver().choices.capability  // as if the image had machine code for it
             : which == 8 ? static_cast<int>(function->most_shared_bytes)
                          : 0;
    return SUCCESS;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int threads, size_t shared_bytes) {
    ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessor, CONTEXT);
    if (!is_valid(function, "the function", "cuOccupancyMaxActiveBlocksPerMultiprocessor")) return INVALID_HANDLE;
    if (threads < 1 || threads > 1024) return error(INVALID_VALUE, "cuOccupancy…: a block has 1 to 1024 threads");
    size_t of_shared = (driver().choices.kernels.most_shared_bytes + 1024) / (shared_bytes + 1024);
    *blocks = static_cast<int>(std::min<size_t>({static_cast<size_t>(2048 / threads), of_shared, 32}));
    return SUCCESS;
}

API cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, void* handle, void** parameters, void** extra) {
    ENTER(cuLaunchKernel, CONTEXT);
    if (!is_valid(function, "the function", "cuLaunchKernel")) return INVALID_HANDLE;
    Stream* stream = stream_of(handle, "cuLaunchKernel");
    if (stream == nullptr) return INVALID_HANDLE;
    return launch(*function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, *stream, parameters, extra);
}

namespace {

/// CUlaunchAttribute and CUlaunchConfig of the driver's header.
struct LaunchAttribute {
    int id;
    int padding;
    unsigned char value[64];
};
struct LaunchConfig {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    void* stream;
    LaunchAttribute* attributes;
    unsigned count;
};

constexpr int IGNORED = 0;
constexpr int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

}  // namespace

API cuLaunchKernelEx(const LaunchConfig* config, Function* function, void** parameters, void** extra) {
    ENTER(cuLaunchKernelEx, CONTEXT);
    if (!is_valid(function, "the function", "cuLaunchKernelEx")) return INVALID_HANDLE;
    Stream* stream = stream_of(config->stream, "cuLaunchKernelEx");
    if (stream == nullptr) return INVALID_HANDLE;
    for (unsigned i = 0; i < config->count; i++) {
        int id = config->attributes[i].id;
        if (id == IGNORED) continue;
        if (id != PROGRAMMATIC_STREAM_SERIALIZATION)
            return error(NOT_SUPPORTED, "launch attribute " + std::to_string(id) + " is not modelled");
        if (driver().choices.capability < 90)
            return error(NOT_SUPPORTED, "dependent launches need compute capability 9.0");
        driver().count("dependent_launches");
    }
    return launch(*function, {config->grid_x, config->grid_y, config->grid_z}, {config->block_x, config->block_y, config->block_z},
                  config->shared_bytes, *stream, parameters, extra);
}
