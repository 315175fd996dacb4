// The router of a mixture of experts (spec 5.2), one launch: the logits of a row against all router rows, its k largest
// experts (the lower number among equals), their weights in the sum, and the shared expert's gate. Router weights are bf16
// [experts + 1, router_stride], the last row being the shared gate's; products and logits are fp32 and never rounded. A
// softmax over all experts that is renormalised over the chosen ones is the softmax over the chosen logits, so only k
// exponentials are taken; the gate is the sigmoid of the last logit. A block takes one row, or eight that share each load of
// a weight; the order of all additions depends on the depth alone (common/lane_dots.cuh), so both give a row the same bits,
// alone and in company. Logits that are not numbers lose against all others: the experts chosen always exist.
#include "common/lane_dots.cuh"
#include "common/step.cuh"

constexpr i32 ROUTE_THREADS = 512;
constexpr i32 ROUTE_WARPS = ROUTE_THREADS / WARP;
constexpr i32 ROUTE_EXPERTS = 512;                      // at most
constexpr i32 ROUTE_LOGITS = ROUTE_EXPERTS + 4;         // the shared gate, and whole groups of four
constexpr i32 ROUTE_OUTPUTS = 4;                        // router rows that a warp works on at once
constexpr i32 ROUTE_LANE_EXPERTS = ROUTE_EXPERTS / WARP;

struct RouteArgs {
    u64 ids;            // i32 [rows, slots]
    u64 scales;         // f32 [rows, slots]: weights in the sum, they add up to 1
    u64 gates;          // f32 [rows]
    u64 x;              // bf16 [rows, x_stride]
    u64 router;         // bf16 [experts + 1, router_stride]
    Rows rows;
    i32 x_stride;       // elements
    i32 router_stride;  // elements
    i32 depth;          // of a row of x, rounded up to 8
    i32 experts;        // at most 512
    i32 slots;          // experts of a row, at most 16
    i32 padding;
};

template <i32 RowCount>
struct RouteShared {
    f32 logit[RowCount][ROUTE_LOGITS];
};

/// Bits that order as the logits do, with −0 equal to 0; not-a-number comes before −∞, and 0 is none.
DEVICE u32 route_key(f32 logit) {
    const u32 bits = float_bits(logit + 0.0f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 1;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/// Fills the logits of the block's rows; rows behind the last are the last again.
template <i32 RowCount>
DEVICE void route_logits(RouteShared<RowCount>& shared, const RouteArgs& args, i32 first, i32 last) {
    const bf16* x[RowCount];
    UNROLL
    for (i32 r = 0; r < RowCount; r++) {
        const i32 row = first + r < last ? first + r : last;
        x[r] = reinterpret_cast<const bf16*>(args.x) + static_cast<i64>(row) * args.x_stride;
    }
    for (i32 e = warp_id() * ROUTE_OUTPUTS; e <= args.experts; e += ROUTE_WARPS * ROUTE_OUTPUTS) {
        const bf16* weight[ROUTE_OUTPUTS];
        UNROLL
        for (i32 o = 0; o < ROUTE_OUTPUTS; o++) {
            const i32 expert = e + o < args.experts ? e + o : args.experts;
            weight[o] = reinterpret_cast<const bf16*>(args.router) + static_cast<i64>(expert) * args.router_stride;
        }
        f32 sum[RowCount][ROUTE_OUTPUTS] = {};
        lane_dots<RowCount == 1 ? 2 : 1>(sum, weight, x, args.depth);
        const f32 mine = deal_sums(sum);
        constexpr i32 LANES = WARP / (RowCount * ROUTE_OUTPUTS);  // that hold the same sum
        const i32 index = lane_id() / LANES;
        if (lane_id() % LANES == 0) shared.logit[index / ROUTE_OUTPUTS][e + index % ROUTE_OUTPUTS] = mine;
    }
}

/// Chooses a row's experts, by one warp: k times the largest of what is left.
DEVICE void route_choose(const f32* logit, const RouteArgs& args, i32 row) {
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

template <i32 RowCount>
DEVICE void route_rows_of_block(const RouteArgs& args) {
    wait_for_predecessors();
    release_successors();
    const i32 end = rows_end(args.rows);
    const i32 first = args.rows.from + static_cast<i32>(blockIdx.x) * RowCount;
    if (first >= end) return;
    RouteShared<RowCount>& shared = shared_memory<RouteShared<RowCount>>();
    route_logits(shared, args, first, end - 1);
    block_sync();
    if (warp_id() < RowCount && first + warp_id() < end) {
        route_choose(shared.logit[warp_id()], args, first + warp_id());
    }
}

static_assert(sizeof(RouteShared<1>) == 2064 && sizeof(RouteShared<8>) == 16512);

//! kernel route(RouteArgs) block 512 shared 2064 grid [rows] dtypes bf16 archs all
KERNEL(route, RouteArgs, ROUTE_THREADS) {
    route_rows_of_block<1>(args);
}

//! kernel route_eight(RouteArgs) block 512 shared 16512 grid [ceil(rows/8)] dtypes bf16 archs all
KERNEL(route_eight, RouteArgs, ROUTE_THREADS) {
    route_rows_of_block<8>(args);
}
