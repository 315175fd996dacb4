// Between projection and attention (spec 3 steps 1–6): zero-centred RMSNorm and partial rotation of every query head into q
// and of every key head into the paged cache, and values into the cache unchanged. One warp owns a head vector of 256; all
// arithmetic is fp32 with one rounding. A rotated channel j pairs with j + rotary / 2, which lies in another lane, so the
// normed vector passes through shared memory. Page −1 is not written.
#include "common/columns.cuh"
#include "common/step.cuh"

struct StoreKvArgs {
    u64 q;                 // bf16 [rows, q_stride]: receives query head h in columns [256h, 256h + 256)
    u64 projected;         // bf16 [rows, projected_stride]: [heads × (query 256, gate 256) | keys | values], kv_heads × 256 each
    u64 query_norm;        // f32 [256], deviation from one
    u64 key_norm;          // f32 [256], deviation from one
    u64 rotations;         // f32 [rows, rotations_stride]: [cos × rotary / 2 | sin × rotary / 2]
    u64 keys;              // bf16 [page][page_size][kv_heads][256]
    u64 values;            // bf16 [page][page_size][kv_heads][256]
    u64 step;              // Step
    Rows rows;
    i32 heads;             // query heads
    i32 kv_heads;
    i32 rotary;            // leading channels of a head that rotate, even
    i32 page_size;         // positions of a page
    i32 q_stride;          // elements
    i32 projected_stride;  // elements
    i32 rotations_stride;  // elements
    f32 eps;
};

constexpr i32 KV_DIM = 256;
constexpr i32 KV_WARPS = 8;

struct StoreKvShared {
    f32 head[KV_WARPS][UNIT][WARP];  // channel c of a warp's head at [c mod 8][c / 8]: free of bank conflicts
};

/// The channels [8·lane, 8·lane + 8) of a head, normed and rotated.
DEVICE Unit norm_and_rotate(const StoreKvArgs& args, const bf16* from, u64 norm, const f32* cosines) {
    i32 first = lane_id() * UNIT;
    Unit x = load_unit(from + first, UNIT);
    Unit weight = load_unit(reinterpret_cast<const f32*>(norm) + first, UNIT);
    f32 sum = 0;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) sum = fma32(x.value[i], x.value[i], sum);
    f32 scale = inverse_root(warp_sum(sum) / static_cast<f32>(KV_DIM) + args.eps);
    f32(&head)[UNIT][WARP] = shared_memory<StoreKvShared>().head[warp_id()];
    UNROLL
    for (i32 i = 0; i < UNIT; i++) {
        x.value[i] = x.value[i] * scale * (1.0f + weight.value[i]);
        head[i][lane_id()] = x.value[i];
    }
    warp_sync();
    i32 pairs = args.rotary / 2;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) {
        i32 channel = first + i;
        if (channel < args.rotary) {
            bool low = channel < pairs;
            i32 pair = low ? channel : channel - pairs;
            i32 other = low ? channel + pairs : pair;
            f32 sine_here = low ? -cosines[pairs + pair] : cosines[pairs + pair];
            x.value[i] = x.value[i] * cosines[pair] + head[other % UNIT][other / UNIT] * sine_here;
        }
    }
    return x;
}

/// First element of head `head` of the row's position in a cache plane; −1 where the sequence has no page there.
DEVICE i64 cache_at(const StoreKvArgs& args, i32 row, i32 head) {
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 sequence = step_array(step, step->at_sequence)[row];
    i32 position = step_array(step, step->at_past)[sequence] + row - step_array(step, step->at_row_start)[sequence];
    const i32* page_start = step_array(step, step->at_page_start);
    i32 index = page_start[sequence] + position / args.page_size;
    fail_if(index >= page_start[sequence + 1]);
    i32 page = step_array(step, step->at_pages)[index];
    if (page < 0) return -1;
    return ((static_cast<i64>(page) * args.page_size + position % args.page_size) * args.kv_heads + head) * KV_DIM;
}

//! kernel store_kv(StoreKvArgs) block 256 shared 8192 grid [rows, (heads + 2 · kv_heads) / 8] dtypes bf16 archs all
KERNEL(store_kv, StoreKvArgs, 256) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    i32 vector = static_cast<i32>(blockIdx.y) * KV_WARPS + warp_id();
    // Whole warps leave; nothing here joins the warps of a block.
    if (row >= rows_end(args.rows) || vector >= args.heads + 2 * args.kv_heads) return;
    const bf16* projected = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(row) * args.projected_stride;
    const f32* cosines = reinterpret_cast<const f32*>(args.rotations) + static_cast<i64>(row) * args.rotations_stride;
    i32 first = lane_id() * UNIT;
    if (vector < args.heads) {
        Unit query = norm_and_rotate(args, projected + 2 * vector * KV_DIM, args.query_norm, cosines);
        bf16* q = reinterpret_cast<bf16*>(args.q) + static_cast<i64>(row) * args.q_stride + vector * KV_DIM;
        store_unit(q + first, UNIT, query);
        return;
    }
    i32 head = (vector - args.heads) % args.kv_heads;
    i64 at = cache_at(args, row, head);
    if (at < 0) return;
    projected += (args.heads + vector) * KV_DIM;  // the gates lie between the queries: 2 · heads + (vector − heads)
    if (vector < args.heads + args.kv_heads) {
        Unit key = norm_and_rotate(args, projected, args.key_norm, cosines);
        store_unit(reinterpret_cast<bf16*>(args.keys) + at + first, UNIT, key);
    } else {
        store16(reinterpret_cast<bf16*>(args.values) + at + first, load16(projected + first));
    }
}
