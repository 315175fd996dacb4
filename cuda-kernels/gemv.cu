// y[row] = W · x[row] for single rows (decode) on tensor cores: weights bf16 [outputs, depth] are read once for up to 32 rows,
// fp32 accumulation. Eight warps share the depth of 16 outputs (common/row_dots.cuh). Results: bf16, added to the bf16
// residual, fp32 (logits), or SwiGLU, bf16(SiLU(gate) · up) with the weights in groups of 8 gate rows and 8 up rows. Plain
// variants for up to 8, 16 and 32 rows together read activations from memory. Those for up to four rows norm them first, in
// every block anew, which costs nothing while weights are on their way and saves a launch: RMSNorm, perhaps of the rows that the
// step's outputs name, or the gated norm. A row's bits depend neither on its company nor on the variant, and a fused norm gives
// those of the norm's own kernel.
//
// What counts is bytes under way. A warp has four steps requested, 64 KiB a block, which is all of 16 outputs up to a depth of
// 2048: a block asks for all its weights at once, before it waits for the kernels before it. The registers for that, up to 128,
// leave room for two blocks on a multiprocessor: up to 128 KiB under way, where some 40 KiB keep any memory busy, so that one
// block is enough while the other adds up or norms. More column tiles and the gated norm need registers of their own: three steps
// with 16 rows or the gated norm, two with 32 rows. With many more tiles than multiprocessors a block takes several, one after
// the other, and requests the next before it leaves the last: norms are computed once for all of them.
#include "common/outputs.cuh"
#include "common/staged_rows.cuh"
#include "common/step.cuh"

constexpr i32 GEMV_THREADS = 256;
static_assert(GEMV_THREADS == DOT_THREADS);

/// How a lane's four sums of a tile become results: lane (g, t) has weight rows g and g + 8 of rows 2t and 2t + 1.
template <class Output>
struct SumsAre {
    using Value = typename Output::Value;
    f32 residual[4];

    DEVICE static i32 col(i32 tile, i32 i) {
        return tile * DOT_ROWS + lane_id() / 4 + i / 2 * 8;
    }
    /// Reads what is to be added. `dst` is the first row's; rows 2t and 2t + 1 exist if they are below count.
    DEVICE void begin(const Value* dst, i32 stride, i32 count, i32 tile, i32 outputs) {
        each(count, tile, outputs, [&](i32 i, i32 row, i32 at) {
            residual[i] = Output::residual(dst + static_cast<i64>(row) * stride + at);
        });
    }
    DEVICE void end(Value* dst, i32 stride, i32 count, i32 tile, i32 outputs, const f32 (&total)[4]) const {
        each(count, tile, outputs, [&](i32 i, i32 row, i32 at) {
            Output::finish(dst + static_cast<i64>(row) * stride + at, residual[i], total[i]);
        });
    }

  private:
    template <class Take>
    DEVICE static void each(i32 count, i32 tile, i32 outputs, Take take) {
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            const i32 row = lane_id() % 4 * 2 + i % 2;
            if (row < count && col(tile, i) < outputs) take(i, row, col(tile, i));
        }
    }
};

/// Weight rows in groups of 8 gate rows and 8 up rows, which meet in a lane: a tile gives eight columns.
struct SwiGluOfSums {
    using Value = bf16;

    DEVICE void begin(const bf16* /*dst*/, i32 /*stride*/, i32 /*count*/, i32 /*tile*/, i32 /*outputs*/) {}
    DEVICE void end(bf16* dst, i32 stride, i32 count, i32 tile, i32 /*outputs*/, const f32 (&total)[4]) const {
        UNROLL
        for (i32 i = 0; i < 2; i++) {
            const i32 row = lane_id() % 4 * 2 + i;
            if (row < count) {
                dst[static_cast<i64>(row) * stride + tile * 8 + lane_id() / 4] = to_bf16(silu(total[i]) * total[i + 2]);
            }
        }
    }
};

/// A block's part of a launch: `together` rows, and every so many tiles of weights one. Groups of rows that share weights are
/// neighbours in the grid, so that the second reads them from the second-level cache.
struct GemvPart {
    i32 first_row;
    i32 tile;
    i32 tiles;      // of the matrix
    i32 tile_step;  // from one of the block's tiles to its next

    DEVICE GemvPart(const Rows& rows, i32 outputs, i32 together) {
        const i32 groups = (rows.to - rows.from + together - 1) / together;
        const i32 block = static_cast<i32>(blockIdx.x);
        first_row = rows.from + block % groups * together;
        tile = block / groups;
        tiles = (outputs + DOT_ROWS - 1) / DOT_ROWS;
        tile_step = static_cast<i32>(gridDim.x) / groups;
    }
};

/// `source.end(args)` is the row behind the last; `source(first, count)` makes the activations of so many rows available to the
/// whole block, which takes part.
template <i32 Tiles, i32 Ahead, i32 Together, class Result, class Args, class Source>
DEVICE void gemv(const Args& args, i32 depth, WarpSums<Tiles>& shared, const Source& source) {
    GemvPart part(args.rows, args.outputs, Together);
    const auto* weight = reinterpret_cast<const bf16*>(args.weight);
    const StepRange steps = warp_steps(dot_steps(depth));
    WeightRows rows(weight, part.tile * DOT_ROWS, args.outputs, args.weight_stride, depth);
    RowDots<Tiles, Ahead> dots;
    dots.request(rows, steps);
    wait_for_predecessors();
    release_successors();
    const i32 end = source.end(args);
    if (part.first_row >= end) return;

    const i32 count = end - part.first_row < Together ? end - part.first_row : Together;
    const auto activations = source(part.first_row, count);
    for (;;) {
        dots.run(rows, steps, activations);
        leave_sums(shared, dots.sum);
        // The rows of this warp's column tile in the end, if it gets one.
        const i32 own = warp_id() * DOT_COLUMNS;
        const i32 own_count = warp_id() < Tiles ? count - own : 0;
        auto* dst = reinterpret_cast<typename Result::Value*>(args.dst) +
                    static_cast<i64>(part.first_row + own) * args.dst_stride;
        Result result;
        result.begin(dst, args.dst_stride, own_count, part.tile, args.outputs);
        const i32 tile = part.tile;
        part.tile += part.tile_step;
        const bool more = part.tile < part.tiles;
        if (more) {
            rows = WeightRows(weight, part.tile * DOT_ROWS, args.outputs, args.weight_stride, depth);
            dots.request(rows, steps);
        }
        block_sync();
        f32 total[4];
        if (take_sums(total, shared)) result.end(dst, args.dst_stride, own_count, tile, args.outputs, total);
        if (!more) return;
        block_sync();
    }
}

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

/// Activations where they lie in memory.
struct PlainSource {
    const GemvArgs& args;

    DEVICE i32 end(const GemvArgs& of) const {
        return rows_end(of.rows);
    }
    DEVICE GlobalRows operator()(i32 first, i32 count) const {
        const auto* x = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(first) * args.x_stride;
        return GlobalRows(x, count, args.x_stride, args.depth);
    }
};

template <i32 Tiles, class Result>
DEVICE void gemv_plain(const GemvArgs& args) {
    constexpr i32 AHEAD = Tiles == 1 ? 4 : Tiles == 2 ? 3 : 2;
    gemv<Tiles, AHEAD, Tiles * DOT_COLUMNS, Result>(args, args.depth, shared_memory<WarpSums<Tiles>>(), PlainSource{args});
}

/// Begins the shared memory of the variants that norm; the rows follow.
struct StagedShared {
    WarpSums<1> sums;
    StagedSquares squares;

    DEVICE bf16* rows() {
        return reinterpret_cast<bf16*>(this + 1);
    }
};
static_assert(sizeof(StagedShared) == 4224 && sizeof(WarpSums<1>) == 4096);

DEVICE StagedShared& staged_shared(const Rows& rows, i32 depth) {
    const i32 most = rows.to - rows.from < STAGED_ROWS ? rows.to - rows.from : STAGED_ROWS;
    const auto bytes = static_cast<u32>(sizeof(StagedShared)) + static_cast<u32>(most * staged_pitch(depth)) * 2;
    return *reinterpret_cast<StagedShared*>(shared_bytes(bytes));
}

struct GemvNormArgs {
    u64 dst;             // bf16 [rows, dst_stride]
    u64 x;               // bf16 [rows, x_stride]
    u64 norm;            // f32 [cols], deviation from one
    u64 weight;          // bf16 [outputs, weight_stride]
    Rows rows;           // of dst and x
    i32 dst_stride;
    i32 x_stride;
    i32 weight_stride;
    i32 cols;            // values of a row of x, columns of the weight
    i32 outputs;         // rows of the weight
    f32 eps;
};

struct GemvLogitsArgs {
    u64 dst;             // f32 [window_rows, dst_stride]
    u64 x;               // bf16 [.., x_stride]: output i of the step's window is that of row output_row[window_from + i]
    u64 norm;            // f32 [cols], deviation from one
    u64 weight;          // bf16 [outputs, weight_stride]
    u64 step;            // Step
    Rows rows;           // of dst
    i32 dst_stride;
    i32 x_stride;
    i32 weight_stride;
    i32 cols;            // values of a row of x, columns of the weight
    i32 outputs;         // rows of the weight
    f32 eps;
};

struct SameRow {
    DEVICE i32 end(const GemvNormArgs& args) const {
        return rows_end(args.rows);
    }
    DEVICE i32 operator()(const GemvNormArgs& /*args*/, i32 row) const {
        return row;
    }
};

/// As gather_rows finds them.
struct OutputRow {
    DEVICE i32 end(const GemvLogitsArgs& args) const {
        const i32 window = reinterpret_cast<const Step*>(args.step)->window_rows;
        const i32 end = rows_end(args.rows);
        return end < window ? end : window;
    }
    DEVICE i32 operator()(const GemvLogitsArgs& args, i32 row) const {
        const Step* step = reinterpret_cast<const Step*>(args.step);
        return step_array(step, step->at_output_row)[step->window_from + row];
    }
};

template <class Args, class Find>
struct NormedSource {
    const Args& args;
    StagedShared& shared;
    Find find;

    DEVICE i32 end(const Args& of) const {
        return find.end(of);
    }
    DEVICE StagedRows operator()(i32 first, i32 count) const {
        const auto row = [&](i32 r) {
            return reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(find(args, first + r)) * args.x_stride;
        };
        stage_normed(shared.rows(), count, row, args.cols, reinterpret_cast<const f32*>(args.norm), args.eps, shared.squares);
        block_sync();
        return StagedRows(shared.rows(), count, staged_pitch(args.cols));
    }
};

template <class Find, class Result, class Args>
DEVICE void gemv_norm(const Args& args) {
    StagedShared& shared = staged_shared(args.rows, args.cols);
    const i32 depth = (args.cols + UNIT - 1) / UNIT * UNIT;
    gemv<1, 4, STAGED_ROWS, Result>(args, depth, shared.sums, NormedSource<Args, Find>{args, shared, {}});
}

struct GemvGatedArgs {
    u64 dst;               // bf16 [rows, dst_stride], is added to
    u64 o;                 // bf16 [rows, o_stride]: value head h in columns [128h, 128h + 128)
    u64 projected;         // bf16 [rows, projected_stride]
    u64 norm;              // f32 [128]
    u64 weight;            // bf16 [outputs, weight_stride]
    Rows rows;             // of dst, o and projected
    i32 dst_stride;
    i32 o_stride;
    i32 projected_stride;
    i32 weight_stride;
    i32 heads;             // value heads; 128 columns of the weight each
    i32 z;                 // first column of z in a projected row
    i32 outputs;           // rows of the weight
    f32 eps;
};

struct GatedSource {
    const GemvGatedArgs& args;
    StagedShared& shared;

    DEVICE i32 end(const GemvGatedArgs& of) const {
        return rows_end(of.rows);
    }
    DEVICE StagedRows operator()(i32 first, i32 count) const {
        const auto* o = reinterpret_cast<const bf16*>(args.o) + static_cast<i64>(first) * args.o_stride;
        const auto* z = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(first) * args.projected_stride + args.z;
        const auto* norm = reinterpret_cast<const f32*>(args.norm);
        stage_gated(shared.rows(), count, {o, z, norm, args.o_stride, args.projected_stride, args.heads, args.eps});
        block_sync();
        return StagedRows(shared.rows(), count, staged_pitch(args.heads * GATED_DIM));
    }
};

//! kernel gemv_norm_bf16(GemvNormArgs) block 256 shared variable grid [ceil(rows/4) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_norm_bf16, GemvNormArgs, GEMV_THREADS, 2) {
    gemv_norm<SameRow, SumsAre<Rounded>>(args);
}

//! kernel gemv_norm_swiglu(GemvNormArgs) block 256 shared variable grid [ceil(rows/4) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_norm_swiglu, GemvNormArgs, GEMV_THREADS, 2) {
    gemv_norm<SameRow, SwiGluOfSums>(args);
}

//! kernel gemv_norm_f32(GemvLogitsArgs) block 256 shared variable grid [ceil(rows/4) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_norm_f32, GemvLogitsArgs, GEMV_THREADS, 2) {
    gemv_norm<OutputRow, SumsAre<Unrounded>>(args);
}

//! kernel gemv_gated_add(GemvGatedArgs) block 256 shared variable grid [ceil(rows/4) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_gated_add, GemvGatedArgs, GEMV_THREADS, 2) {
    const i32 depth = args.heads * GATED_DIM;
    StagedShared& shared = staged_shared(args.rows, depth);
    gemv<1, 3, STAGED_ROWS, SumsAre<Added>>(args, depth, shared.sums, GatedSource{args, shared});
}

//! kernel gemv_bf16_8(GemvArgs) block 256 shared 4096 grid [ceil(rows/8) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_bf16_8, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<1, SumsAre<Rounded>>(args);
}

//! kernel gemv_bf16_16(GemvArgs) block 256 shared 8192 grid [ceil(rows/16) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_bf16_16, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<2, SumsAre<Rounded>>(args);
}

//! kernel gemv_bf16_32(GemvArgs) block 256 shared 16384 grid [ceil(rows/32) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_bf16_32, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<4, SumsAre<Rounded>>(args);
}

//! kernel gemv_add_8(GemvArgs) block 256 shared 4096 grid [ceil(rows/8) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_add_8, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<1, SumsAre<Added>>(args);
}

//! kernel gemv_add_16(GemvArgs) block 256 shared 8192 grid [ceil(rows/16) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_add_16, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<2, SumsAre<Added>>(args);
}

//! kernel gemv_add_32(GemvArgs) block 256 shared 16384 grid [ceil(rows/32) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_add_32, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<4, SumsAre<Added>>(args);
}

//! kernel gemv_f32_8(GemvArgs) block 256 shared 4096 grid [ceil(rows/8) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_f32_8, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<1, SumsAre<Unrounded>>(args);
}

//! kernel gemv_f32_16(GemvArgs) block 256 shared 8192 grid [ceil(rows/16) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_f32_16, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<2, SumsAre<Unrounded>>(args);
}

//! kernel gemv_f32_32(GemvArgs) block 256 shared 16384 grid [ceil(rows/32) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_f32_32, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<4, SumsAre<Unrounded>>(args);
}

//! kernel gemv_swiglu_8(GemvArgs) block 256 shared 4096 grid [ceil(rows/8) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_swiglu_8, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<1, SwiGluOfSums>(args);
}

//! kernel gemv_swiglu_16(GemvArgs) block 256 shared 8192 grid [ceil(rows/16) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_swiglu_16, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<2, SwiGluOfSums>(args);
}

//! kernel gemv_swiglu_32(GemvArgs) block 256 shared 16384 grid [ceil(rows/32) * blocks of tiles] dtypes bf16 archs all
KERNEL_OCCUPANCY(gemv_swiglu_32, GemvArgs, GEMV_THREADS, 2) {
    gemv_plain<4, SwiGluOfSums>(args);
}
