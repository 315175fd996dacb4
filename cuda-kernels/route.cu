// The router of a mixture of experts (spec 5.2), one launch: the logits of a row against all router rows, its k largest
// experts (the lower number among equals), their weights in the sum, and the shared expert's gate. Router weights are bf16
// [experts + 1, router_stride], the last row being the shared gate's; products and logits are fp32 and never rounded. A
// softmax over all experts that is renormalised over the chosen ones is the softmax over the chosen logits, so only k
// exponentials are taken; the gate is the sigmoid of the last logit. Logits that are not numbers lose against all others: the
// experts chosen always exist.
//
// A block has 16 router rows and a group of activation rows (common/row_dots.cuh), so that a single row is read against by as
// many multiprocessors as there are tiles. Logits meet in global memory, and the block that is the last of its group chooses
// (common/arrival.cuh). `route` norms up to four rows together first, in every block anew, with the bits of rms_norm, and leaves
// the normed rows for the experts; `route_normed` takes up to 32 rows that are normed already. A row's bits depend neither on
// its company nor on the kernel.
#include "common/arrival.cuh"
#include "common/staged_rows.cuh"
#include "common/step.cuh"

constexpr i32 ROUTE_THREADS = 256;
static_assert(ROUTE_THREADS == DOT_THREADS);
constexpr i32 ROUTE_EXPERTS = 512;  // at most
constexpr i32 ROUTE_LANE_EXPERTS = ROUTE_EXPERTS / WARP;
constexpr i32 ROUTE_TILES = 4;      // column tiles of rows that are normed already

struct RouteArgs {
    u64 ids;            // i32 [rows, slots]
    u64 scales;         // f32 [rows, slots]: weights in the sum, they add up to 1
    u64 gates;          // f32 [rows]
    u64 x;              // bf16 [rows, x_stride]
    u64 norm;           // f32 [cols], deviation from one
    u64 normed;         // bf16 [rows, normed_stride], not x: other blocks may be reading
    u64 router;         // bf16 [experts + 1, router_stride]
    u64 logits;         // f32 [rows.to − rows.from, experts + 1]: for use in between
    u64 arrivals;       // u32 [groups of four rows], zero before and after
    Rows rows;          // of ids, scales, gates, x and normed
    i32 x_stride;       // elements
    i32 normed_stride;  // elements
    i32 router_stride;  // elements
    i32 cols;           // values of a row of x
    i32 experts;        // at most 512
    i32 slots;          // experts of a row, at most 16
    f32 eps;
    i32 padding;
};

struct RouteNormedArgs {
    u64 ids;            // i32 [rows, slots]
    u64 scales;         // f32 [rows, slots]: weights in the sum, they add up to 1
    u64 gates;          // f32 [rows]
    u64 x;              // bf16 [rows, x_stride]
    u64 router;         // bf16 [experts + 1, router_stride]
    u64 logits;         // f32 [rows.to − rows.from, experts + 1]: for use in between
    u64 arrivals;       // u32 [groups of 32 rows], zero before and after
    Rows rows;          // of ids, scales, gates and x
    i32 x_stride;       // elements
    i32 router_stride;  // elements
    i32 depth;          // of a row of x, rounded up to 8
    i32 experts;        // at most 512
    i32 slots;          // experts of a row, at most 16
    i32 padding;
};

template <i32 Tiles>
struct RouteShared {
    WarpSums<Tiles> sums;
    u32 last;  // whether this block is the last of its group
    u32 padding[3];
};

/// Bits that order as the logits do, with −0 equal to 0; not-a-number comes before −∞, and 0 is none.
DEVICE u32 route_key(f32 logit) {
    const u32 bits = float_bits(logit + 0.0f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 1;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/// Chooses a row's experts, by one warp: k times the largest of what is left.
template <class Args>
DEVICE void route_choose(const f32* logit, const Args& args, i32 row) {
    u32 key[ROUTE_LANE_EXPERTS];  // of experts lane, lane + 32, …
    UNROLL
    for (i32 i = 0; i < ROUTE_LANE_EXPERTS; i++) {
        const i32 expert = lane_id() + i * WARP;
        key[i] = expert < args.experts ? route_key(logit[expert]) : 0;
    }
    i32 chosen = 0;  // of slot `lane`
    for (i32 slot = 0; slot < args.slots; slot++) {
        u64 best = 0;
        UNROLL
        for (i32 i = 0; i < ROUTE_LANE_EXPERTS; i++) {
            const u64 candidate = static_cast<u64>(key[i]) << 32 | ~static_cast<u32>(lane_id() + i * WARP);
            if (key[i] != 0 && candidate > best) best = candidate;
        }
        UNROLL
        for (i32 apart = WARP / 2; apart > 0; apart >>= 1) {
            const u64 other = shuffle_xor(best, apart);
            best = other > best ? other : best;
        }
        const i32 expert = static_cast<i32>(~static_cast<u32>(best));
        UNROLL
        for (i32 i = 0; i < ROUTE_LANE_EXPERTS; i++) {
            if (expert == lane_id() + i * WARP) key[i] = 0;
        }
        if (lane_id() == slot) chosen = expert;
    }
    const f32 mine = logit[chosen];
    const f32 scale = exponential(mine - shuffle(mine, 0));
    f32 sum = 0;
    for (i32 slot = 0; slot < args.slots; slot++) sum += shuffle(scale, slot);
    if (lane_id() < args.slots) {
        const i64 at = static_cast<i64>(row) * args.slots + lane_id();
        reinterpret_cast<i32*>(args.ids)[at] = chosen;
        reinterpret_cast<f32*>(args.scales)[at] = scale / sum;
    }
    if (lane_id() == 0) reinterpret_cast<f32*>(args.gates)[row] = sigmoid(logit[args.experts]);
}

/// Leaves the totals of a column tile where the last block finds them; `first` is the tile's first router row.
template <class Args>
DEVICE void route_leave(const Args& args, i32 row, i32 count, i32 first, const f32 (&total)[4]) {
    f32* logits = reinterpret_cast<f32*>(args.logits) + static_cast<i64>(row - args.rows.from) * (args.experts + 1);
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        const i32 r = lane_id() % 4 * 2 + i % 2, expert = first + lane_id() / 4 + i / 2 * 8;
        if (r < count && expert <= args.experts) logits[static_cast<i64>(r) * (args.experts + 1) + expert] = total[i];
    }
}

/// A group of `Together` rows against the block's tile of the router. `source` makes activations of them, and does in `leave` what
/// is to be done with them besides.
template <i32 Tiles, i32 Together, class Args, class Source>
DEVICE void route_group(const Args& args, i32 depth, RouteShared<Tiles>& shared, const Source& source) {
    const i32 tile = static_cast<i32>(blockIdx.x) * DOT_ROWS;
    const i32 first = args.rows.from + static_cast<i32>(blockIdx.y) * Together;
    const StepRange steps = warp_steps(dot_steps(depth));
    const WeightRows weights(reinterpret_cast<const bf16*>(args.router), tile, args.experts + 1, args.router_stride, depth);
    RowDots<Tiles, Tiles == 1 ? 4 : 2> dots;
    dots.request(weights, steps);
    wait_for_predecessors();
    release_successors();
    const i32 end = rows_end(args.rows);
    if (first >= end) return;
    const i32 count = end - first < Together ? end - first : Together;
    dots.run(weights, steps, source(first, count));
    f32 total[4];
    if (add_warps(total, dots.sum, shared.sums)) {
        const i32 own = warp_id() * DOT_COLUMNS;
        route_leave(args, first + own, count - own, tile, total);
    }
    if (blockIdx.x == 0) source.leave(first, count);
    if (!last_to_arrive(reinterpret_cast<u32*>(args.arrivals) + blockIdx.y, gridDim.x, shared.last)) return;
    const f32* logits = reinterpret_cast<const f32*>(args.logits) + static_cast<i64>(first - args.rows.from) * (args.experts + 1);
    for (i32 r = warp_id(); r < count; r += DOT_WARPS) {
        route_choose(logits + static_cast<i64>(r) * (args.experts + 1), args, first + r);
    }
}

/// Begins the shared memory of `route`; the rows follow.
struct RouteStaged {
    RouteShared<1> shared;
    StagedSquares squares;

    DEVICE bf16* rows() {
        return reinterpret_cast<bf16*>(this + 1);
    }
};
static_assert(sizeof(RouteStaged) == 4240 && sizeof(RouteShared<ROUTE_TILES>) == 16400);

/// Norms rows on their way into shared memory.
struct RouteRows {
    const RouteArgs& args;
    RouteStaged& staged;

    DEVICE StagedRows operator()(i32 first, i32 count) const {
        const auto row = [&](i32 r) {
            return reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(first + r) * args.x_stride;
        };
        stage_normed(staged.rows(), count, row, args.cols, reinterpret_cast<const f32*>(args.norm), args.eps, staged.squares);
        block_sync();
        return StagedRows(staged.rows(), count, staged_pitch(args.cols));
    }

    DEVICE void leave(i32 first, i32 count) const {
        for (i32 r = 0; r < count; r++) {
            bf16* to = reinterpret_cast<bf16*>(args.normed) + static_cast<i64>(first + r) * args.normed_stride;
            copy_row(to, staged.rows() + r * staged_pitch(args.cols), args.cols);
        }
    }
};

//! kernel route(RouteArgs) block 256 shared variable grid [ceil((experts+1)/16), ceil(rows/4)] dtypes bf16 archs all
KERNEL_OCCUPANCY(route, RouteArgs, ROUTE_THREADS, 2) {
    const i32 rows = args.rows.to - args.rows.from;
    const auto bytes = static_cast<u32>(sizeof(RouteStaged)) +
                       static_cast<u32>((rows < STAGED_ROWS ? rows : STAGED_ROWS) * staged_pitch(args.cols)) * 2;
    RouteStaged& staged = *reinterpret_cast<RouteStaged*>(shared_bytes(bytes));
    route_group<1, STAGED_ROWS>(args, (args.cols + UNIT - 1) / UNIT * UNIT, staged.shared, RouteRows{args, staged});
}

/// Rows where they lie in memory.
struct RouteNormedRows {
    const RouteNormedArgs& args;

    DEVICE GlobalRows operator()(i32 first, i32 count) const {
        const auto* x = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(first) * args.x_stride;
        return GlobalRows(x, count, args.x_stride, args.depth);
    }
    DEVICE void leave(i32 /*first*/, i32 /*count*/) const {}
};

//! kernel route_normed(RouteNormedArgs) block 256 shared 16400 grid [ceil((experts+1)/16), ceil(rows/32)] dtypes bf16 archs all
KERNEL_OCCUPANCY(route_normed, RouteNormedArgs, ROUTE_THREADS, 2) {
    route_group<ROUTE_TILES, ROUTE_TILES * DOT_COLUMNS>(args, args.depth, shared_memory<RouteShared<ROUTE_TILES>>(),
                                                        RouteNormedRows{args});
}
