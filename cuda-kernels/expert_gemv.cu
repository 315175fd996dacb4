// The mixture of experts for single rows (decode, spec 5.2), without sorting: each row's k experts and the shared one (slot k)
// are products of their own that share a launch, so exactly two launches do it all. `up` leaves bf16 inner =
// silu(gate) · up, in fp32 until then, of every (row, slot); weights lie in groups of 8 gate rows and 8 up rows. `down` gives a
// warp output columns of a row for all of its experts, so the weighted sum, the shared expert's gate and the residual are added
// in registers, slots in order, in fp32 with one rounding. Weights stream as in gemv (common/lane_dots.cuh); a row's bits do
// not depend on the other rows.
#include "common/lane_dots.cuh"
#include "common/step.cuh"

constexpr i32 EXPERT_GEMV_THREADS = 128;
constexpr i32 EXPERT_GEMV_WARPS = EXPERT_GEMV_THREADS / WARP;
constexpr i32 EXPERT_GEMV_COLS = 4;  // of a warp

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

//! kernel expert_gemv_up(ExpertGemvUpArgs) block 128 shared 0 grid [ceil(inner_cols/16), rows * (slots + 1)] dtypes bf16 archs all
KERNEL(expert_gemv_up, ExpertGemvUpArgs, EXPERT_GEMV_THREADS) {
    wait_for_predecessors();
    release_successors();
    // All rows of slot 0, then of slot 1, …: the shared expert's weights are wanted by all rows at about the same time.
    const i32 rows = args.rows.to - args.rows.from;
    const i32 slot = static_cast<i32>(blockIdx.y) / rows;
    const i32 row = static_cast<i32>(blockIdx.y) % rows;
    const bool shared = slot == args.slots;
    const i32 cols = shared ? args.shared_cols : args.inner_cols;
    const i32 col = (static_cast<i32>(blockIdx.x) * EXPERT_GEMV_WARPS + warp_id()) * EXPERT_GEMV_COLS;
    if (args.rows.from + row >= rows_end(args.rows) || col >= cols) return;

    const i64 row_of_x = args.rows.from + row;
    const bf16* base = reinterpret_cast<const bf16*>(args.shared_weight);
    if (!shared) {
        const i32 expert = reinterpret_cast<const i32*>(args.ids)[row_of_x * args.slots + slot];
        base = reinterpret_cast<const bf16*>(args.weight) + expert * args.expert_stride;
    }
    const bf16* weight[2 * EXPERT_GEMV_COLS];  // four gates, then their up values
    UNROLL
    for (i32 o = 0; o < 2 * EXPERT_GEMV_COLS; o++) {
        const i32 weight_row = col / 8 * 16 + col % 8 + o % EXPERT_GEMV_COLS + o / EXPERT_GEMV_COLS * 8;
        weight[o] = base + static_cast<i64>(weight_row) * args.weight_stride;
    }
    const bf16* x[1] = {reinterpret_cast<const bf16*>(args.x) + row_of_x * args.x_stride};
    f32 sum[1][2 * EXPERT_GEMV_COLS] = {};
    lane_dots<1>(sum, weight, x, args.depth);

    // Lanes 4i hold the gate of column i, lanes 16 + 4i the up value.
    const f32 mine = deal_sums(sum);
    const f32 up = shuffle_xor(mine, WARP / 2);
    if (lane_id() < WARP / 2 && lane_id() % 4 == 0) {
        const i64 to = static_cast<i64>(row) * (args.slots + 1) + slot;
        bf16* inner = reinterpret_cast<bf16*>(args.inner) + to * args.inner_stride;
        inner[col + lane_id() / 4] = to_bf16(silu(mine) * up);
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
    i32 slots;
    i32 hidden;
};

/// Where a warp is in the row's experts, one behind the other: at value k of a slot.
struct ExpertPlace {
    const bf16* weight;  // of the warp's first column
    const bf16* inner;
    i32 stride;          // of the weights, and their depth
    i32 slot;
    i32 k;
};

constexpr i32 EXPERT_GEMV_CHUNKS = 2;

DEVICE ExpertPlace expert_place(const ExpertGemvDownArgs& args, i32 row, i32 slot, i32 col) {
    const bool shared = slot == args.slots;
    const i32 stride = shared ? args.shared_stride : args.weight_stride;
    const bf16* weight = reinterpret_cast<const bf16*>(args.shared_weight);
    if (!shared) {
        const i64 at = static_cast<i64>(args.rows.from + row) * args.slots + slot;
        weight = reinterpret_cast<const bf16*>(args.weight) + reinterpret_cast<const i32*>(args.ids)[at] * args.expert_stride;
    }
    const i64 inner = static_cast<i64>(row) * (args.slots + 1) + slot;
    return {weight + static_cast<i64>(col) * stride,
            reinterpret_cast<const bf16*>(args.inner) + inner * args.inner_stride, stride, slot, 0};
}

/// This lane's weights at a place; behind the last column the last one is read again.
DEVICE void read_place(Vec16 (&to)[EXPERT_GEMV_CHUNKS][EXPERT_GEMV_COLS], const ExpertPlace& place, i32 cols) {
    const bf16* weight[EXPERT_GEMV_COLS];
    UNROLL
    for (i32 o = 0; o < EXPERT_GEMV_COLS; o++) {
        weight[o] = place.weight + static_cast<i64>(o < cols ? o : cols - 1) * place.stride;
    }
    UNROLL
    for (i32 c = 0; c < EXPERT_GEMV_CHUNKS; c++) {
        read_weights(to[c], weight, place.k + c * WARP_VALUES + lane_id() * LANE_VALUES, place.stride);
    }
}

//! kernel expert_gemv_down(ExpertGemvDownArgs) block 128 shared 0 grid [ceil(hidden/16), rows] dtypes bf16 archs all
KERNEL(expert_gemv_down, ExpertGemvDownArgs, EXPERT_GEMV_THREADS) {
    wait_for_predecessors();
    release_successors();
    const i32 row = static_cast<i32>(blockIdx.y);
    const i32 col = (static_cast<i32>(blockIdx.x) * EXPERT_GEMV_WARPS + warp_id()) * EXPERT_GEMV_COLS;
    const i64 row_of_dst = args.rows.from + row;
    if (row_of_dst >= rows_end(args.rows) || col >= args.hidden) return;
    const i32 cols = args.hidden - col < EXPERT_GEMV_COLS ? args.hidden - col : EXPERT_GEMV_COLS;

    // An expert is only a step or two deep: the weights of the next step, perhaps another expert's, are always on their way.
    ExpertPlace ahead = expert_place(args, row, 0, col);
    Vec16 next[EXPERT_GEMV_CHUNKS][EXPERT_GEMV_COLS];
    read_place(next, ahead, cols);
    f32 total[1][EXPERT_GEMV_COLS] = {};
    f32 sum[EXPERT_GEMV_COLS] = {};
    while (ahead.slot <= args.slots) {
        const ExpertPlace place = ahead;
        Vec16 now[EXPERT_GEMV_CHUNKS][EXPERT_GEMV_COLS];
        UNROLL
        for (i32 c = 0; c < EXPERT_GEMV_CHUNKS; c++) {
            UNROLL
            for (i32 o = 0; o < EXPERT_GEMV_COLS; o++) now[c][o] = next[c][o];
        }
        ahead.k += EXPERT_GEMV_CHUNKS * WARP_VALUES;
        const bool last = ahead.k >= place.stride;
        if (last && place.slot < args.slots) ahead = expert_place(args, row, place.slot + 1, col);
        else if (last) ahead.slot++;
        if (ahead.slot <= args.slots) read_place(next, ahead, cols);

        UNROLL
        for (i32 c = 0; c < EXPERT_GEMV_CHUNKS; c++) {
            const i32 k = place.k + c * WARP_VALUES + lane_id() * LANE_VALUES;
            if (k < place.stride) add_products(sum, now[c], load16(place.inner + k));
        }
        if (last) {
            const f32 scale = place.slot == args.slots
                                  ? reinterpret_cast<const f32*>(args.gates)[row_of_dst]
                                  : reinterpret_cast<const f32*>(args.scales)[row_of_dst * args.slots + place.slot];
            UNROLL
            for (i32 o = 0; o < EXPERT_GEMV_COLS; o++) {
                total[0][o] = fma32(scale, sum[o], total[0][o]);
                sum[o] = 0;
            }
        }
    }
    const f32 result = deal_sums(total);
    const i32 mine = lane_id() / (WARP / EXPERT_GEMV_COLS);
    if (lane_id() % (WARP / EXPERT_GEMV_COLS) == 0 && mine < cols) {
        bf16* dst = reinterpret_cast<bf16*>(args.dst) + row_of_dst * args.dst_stride + col + mine;
        *dst = to_bf16(to_float(*dst) + result);
    }
}
