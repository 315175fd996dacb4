// A stand-in for NVIDIA's libcublas.so.12 on the emulated device: the functions that Brantas calls, for the one kind of
// product that it needs, bf16 [m, k] · [k, n] into bf16 or fp32 with sums in fp32. Device addresses are host addresses, so
// that a product is computed at the call, after the work that its stream holds. Like cuBLAS it rounds partial sums to the
// result's type unless the math mode forbids it. What it cannot do it refuses with cuBLAS's status and says on stderr.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "memory.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

extern "C" int cuStreamSynchronize(void* stream);
extern "C" int cuCtxGetCurrent(void** context);

namespace {

using brantas::emulator::is_allocated;

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Operation { N = 0, T = 1 };
enum Type { FP32 = 0, BF16 = 14 };
constexpr int COMPUTE_32F = 68;
constexpr int DEFAULT_ALGORITHM = -1;
constexpr int NO_REDUCED_PRECISION = 16;

constexpr uint64_t LIVE = 0x7375626C6D652121;
constexpr int SPLIT = 64;  // terms of a partial sum

struct Library {
    uint64_t mark;
    void* stream;
    int mode;
};

std::atomic<int64_t> live_libraries, products, products_until_failure;

Library* live(void* handle) {
    auto* library = static_cast<Library*>(handle);
    return library != nullptr && library->mark == LIVE ? library : nullptr;
}

int refuse(Status status, const char* why) {
    std::fprintf(stderr, "emulated cuBLAS: %s\n", why);
    return status;
}

float from_bf16(uint16_t bits) {
    uint32_t word = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, 4);
    return value;
}

uint16_t to_bf16(float value) {
    uint32_t word;
    std::memcpy(&word, &value, 4);
    if (value != value) return static_cast<uint16_t>(word >> 16 | 0x40);
    return static_cast<uint16_t>((word + 0x7FFF + (word >> 16 & 1)) >> 16);
}

/// A matrix as BLAS has it: columns of `rows` values, `stride` from one to the next.
struct Matrix {
    uint64_t address;
    int rows, columns, stride, bytes;

    bool fits() const {
        return stride >= rows &&
               is_allocated(address, (static_cast<uint64_t>(columns - 1) * stride + rows) * static_cast<uint64_t>(bytes));
    }
    const uint16_t* column(int index) const {
        return reinterpret_cast<const uint16_t*>(address) + static_cast<int64_t>(index) * stride;
    }
};

float dot(const float* a, const uint16_t* b, int count, bool rounds_partial_sums) {
    float sum = 0;
    for (int from = 0; from < count; from += SPLIT) {
        float part = 0;
        for (int i = from; i < count && i < from + SPLIT; i++) part += a[i] * from_bf16(b[i]);
        sum += rounds_partial_sums ? from_bf16(to_bf16(part)) : part;
    }
    return sum;
}

/// c = aᵀ · b + beta · c
void multiply(const Matrix& a, const Matrix& b, const Matrix& c, float alpha, float beta, bool rounds_partial_sums) {
    std::vector<float> wide(static_cast<size_t>(a.rows));
    for (int i = 0; i < a.columns; i++) {
        for (int k = 0; k < a.rows; k++) wide[static_cast<size_t>(k)] = from_bf16(a.column(i)[k]);
        for (int j = 0; j < b.columns; j++) {
            float sum = alpha * dot(wide.data(), b.column(j), a.rows, rounds_partial_sums);
            uint64_t at = c.address + (static_cast<uint64_t>(j) * c.stride + i) * static_cast<uint64_t>(c.bytes);
            if (c.bytes == 4) {
                auto* to = reinterpret_cast<float*>(at);
                *to = beta == 0 ? sum : sum + beta * *to;
            } else {
                auto* to = reinterpret_cast<uint16_t*>(at);
                *to = to_bf16(beta == 0 ? sum : sum + beta * from_bf16(*to));
            }
        }
    }
}

}  // namespace

API cublasCreate_v2(void** handle) {
    void* context = nullptr;
    if (cuCtxGetCurrent(&context) != 0 || context == nullptr)
        return refuse(NOT_INITIALIZED, "cublasCreate without a current context");
    *handle = new Library{LIVE, nullptr, 0};
    live_libraries++;
    return SUCCESS;
}

API cublasDestroy_v2(void* handle) {
    Library* library = live(handle);
    if (library == nullptr) return refuse(NOT_INITIALIZED, "cublasDestroy of no library");
    library->mark = 0;
    delete library;
    live_libraries--;
    return SUCCESS;
}

API cublasSetStream_v2(void* handle, void* stream) {
    Library* library = live(handle);
    if (library == nullptr) return refuse(NOT_INITIALIZED, "cublasSetStream of no library");
    library->stream = stream;
    return SUCCESS;
}

API cublasSetMathMode(void* handle, int mode) {
    Library* library = live(handle);
    if (library == nullptr) return refuse(NOT_INITIALIZED, "cublasSetMathMode of no library");
    if (mode != 0 && mode != NO_REDUCED_PRECISION) return refuse(INVALID_VALUE, "cublasSetMathMode: unknown mode");
    library->mode = mode;
    return SUCCESS;
}

API cublasGetMathMode(void* handle, int* mode) {
    Library* library = live(handle);
    if (library == nullptr) return refuse(NOT_INITIALIZED, "cublasGetMathMode of no library");
    *mode = library->mode;
    return SUCCESS;
}

API cublasGemmEx(void* handle, int a_operation, int b_operation, int m, int n, int k, const void* alpha, const void* a,
                 int a_type, int a_stride, const void* b, int b_type, int b_stride, const void* beta, void* c, int c_type,
                 int c_stride, int compute_type, int algorithm) {
    Library* library = live(handle);
    if (library == nullptr) return refuse(NOT_INITIALIZED, "cublasGemmEx of no library");
    if (a_operation != T || b_operation != N || a_type != BF16 || b_type != BF16 || (c_type != BF16 && c_type != FP32) ||
        compute_type != COMPUTE_32F || algorithm != DEFAULT_ALGORITHM)
        return refuse(NOT_SUPPORTED, "cublasGemmEx: a kind of product that it does not know");
    if (m <= 0 || n <= 0 || k <= 0) return refuse(INVALID_VALUE, "cublasGemmEx of an empty matrix");
    Matrix left{reinterpret_cast<uint64_t>(a), k, m, a_stride, 2};
    Matrix right{reinterpret_cast<uint64_t>(b), k, n, b_stride, 2};
    Matrix result{reinterpret_cast<uint64_t>(c), m, n, c_stride, c_type == FP32 ? 4 : 2};
    for (const Matrix* matrix : {&left, &right, &result})
        if (!matrix->fits()) return refuse(INVALID_VALUE, "cublasGemmEx: a matrix is not all in one allocation");
    if (products_until_failure > 0 && --products_until_failure == 0)
        return refuse(EXECUTION_FAILED, "cublasGemmEx fails as it was told");
    if (cuStreamSynchronize(library->stream) != 0)
        return refuse(EXECUTION_FAILED, "cublasGemmEx: the stream cannot be waited for");
    float scale, keep;
    std::memcpy(&scale, alpha, 4);
    std::memcpy(&keep, beta, 4);
    multiply(left, right, result, scale, keep, c_type == BF16 && library->mode != NO_REDUCED_PRECISION);
    products++;
    return SUCCESS;
}

/// For tests: how many products were computed.
extern "C" __attribute__((visibility("default"))) int64_t brantas_cublas_products() { return products; }
/// How many libraries were created and not destroyed.
extern "C" __attribute__((visibility("default"))) int64_t brantas_cublas_live() { return live_libraries; }
/// The `count`-th product from now fails; 0: none.
extern "C" __attribute__((visibility("default"))) void brantas_cublas_fail(int64_t count) {
    products_until_failure = count;
}
