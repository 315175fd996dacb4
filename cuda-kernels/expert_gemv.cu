// The mixture of experts for single rows (decode, spec 5.2), without sorting: each row's k experts and the shared one (slot k)
// are products of their own that share a launch, so exactly two launches do it all. `up` leaves bf16 inner =
// silu(gate) · up, in fp32 until then, of every (row, slot); weights lie in groups of 8 gate rows and 8 up rows, which are one
// tile of common/row_dots.cuh. `down` gives a block 16 output columns of a row for all of its experts: what they have of inner
// values is one long depth that the block's warps share, each slot's sums are scaled where they end, and the residual is added
// last, all in fp32 with one rounding. The order of additions depends on the sizes alone; a row's bits do not depend on the
// other rows.
#include "common/row_dots.cuh"
#include "common/step.cuh"

constexpr i32 EXPERT_THREADS = 256;
static_assert(EXPERT_THREADS == DOT_THREADS);
constexpr i32 EXPERT_AHEAD = 4;       // steps of weights on their way
constexpr i32 EXPERT_MOST_SLOTS = 16;  // without the shared expert's

struct ExpertGemvUpArgs {
    u64 inner;           // bf16 [(rows.to − rows.from) · (slots + 1), inner_stride]: row · (slots + 1) + slot
    u64 x;               // bf16 [rows, x_stride]
    u64 ids;             // i32 [rows, slots]
    u64 weight;          // bf16 [experts, 2 · inner_cols, weight_stride]
    u64 shared_weight;   // bf16 [2 · shared_cols, weight_stride]
    i64 expert_stride;   // elements from one expert's weights to the next
    Rows rows;           // of x and ids
    i32 inner_stride;
    i32 x_stride;
    i32 weight_stride;
    i32 depth;           // of a row of x, rounded up to 8
    i32 slots;           // experts of a row
    i32 inner_cols;      // inner size of a routed expert, rounded up to 8
    i32 shared_cols;     // of the shared expert
    i32 padding;
};

//! kernel expert_gemv_up(ExpertGemvUpArgs) block 256 shared 4096 grid [ceil(inner_cols/8), rows * (slots + 1)] dtypes bf16 archs all
KERNEL_OCCUPANCY(expert_gemv_up, ExpertGemvUpArgs, EXPERT_THREADS, 2) {
    // The shared expert of all rows, whose weights are known before the router has chosen and wanted by all at about the same
    // time; then all rows of slot 0, of slot 1, ….
    const i32 rows = args.rows.to - args.rows.from;
    const i32 product = static_cast<i32>(blockIdx.y) / rows;
    const i32 row = static_cast<i32>(blockIdx.y) % rows;
    const bool shared = product == 0;
    const i32 slot = shared ? args.slots : product - 1;
    const i32 cols = shared ? args.shared_cols : args.inner_cols;
    const i32 tile = static_cast<i32>(blockIdx.x);
    const bool exists = tile * 8 < cols;
    const StepRange steps = warp_steps(dot_steps(args.depth));
    const i64 row_of_x = args.rows.from + row;

    RowDots<1, EXPERT_AHEAD> dots;
    WeightRows weights(reinterpret_cast<const bf16*>(args.shared_weight), tile * DOT_ROWS, 2 * cols, args.weight_stride, args.depth);
    if (shared && exists) dots.request(weights, steps);
    wait_for_predecessors();
    release_successors();
    if (!exists || row_of_x >= rows_end(args.rows)) return;
    if (!shared) {
        const i32 expert = reinterpret_cast<const i32*>(args.ids)[row_of_x * args.slots + slot];
        weights = WeightRows(reinterpret_cast<const bf16*>(args.weight) + expert * args.expert_stride, tile * DOT_ROWS, 2 * cols,
                             args.weight_stride, args.depth);
        dots.request(weights, steps);
    }
    const bf16* x = reinterpret_cast<const bf16*>(args.x) + row_of_x * args.x_stride;
    dots.run(weights, steps, GlobalRows(x, 1, args.x_stride, args.depth));
    f32 total[4];
    // Lanes 4i hold in total[0] the gate of column i, in total[2] its up value.
    if (add_warps(total, dots.sum, shared_memory<WarpSums<1>>()) && lane_id() % 4 == 0) {
        const i64 to = static_cast<i64>(row) * (args.slots + 1) + slot;
        bf16* inner = reinterpret_cast<bf16*>(args.inner) + to * args.inner_stride;
        inner[tile * 8 + lane_id() / 4] = to_bf16(silu(total[0]) * total[2]);
    }
}

struct ExpertGemvDownArgs {
    u64 dst;              // bf16 [rows, dst_stride], is added to
    u64 inner;            // bf16 [(rows.to − rows.from) · (slots + 1), inner_stride]
    u64 ids;              // i32 [rows, slots]
    u64 scales;           // f32 [rows, slots]: the experts' weights in the sum
    u64 gates;            // f32 [rows]: the shared expert's
    u64 weight;           // bf16 [experts, hidden, weight_stride]
    u64 shared_weight;    // bf16 [hidden, shared_stride]
    i64 expert_stride;    // elements from one expert's weights to the next
    Rows rows;            // of dst, ids, scales and gates
    i32 dst_stride;
    i32 inner_stride;
    i32 weight_stride;    // also the depth of a routed expert: inner size rounded up to 8
    i32 shared_stride;    // the same of the shared expert
    i32 slots;            // at most 16
    i32 hidden;
};

struct ExpertDownShared {
    WarpSums<1> sums;
    u64 weight[EXPERT_MOST_SLOTS + 1];  // of each slot's expert
    f32 scale[EXPERT_MOST_SLOTS + 1];
    u32 padding;
};
static_assert(sizeof(ExpertDownShared) == 4304);

/// A step in the row's experts, one behind the other.
struct ExpertStep {
    i32 slot;
    i32 step;  // in the slot

    /// The step after `index` others.
    DEVICE ExpertStep(i32 index, i32 slots, i32 routed_steps) {
        slot = index / routed_steps;
        if (slot > slots) slot = slots;
        step = index - slot * routed_steps;
    }
    DEVICE void advance(bool last_of_slot) {
        step = last_of_slot ? 0 : step + 1;
        slot += last_of_slot ? 1 : 0;
    }
};

/// What does not change while a block works.
struct ExpertSequence {
    const ExpertDownShared& shared;
    const bf16* inner;  // of slot 0
    i32 inner_stride;
    i32 low, high;      // weight rows of this lane
    i32 slots;
    i32 depth;          // of a routed expert
    i32 shared_depth;

    DEVICE i32 depth_of(const ExpertStep& at) const {
        return at.slot == slots ? shared_depth : depth;
    }
    DEVICE bool ends_slot(const ExpertStep& at) const {
        return at.step + 1 == dot_steps(depth_of(at));
    }
};

/// Weights of the steps, as RowDots asks for them: each once, in order.
struct ExpertWeights {
    const ExpertSequence& sequence;
    mutable ExpertStep next;

    DEVICE WeightPlace operator()(i32 /*step*/) const {
        const i32 depth = sequence.depth_of(next);
        const bf16* from = reinterpret_cast<const bf16*>(sequence.shared.weight[next.slot]);
        const WeightPlace place = {{from + static_cast<i64>(sequence.low) * depth, from + static_cast<i64>(sequence.high) * depth},
                                   next.step, depth};
        next.advance(sequence.ends_slot(next));
        return place;
    }
};

//! kernel expert_gemv_down(ExpertGemvDownArgs) block 256 shared 4304 grid [ceil(hidden/16), rows] dtypes bf16 archs all
KERNEL_OCCUPANCY(expert_gemv_down, ExpertGemvDownArgs, EXPERT_THREADS, 2) {
    wait_for_predecessors();
    release_successors();
    const i32 row = static_cast<i32>(blockIdx.y);
    const i64 row_of_dst = args.rows.from + row;
    if (row_of_dst >= rows_end(args.rows)) return;
    ExpertDownShared& shared = shared_memory<ExpertDownShared>();
    if (const i32 slot = static_cast<i32>(threadIdx.x); slot < args.slots) {
        const i64 at = row_of_dst * args.slots + slot;
        shared.weight[slot] = args.weight + 2 * reinterpret_cast<const i32*>(args.ids)[at] * args.expert_stride;
        shared.scale[slot] = reinterpret_cast<const f32*>(args.scales)[at];
    } else if (slot == args.slots) {
        shared.weight[slot] = args.shared_weight;
        shared.scale[slot] = reinterpret_cast<const f32*>(args.gates)[row_of_dst];
    }
    block_sync();

    const i32 first = static_cast<i32>(blockIdx.x) * DOT_ROWS, last = args.hidden - 1;
    const i32 low = first + lane_id() / 4, high = low + 8;
    const bf16* inner = reinterpret_cast<const bf16*>(args.inner) + static_cast<i64>(row) * (args.slots + 1) * args.inner_stride;
    const ExpertSequence sequence = {shared, inner, args.inner_stride, low < last ? low : last, high < last ? high : last,
                                     args.slots, args.weight_stride, args.shared_stride};
    const i32 routed_steps = dot_steps(args.weight_stride);
    const StepRange steps = warp_steps(args.slots * routed_steps + dot_steps(args.shared_stride));
    ExpertStep now(steps.from, args.slots, routed_steps);
    const ExpertWeights weights = {sequence, now};
    RowDots<1, EXPERT_AHEAD> dots;
    dots.request(weights, steps);
    const auto activations = [&](i32 /*tile*/, i32 /*step*/, i32 piece) -> Vec16 {
        const i32 k = dot_k(now.step, piece);
        if (lane_id() >= 4 || k >= sequence.depth_of(now)) return {};
        return load16(sequence.inner + static_cast<i64>(now.slot) * sequence.inner_stride + k);
    };
    f32 total[1][4] = {};
    dots.run(weights, steps, activations, [&](i32 step, f32 (&sum)[1][4]) {
        const bool ends = sequence.ends_slot(now);
        if (ends || step + 1 == steps.to) {
            UNROLL
            for (i32 i = 0; i < 4; i++) {
                total[0][i] = fma32(shared.scale[now.slot], sum[0][i], total[0][i]);
                sum[0][i] = 0;
            }
        }
        now.advance(ends);
    });
    f32 result[4];
    if (add_warps(result, total, shared.sums) && lane_id() % 4 == 0) {
        bf16* dst = reinterpret_cast<bf16*>(args.dst) + row_of_dst * args.dst_stride;
        if (low <= last) dst[low] = to_bf16(to_float(dst[low]) + result[0]);
        if (high <= last) dst[high] = to_bf16(to_float(dst[high]) + result[2]);
    }
}
