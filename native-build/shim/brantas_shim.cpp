// The body of brantas_shim.h. The structs of cuLaunchKernelEx are declared here as CUDA 12 and 13 lay them out, because the
// library is built where no toolkit is; where there is one, `make -C native-build shim-check` compares them with cuda.h.
#include "brantas_shim.h"

#include <dlfcn.h>

namespace {

struct Attribute {
    int32_t id;
    char padding[4];
    union {
        char bytes[64];
        uint32_t cluster[3];
        int32_t programmatic;
    } value;
};

struct Configuration {
    uint32_t grid_x, grid_y, grid_z;
    uint32_t block_x, block_y, block_z;
    uint32_t shared_bytes;
    void* stream;
    Attribute* attributes;
    uint32_t attribute_count;
};

constexpr int32_t CLUSTER_DIMENSION = 4;
constexpr int32_t PROGRAMMATIC_STREAM_SERIALIZATION = 6;

using Launch = int (*)(const Configuration*, void* function, void** parameters, void** extra);

struct Driver {
    int result;
    Launch launch;
};

Driver find_driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return {BRANTAS_SHIM_NO_DRIVER, nullptr};
    auto launch = reinterpret_cast<Launch>(dlsym(library, "cuLaunchKernelEx"));
    return {launch == nullptr ? BRANTAS_SHIM_NO_EXTENDED_LAUNCH : 0, launch};
}

const Driver& driver() {
    static const Driver found = find_driver();
    return found;
}

}  // namespace

int brantas_shim_open() {
    return driver().result;
}

int brantas_shim_launch(int64_t request) {
    const auto& wanted = *reinterpret_cast<const brantas_shim_request*>(request);
    if (driver().launch == nullptr) return driver().result;
    Attribute attributes[2] = {};
    Configuration configuration = {};
    configuration.grid_x = wanted.grid_x;
    configuration.grid_y = wanted.grid_y;
    configuration.grid_z = wanted.grid_z;
    configuration.block_x = wanted.block_x;
    configuration.block_y = 1;
    configuration.block_z = 1;
    configuration.shared_bytes = wanted.shared_bytes;
    configuration.stream = reinterpret_cast<void*>(wanted.stream);
    configuration.attributes = attributes;
    if ((wanted.flags & BRANTAS_SHIM_PROGRAMMATIC) != 0) {
        Attribute& attribute = attributes[configuration.attribute_count++];
        attribute.id = PROGRAMMATIC_STREAM_SERIALIZATION;
        attribute.value.programmatic = 1;
    }
    if (wanted.cluster_x > 1) {
        Attribute& attribute = attributes[configuration.attribute_count++];
        attribute.id = CLUSTER_DIMENSION;
        attribute.value.cluster[0] = wanted.cluster_x;
        attribute.value.cluster[1] = 1;
        attribute.value.cluster[2] = 1;
    }
    return driver().launch(&configuration, reinterpret_cast<void*>(wanted.function),
                           reinterpret_cast<void**>(wanted.parameters), nullptr);
}

#if defined(BRANTAS_SHIM_CHECK)
#include <cuda.h>
static_assert(sizeof(Attribute) == sizeof(CUlaunchAttribute) && alignof(CUlaunchAttribute) <= 8);
static_assert(offsetof(Attribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(offsetof(Attribute, id) == offsetof(CUlaunchAttribute, id));
static_assert(sizeof(Configuration) == sizeof(CUlaunchConfig));
static_assert(offsetof(Configuration, grid_z) == offsetof(CUlaunchConfig, gridDimZ));
static_assert(offsetof(Configuration, block_x) == offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(Configuration, shared_bytes) == offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(Configuration, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(Configuration, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(Configuration, attribute_count) == offsetof(CUlaunchConfig, numAttrs));
static_assert(CLUSTER_DIMENSION == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
static_assert(PROGRAMMATIC_STREAM_SERIALIZATION == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
#endif
