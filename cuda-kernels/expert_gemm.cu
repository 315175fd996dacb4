// The experts' matrix products for many rows (spec 5.2), grouped: every block takes one tile of expert order (rows that chose
// the same expert, the shared expert being number `experts`) and 128 weight rows of that expert. `up` gathers rows of x by
// index while copying them, and leaves bf16 inner = silu(gate) · up, in fp32 until then: weights lie in groups of 8 gate rows
// and 8 up rows, so that both values of a column meet in one lane. `down` takes the rows of inner as they lie and leaves fp32
// rows in the order of the assignments, for the weighted sum that follows. Variants for tiles of 16, 32, 64 and 128 rows; a
// row's bits depend neither on the other rows nor on the tile (common/tile_product.cuh).
#include "common/outputs.cuh"
#include "common/tile_product.cuh"

constexpr i32 EXPERT_THREADS = 128;
constexpr i32 EXPERT_COLS = 128;

/// The four warps lie side by side for few rows, two by two for many.
template <class Columns>
struct ExpertProducts {
    using Rows16 = TileProduct<16, EXPERT_COLS, 16, 32, 4, Columns>;
    using Rows32 = TileProduct<32, EXPERT_COLS, 32, 32, 4, Columns>;
    using Rows64 = TileProduct<64, EXPERT_COLS, 32, 64, 4, Columns>;
    using Rows128 = TileProduct<128, EXPERT_COLS, 64, 64, 3, Columns>;
    static_assert(Rows16::THREADS == EXPERT_THREADS && sizeof(typename Rows16::Shared) == 36864);
    static_assert(Rows32::THREADS == EXPERT_THREADS && sizeof(typename Rows32::Shared) == 40960);
    static_assert(Rows64::THREADS == EXPERT_THREADS && sizeof(typename Rows64::Shared) == 49152);
    static_assert(Rows128::THREADS == EXPERT_THREADS && sizeof(typename Rows128::Shared) == 49152);
};
using UpProducts = ExpertProducts<GatedColumns>;
using DownProducts = ExpertProducts<NeighbourColumns>;

/// A tile of expert order: positions [first, first + count) belong to one expert.
struct ExpertTile {
    i32 expert;
    i32 first;
    i32 count;
    i32 padding;
};

struct ExpertUpArgs {
    u64 inner;           // bf16 [assignments + rows, inner_stride]
    u64 x;               // bf16 [.., x_stride]
    u64 order;           // i32 [assignments + rows]: below `assignments` row · slots + slot, else assignments + row
    u64 tiles;           // ExpertTile [..]
    u64 tile_count;      // i32 [1]
    u64 weight;          // bf16 [experts, inner_rows, weight_stride]
    u64 shared_weight;   // bf16 [shared_rows, weight_stride]
    i64 expert_stride;   // elements from one expert's weights to the next
    i32 inner_stride;
    i32 x_stride;
    i32 weight_stride;
    i32 depth;           // of a row of x, rounded up to 8
    i32 experts;
    i32 slots;           // experts of a row
    i32 from;            // row of x that row 0 of `order` is
    i32 assignments;     // rows · slots
    i32 inner_rows;      // gate and up rows of a routed expert, a multiple of 16
    i32 shared_rows;     // of the shared expert
};

template <class Product>
DEVICE void expert_up(const ExpertUpArgs& args) {
    wait_for_predecessors();
    release_successors();
    const i32 most = args.inner_rows > args.shared_rows ? args.inner_rows : args.shared_rows;
    const i32 col_tiles = (most + Product::COLS - 1) / Product::COLS;
    const i32 index = static_cast<i32>(blockIdx.x) / col_tiles;
    if (index >= *reinterpret_cast<const i32*>(args.tile_count)) return;
    const ExpertTile tile = reinterpret_cast<const ExpertTile*>(args.tiles)[index];
    const bool shared = tile.expert == args.experts;
    const i32 cols = shared ? args.shared_rows : args.inner_rows;
    const i32 first_col = static_cast<i32>(blockIdx.x) % col_tiles * Product::COLS;
    if (first_col >= cols) return;

    Product product;
    const i32* order = reinterpret_cast<const i32*>(args.order) + tile.first;
    product.rows(tile.count, [&](i32 position) {
        const i32 assignment = order[position];
        const i32 row = shared ? assignment - args.assignments : assignment / args.slots;
        return reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(args.from + row) * args.x_stride;
    });
    const bf16* weight = shared ? reinterpret_cast<const bf16*>(args.shared_weight)
                                : reinterpret_cast<const bf16*>(args.weight) + tile.expert * args.expert_stride;
    product.weights(weight + static_cast<i64>(first_col) * args.weight_stride, cols - first_col, args.weight_stride);
    product.run(shared_memory<typename Product::Shared>(), args.depth);
    product.each([&](i32 row, i32 first, const f32(&sums)[8]) {
        // Of 32 weight rows the lane has gate and up of four neighbouring columns; whole groups exist or do not.
        const i32 col = (first_col + first) / 2 + 4 * (lane_id() % 4);
        if (2 * col >= cols) return;
        auto* inner = reinterpret_cast<bf16*>(args.inner) + static_cast<i64>(tile.first + row) * args.inner_stride;
        put_swiglu(inner + col, sums);
    });
}

struct ExpertDownArgs {
    u64 out;               // f32 [assignments + rows, out_stride], row order[p] belongs to position p
    u64 inner;             // bf16 [assignments + rows, inner_stride]
    u64 order;             // i32 [assignments + rows]
    u64 tiles;             // ExpertTile [..]
    u64 tile_count;        // i32 [1]
    u64 weight;            // bf16 [experts, hidden, weight_stride]
    u64 shared_weight;     // bf16 [hidden, shared_stride]
    i64 expert_stride;     // elements from one expert's weights to the next
    i32 out_stride;
    i32 inner_stride;
    i32 weight_stride;     // also the depth of a routed expert: inner size rounded up to 8
    i32 shared_stride;     // the same of the shared expert
    i32 experts;
    i32 hidden;
};

template <class Product>
DEVICE void expert_down(const ExpertDownArgs& args) {
    wait_for_predecessors();
    release_successors();
    const i32 col_tiles = (args.hidden + Product::COLS - 1) / Product::COLS;
    const i32 index = static_cast<i32>(blockIdx.x) / col_tiles;
    if (index >= *reinterpret_cast<const i32*>(args.tile_count)) return;
    const ExpertTile tile = reinterpret_cast<const ExpertTile*>(args.tiles)[index];
    const bool shared = tile.expert == args.experts;
    const i32 first_col = static_cast<i32>(blockIdx.x) % col_tiles * Product::COLS;
    const i32 stride = shared ? args.shared_stride : args.weight_stride;

    Product product;
    const auto* inner = reinterpret_cast<const bf16*>(args.inner) + static_cast<i64>(tile.first) * args.inner_stride;
    product.rows(tile.count, [&](i32 position) { return inner + static_cast<i64>(position) * args.inner_stride; });
    const bf16* weight = shared ? reinterpret_cast<const bf16*>(args.shared_weight)
                                : reinterpret_cast<const bf16*>(args.weight) + tile.expert * args.expert_stride;
    product.weights(weight + static_cast<i64>(first_col) * stride, args.hidden - first_col, stride);
    product.run(shared_memory<typename Product::Shared>(), stride);
    const i32* order = reinterpret_cast<const i32*>(args.order) + tile.first;
    product.each([&](i32 row, i32 first, const f32(&sums)[8]) {
        const i32 col = first_col + first + 8 * (lane_id() % 4);
        auto* out = reinterpret_cast<f32*>(args.out) + static_cast<i64>(order[row]) * args.out_stride;
        Unrounded::put8(out + col, sums, args.hidden - col);
    });
}

//! kernel expert_gemm_up_16(ExpertUpArgs) block 128 shared 36864 grid [tiles * ceil(inner_rows/128)] dtypes bf16 archs all
KERNEL(expert_gemm_up_16, ExpertUpArgs, EXPERT_THREADS) {
    expert_up<UpProducts::Rows16>(args);
}

//! kernel expert_gemm_up_32(ExpertUpArgs) block 128 shared 40960 grid [tiles * ceil(inner_rows/128)] dtypes bf16 archs all
KERNEL(expert_gemm_up_32, ExpertUpArgs, EXPERT_THREADS) {
    expert_up<UpProducts::Rows32>(args);
}

//! kernel expert_gemm_up_64(ExpertUpArgs) block 128 shared 49152 grid [tiles * ceil(inner_rows/128)] dtypes bf16 archs all
KERNEL(expert_gemm_up_64, ExpertUpArgs, EXPERT_THREADS) {
    expert_up<UpProducts::Rows64>(args);
}

//! kernel expert_gemm_up_128(ExpertUpArgs) block 128 shared 49152 grid [tiles * ceil(inner_rows/128)] dtypes bf16 archs all
KERNEL(expert_gemm_up_128, ExpertUpArgs, EXPERT_THREADS) {
    expert_up<UpProducts::Rows128>(args);
}

//! kernel expert_gemm_down_16(ExpertDownArgs) block 128 shared 36864 grid [tiles * ceil(hidden/128)] dtypes bf16 archs all
KERNEL(expert_gemm_down_16, ExpertDownArgs, EXPERT_THREADS) {
    expert_down<DownProducts::Rows16>(args);
}

//! kernel expert_gemm_down_32(ExpertDownArgs) block 128 shared 40960 grid [tiles * ceil(hidden/128)] dtypes bf16 archs all
KERNEL(expert_gemm_down_32, ExpertDownArgs, EXPERT_THREADS) {
    expert_down<DownProducts::Rows32>(args);
}

//! kernel expert_gemm_down_64(ExpertDownArgs) block 128 shared 49152 grid [tiles * ceil(hidden/128)] dtypes bf16 archs all
KERNEL(expert_gemm_down_64, ExpertDownArgs, EXPERT_THREADS) {
    expert_down<DownProducts::Rows64>(args);
}

//! kernel expert_gemm_down_128(ExpertDownArgs) block 128 shared 49152 grid [tiles * ceil(hidden/128)] dtypes bf16 archs all
KERNEL(expert_gemm_down_128, ExpertDownArgs, EXPERT_THREADS) {
    expert_down<DownProducts::Rows128>(args);
}
