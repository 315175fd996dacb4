// y[row] = W · x[row] for many rows (prefill) on tensor cores: x bf16 [rows, depth], W bf16 [outputs, depth], fp32 sums
// (common/tile_product.cuh). Two tile shapes: 128 rows × 128 outputs with 64 × 64 a warp, which shared memory can feed, and
// 64 × 64 where the large ones would leave multiprocessors idle. Four ways to leave the sums: bf16, added to the bf16
// residual, fp32 (logits), and SwiGLU, bf16(SiLU(gate) · up) with the weights in groups of 8 gate rows and 8 up rows. The bits
// of a row depend neither on the other rows nor on the tile shape.
#include "common/outputs.cuh"
#include "common/step.cuh"
#include "common/tile_product.cuh"

constexpr i32 GEMM_THREADS = 128;
constexpr i32 GEMM_BAND = 8;  // tiles of rows that go through the weights side by side

template <class Columns>
using GemmLarge = TileProduct<128, 128, 64, 64, 3, Columns>;
template <class Columns>
using GemmSmall = TileProduct<64, 64, 32, 32, 4, Columns>;

/// How a tile's sums leave: `put` gets those that TileProduct::each hands out.
template <class Output>
struct GemmSums {
    using Columns = NeighbourColumns;
    using Value = typename Output::Value;

    DEVICE static void put(Value* row, i32 first, const f32 (&sums)[8], i32 outputs) {
        const i32 output = first + 8 * (lane_id() % 4);
        Output::put8(row + output, sums, outputs - output);
    }
};

/// Of 32 weight rows a lane has gate and up of four neighbouring columns; whole groups exist or do not.
struct GemmSwiGlu {
    using Columns = GatedColumns;
    using Value = bf16;

    DEVICE static void put(bf16* row, i32 first, const f32 (&sums)[8], i32 outputs) {
        const i32 col = first / 2 + 4 * (lane_id() % 4);
        if (2 * col < outputs) put_swiglu(row + col, sums);
    }
};

struct GemmArgs {
    u64 dst;             // bf16 or f32 [rows, dst_stride]: of half as many columns as outputs for SwiGLU
    u64 x;               // bf16 [rows, x_stride]
    u64 weight;          // bf16 [outputs, weight_stride]
    Rows rows;           // of dst and x
    i32 dst_stride;
    i32 x_stride;
    i32 weight_stride;
    i32 depth;           // columns of the weight, rounded up to 8; those beyond the true ones are zero
    i32 outputs;         // rows of the weight
    i32 padding;
};

/// Blocks run about in the order of their index: a band of row tiles takes one tile of weights after the other, so that what
/// is under way at a time fits the second-level cache.
template <template <class> class Shape, class Result>
DEVICE void gemm(const GemmArgs& args) {
    using Product = Shape<typename Result::Columns>;
    static_assert(Product::THREADS == GEMM_THREADS && sizeof(typename Product::Shared) == (Product::ROWS == 128 ? 49152 : 32768));
    wait_for_predecessors();
    release_successors();
    const i32 row_tiles = (args.rows.to - args.rows.from + Product::ROWS - 1) / Product::ROWS;
    const i32 col_tiles = (args.outputs + Product::COLS - 1) / Product::COLS;
    const i32 block = static_cast<i32>(blockIdx.x);
    const i32 band = block / (GEMM_BAND * col_tiles) * GEMM_BAND;
    const i32 height = row_tiles - band < GEMM_BAND ? row_tiles - band : GEMM_BAND;
    const i32 within = block - band * col_tiles;
    const i32 first = args.rows.from + (band + within % height) * Product::ROWS;
    const i32 first_output = within / height * Product::COLS;
    const i32 end = rows_end(args.rows);
    if (first >= end) return;

    Product product;
    const auto* x = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(first) * args.x_stride;
    product.rows(end - first, [&](i32 row) { return x + static_cast<i64>(row) * args.x_stride; });
    product.weights(reinterpret_cast<const bf16*>(args.weight) + static_cast<i64>(first_output) * args.weight_stride,
                    args.outputs - first_output, args.weight_stride);
    product.run(shared_memory<typename Product::Shared>(), args.depth);
    product.each([&](i32 row, i32 first_col, const f32(&sums)[8]) {
        auto* dst = reinterpret_cast<typename Result::Value*>(args.dst);
        Result::put(dst + static_cast<i64>(first + row) * args.dst_stride, first_output + first_col, sums, args.outputs);
    });
}

//! kernel gemm_bf16_128(GemmArgs) block 128 shared 49152 grid [ceil(rows/128) * ceil(outputs/128)] dtypes bf16 archs all
KERNEL(gemm_bf16_128, GemmArgs, GEMM_THREADS) {
    gemm<GemmLarge, GemmSums<Rounded>>(args);
}

//! kernel gemm_bf16_64(GemmArgs) block 128 shared 32768 grid [ceil(rows/64) * ceil(outputs/64)] dtypes bf16 archs all
KERNEL(gemm_bf16_64, GemmArgs, GEMM_THREADS) {
    gemm<GemmSmall, GemmSums<Rounded>>(args);
}

//! kernel gemm_add_128(GemmArgs) block 128 shared 49152 grid [ceil(rows/128) * ceil(outputs/128)] dtypes bf16 archs all
KERNEL(gemm_add_128, GemmArgs, GEMM_THREADS) {
    gemm<GemmLarge, GemmSums<Added>>(args);
}

//! kernel gemm_add_64(GemmArgs) block 128 shared 32768 grid [ceil(rows/64) * ceil(outputs/64)] dtypes bf16 archs all
KERNEL(gemm_add_64, GemmArgs, GEMM_THREADS) {
    gemm<GemmSmall, GemmSums<Added>>(args);
}

//! kernel gemm_f32_128(GemmArgs) block 128 shared 49152 grid [ceil(rows/128) * ceil(outputs/128)] dtypes bf16 archs all
KERNEL(gemm_f32_128, GemmArgs, GEMM_THREADS) {
    gemm<GemmLarge, GemmSums<Unrounded>>(args);
}

//! kernel gemm_f32_64(GemmArgs) block 128 shared 32768 grid [ceil(rows/64) * ceil(outputs/64)] dtypes bf16 archs all
KERNEL(gemm_f32_64, GemmArgs, GEMM_THREADS) {
    gemm<GemmSmall, GemmSums<Unrounded>>(args);
}

//! kernel gemm_swiglu_128(GemmArgs) block 128 shared 49152 grid [ceil(rows/128) * ceil(outputs/128)] dtypes bf16 archs all
KERNEL(gemm_swiglu_128, GemmArgs, GEMM_THREADS) {
    gemm<GemmLarge, GemmSwiGlu>(args);
}

//! kernel gemm_swiglu_64(GemmArgs) block 128 shared 32768 grid [ceil(rows/64) * ceil(outputs/64)] dtypes bf16 archs all
KERNEL(gemm_swiglu_64, GemmArgs, GEMM_THREADS) {
    gemm<GemmSmall, GemmSwiGlu>(args);
}
