// y[row] = W · x[row] for single rows (decode): weights bf16 [outputs, depth] are read once for up to eight rows, fp32
// accumulation. A warp owns four outputs and all of their depth, so nothing is shared between warps and there is no barrier;
// weights stream past the first-level cache, which keeps the activations. Three ways to leave the sums: bf16, added to the
// bf16 residual, fp32 (logits). The variants for 1, 2, 4 and 8 rows together add in the same order (common/lane_dots.cuh): a
// row's result does not depend on its company.
#include "common/lane_dots.cuh"
#include "common/outputs.cuh"
#include "common/step.cuh"

constexpr i32 GEMV_THREADS = 128;
constexpr i32 GEMV_OUTPUTS = 4;  // of a warp

struct GemvArgs {
    u64 dst;             // bf16 or f32 [rows, dst_stride]
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

/// Blocks that share weights are neighbours in the grid, so that the second reads them from the second-level cache.
template <i32 Together, i32 Chunks, class Output>
DEVICE void gemv(const GemvArgs& args) {
    wait_for_predecessors();
    release_successors();
    const i32 groups = (args.rows.to - args.rows.from + Together - 1) / Together;
    const i32 block = static_cast<i32>(blockIdx.x);
    const i32 first = args.rows.from + block % groups * Together;
    const i32 end = rows_end(args.rows);
    const i32 output = (block / groups * (GEMV_THREADS / WARP) + warp_id()) * GEMV_OUTPUTS;
    if (first >= end || output >= args.outputs) return;

    // Behind the last output and the last row the last one is computed again, and dropped.
    const bf16* weight[GEMV_OUTPUTS];
    UNROLL
    for (i32 o = 0; o < GEMV_OUTPUTS; o++) {
        const i32 row = output + o < args.outputs ? output + o : args.outputs - 1;
        weight[o] = reinterpret_cast<const bf16*>(args.weight) + static_cast<i64>(row) * args.weight_stride;
    }
    const bf16* x[Together];
    UNROLL
    for (i32 r = 0; r < Together; r++) {
        const i32 row = first + r < end ? first + r : end - 1;
        x[r] = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(row) * args.x_stride;
    }
    f32 sum[Together][GEMV_OUTPUTS] = {};
    lane_dots<Chunks>(sum, weight, x, args.depth);
    const f32 total = deal_sums(sum);

    constexpr i32 LANES_EACH = WARP / (Together * GEMV_OUTPUTS);
    const i32 value = lane_id() / LANES_EACH;
    const i32 row = first + value / GEMV_OUTPUTS;
    const i32 col = output + value % GEMV_OUTPUTS;
    if (lane_id() % LANES_EACH == 0 && row < end && col < args.outputs) {
        auto* dst = reinterpret_cast<typename Output::Value*>(args.dst);
        Output::put(dst + static_cast<i64>(row) * args.dst_stride + col, total);
    }
}

//! kernel gemv_bf16_1(GemvArgs) block 128 shared 0 grid [ceil(rows/1) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_bf16_1, GemvArgs, GEMV_THREADS) {
    gemv<1, 2, Rounded>(args);
}

//! kernel gemv_bf16_2(GemvArgs) block 128 shared 0 grid [ceil(rows/2) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_bf16_2, GemvArgs, GEMV_THREADS) {
    gemv<2, 2, Rounded>(args);
}

//! kernel gemv_bf16_4(GemvArgs) block 128 shared 0 grid [ceil(rows/4) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_bf16_4, GemvArgs, GEMV_THREADS) {
    gemv<4, 1, Rounded>(args);
}

//! kernel gemv_bf16_8(GemvArgs) block 128 shared 0 grid [ceil(rows/8) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_bf16_8, GemvArgs, GEMV_THREADS) {
    gemv<8, 1, Rounded>(args);
}

//! kernel gemv_add_1(GemvArgs) block 128 shared 0 grid [ceil(rows/1) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_add_1, GemvArgs, GEMV_THREADS) {
    gemv<1, 2, Added>(args);
}

//! kernel gemv_add_2(GemvArgs) block 128 shared 0 grid [ceil(rows/2) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_add_2, GemvArgs, GEMV_THREADS) {
    gemv<2, 2, Added>(args);
}

//! kernel gemv_add_4(GemvArgs) block 128 shared 0 grid [ceil(rows/4) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_add_4, GemvArgs, GEMV_THREADS) {
    gemv<4, 1, Added>(args);
}

//! kernel gemv_add_8(GemvArgs) block 128 shared 0 grid [ceil(rows/8) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_add_8, GemvArgs, GEMV_THREADS) {
    gemv<8, 1, Added>(args);
}

//! kernel gemv_f32_1(GemvArgs) block 128 shared 0 grid [ceil(rows/1) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_f32_1, GemvArgs, GEMV_THREADS) {
    gemv<1, 2, Unrounded>(args);
}

//! kernel gemv_f32_2(GemvArgs) block 128 shared 0 grid [ceil(rows/2) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_f32_2, GemvArgs, GEMV_THREADS) {
    gemv<2, 2, Unrounded>(args);
}

//! kernel gemv_f32_4(GemvArgs) block 128 shared 0 grid [ceil(rows/4) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_f32_4, GemvArgs, GEMV_THREADS) {
    gemv<4, 1, Unrounded>(args);
}

//! kernel gemv_f32_8(GemvArgs) block 128 shared 0 grid [ceil(rows/8) * ceil(outputs/16)] dtypes bf16 archs all
KERNEL(gemv_f32_8, GemvArgs, GEMV_THREADS) {
    gemv<8, 1, Unrounded>(args);
}
