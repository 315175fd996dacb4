// Attention of sequences with one row: o = softmax(q·k / 16)·v · sigmoid(gate) (spec 3, steps 7 and 8), head dimension 256,
// paged cache. A sequence is cut along its positions: attend_step leaves for every (row, head, split) the sums relative to the
// split's largest score, attend_step_combine merges them in order and gates. The cut depends on the sequence's length alone,
// so a row's bits depend neither on its company nor on the bound the grid was sized for; blocks beyond the true number of
// splits exit. A block reads a split once for all heads of a KV head, which are the rows of the tensor core tiles: per tile
// of 32 positions its four warps share the keys for the scores, and the value columns for the result. Precision is that of
// attend_chunk; a sequence of one split gets the very same bits.
#include "common/attention.cuh"

namespace {

constexpr i32 MIN_SPLIT = 256;   // positions: fewer are not worth a block and the merge
constexpr i32 MAX_SPLITS = 64;
constexpr i32 PARTIAL = 260;     // fp32 of a partial result: 256 sums, the maximum, the sum of probabilities, 2 unused
constexpr i32 COLUMNS = CHUNKS / WARPS;  // 8-column tiles of a warp
constexpr i32 SCORE_LINE = KEYS + 8;     // fp32; the eight keep lines apart in the banks

/// The argument of both kernels.
struct AttendStepArgs {
    u64 dst;               // bf16 [rows, dst_stride]: heads × 256
    u64 q;                 // bf16 [rows, q_stride]: heads × 256, normed and rotated
    u64 projected;         // bf16 [rows, projected_stride]: heads × (query 256, gate 256), …
    u64 keys;              // bf16 [page][page_size][kv_heads][256]
    u64 values;            // bf16 [page][page_size][kv_heads][256]
    u64 partials;          // fp32 [rows][heads][splits][260]
    u64 step;              // Step
    i32 dst_stride;
    i32 q_stride;
    i32 projected_stride;
    i32 kv_heads;
    i32 group;             // query heads of a KV head, at most 16
    i32 page_size;         // positions
    i32 splits;            // at least those of the longest sequence
    i32 padding;
};

struct StepShared {
    KeyTile tile[2];
    f32 scores[16 * SCORE_LINE];
};

/// Positions of a split, a multiple of a tile's.
DEVICE i32 split_size(i32 length) {
    i32 even = (length + MAX_SPLITS - 1) / MAX_SPLITS;
    i32 whole = (even + KEYS - 1) / KEYS * KEYS;
    return whole > MIN_SPLIT ? whole : MIN_SPLIT;
}

DEVICE f32* partial_of(const AttendStepArgs& args, i64 row, i32 head, i32 split) {
    i64 index = (row * (args.kv_heads * args.group) + head) * args.splits + split;
    return reinterpret_cast<f32*>(args.partials) + index * PARTIAL;
}

/// The queries of the group, as the left operand of mma_bf16 for each 16 of the 256; rows beyond the group are zero.
DEVICE void load_queries(u32 (&queries)[HEAD / 16][4], const bf16* from, i32 group) {
    i32 column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        i32 head = (lane_id() >> 2) + (i & 1) * 8;
        UNROLL
        for (i32 k = 0; k < HEAD / 16; k++) {
            const bf16* pair = from + head * HEAD + 16 * k + (i >> 1) * 8 + column;
            queries[k][i] = head < group ? *reinterpret_cast<const u32*>(pair) : 0u;
        }
    }
}

/// Raw scores of the group with the warp's eight of a tile's keys.
DEVICE void score_keys(f32 (&scores)[4], const u32 (&queries)[HEAD / 16][4], const bf16* keys) {
    i32 line = 8 * warp_id() + (lane_id() & 7);
    UNROLL
    for (i32 i = 0; i < 4; i++) scores[i] = 0;
    UNROLL
    for (i32 k = 0; k < HEAD / 16; k += 2) {
        u32 b[4];
        load_tiles(b, keys + chunk_at(line, 2 * k + (lane_id() >> 3)));
        mma_bf16(scores, queries[k], b[0], b[1]);
        mma_bf16(scores, queries[k + 1], b[2], b[3]);
    }
}

/// Every warp leaves the scores of its keys and takes those of all.
DEVICE void share_scores(f32* shared, const f32 (&mine)[4], f32 (&all)[4][4]) {
    i32 line = lane_id() >> 2, column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        f32* at = shared + (line + 8 * h) * SCORE_LINE + column;
        *reinterpret_cast<Pair*>(at + 8 * warp_id()) = {mine[2 * h], mine[2 * h + 1]};
    }
    block_sync();
    UNROLL
    for (i32 n = 0; n < 4; n++) {
        UNROLL
        for (i32 h = 0; h < 2; h++) {
            Pair two = *reinterpret_cast<const Pair*>(shared + (line + 8 * h) * SCORE_LINE + 8 * n + column);
            all[n][2 * h] = two.x;
            all[n][2 * h + 1] = two.y;
        }
    }
}

DEVICE void store_partials(const AttendStepArgs& args, i64 row, const f32 (&out)[COLUMNS][4], const SoftmaxRows& rows) {
    i32 column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        i32 in_group = (lane_id() >> 2) + 8 * h;
        if (in_group >= args.group) continue;
        i32 head = static_cast<i32>(blockIdx.y) * args.group + in_group;
        f32* to = partial_of(args, row, head, static_cast<i32>(blockIdx.x));
        UNROLL
        for (i32 n = 0; n < COLUMNS; n++) {
            *reinterpret_cast<Pair*>(to + 8 * (COLUMNS * warp_id() + n) + column) = {out[n][2 * h], out[n][2 * h + 1]};
        }
        if (warp_id() == 0 && column == 0) *reinterpret_cast<Pair*>(to + HEAD) = {rows.maximum[h], rows.sum[h]};
    }
}

/// The split that begins at position `from`.
DEVICE void attend_split(StepShared& shared, const AttendStepArgs& args, i64 row, const CachedHead& cached, i32 from) {
    u32 queries[HEAD / 16][4];
    i64 first_head = static_cast<i64>(blockIdx.y) * args.group;
    load_queries(queries, reinterpret_cast<const bf16*>(args.q) + row * args.q_stride + first_head * HEAD, args.group);
    f32 out[COLUMNS][4] = {};
    SoftmaxRows rows;
    i32 first = from / KEYS, tiles = (cached.end + KEYS - 1) / KEYS - first;
    u32 coming = copy_tile(shared.tile[0], cached, find_position(cached, first));
    copy_commit();
    i32 found = find_position(cached, first + 1);
    for (i32 j = 0; j < tiles; j++) {
        copy_wait<0>();
        block_sync();
        u32 readable = coming;
        if (j + 1 < tiles) {
            coming = copy_tile(shared.tile[(j + 1) & 1], cached, found);
            found = find_position(cached, first + j + 2);
        }
        copy_commit();
        const KeyTile& tile = shared.tile[j & 1];
        f32 mine[4], scores[4][4], decay[2];
        score_keys(mine, queries, tile.keys);
        share_scores(shared.scores, mine, scores);
        u32 seen[2] = {readable, readable};
        softmax_tile(scores, rows, seen, decay);
        add_values(out, decay, scores, tile.values, COLUMNS * warp_id());
    }
    finish_sums(rows);
    store_partials(args, row, out, rows);
}

}  // namespace

//! kernel attend_step(AttendStepArgs) block 128 shared 68096 grid [splits, kv_heads, rows] dtypes bf16 archs all
KERNEL(attend_step, AttendStepArgs, 128) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 row = static_cast<i32>(blockIdx.z);
    if (row >= step->singles) return;
    i32 length = step_array(step, step->at_past)[row] + 1;
    i32 size = split_size(length);
    fail_if((length + size - 1) / size > args.splits);
    i32 from = static_cast<i32>(blockIdx.x) * size;
    if (from >= length) return;
    CachedHead cached;
    cached.keys = reinterpret_cast<const bf16*>(args.keys) + blockIdx.y * HEAD;
    cached.values = reinterpret_cast<const bf16*>(args.values) + blockIdx.y * HEAD;
    cached.pages = step_array(step, step->at_pages) + step_array(step, step->at_page_start)[row];
    cached.page_size = args.page_size;
    cached.end = length - from < size ? length : from + size;
    cached.stride = args.kv_heads * HEAD;
    attend_split(shared_memory<StepShared>(), args, row, cached, from);
}

//! kernel attend_step_combine(AttendStepArgs) block 128 shared 0 grid [⌈heads / 4⌉, rows] dtypes bf16 archs all
KERNEL_OCCUPANCY(attend_step_combine, AttendStepArgs, 128, 8) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i64 row = blockIdx.y;
    i32 head = static_cast<i32>(blockIdx.x) * WARPS + warp_id();  // one a warp
    if (row >= step->singles || head >= args.kv_heads * args.group) return;
    i32 length = step_array(step, step->at_past)[row] + 1;
    i32 size = split_size(length), splits = (length + size - 1) / size;
    const f32* partials = partial_of(args, row, head, 0);
    const bf16* projected = reinterpret_cast<const bf16*>(args.projected) + row * args.projected_stride;
    Vec16 gates = load16(projected + (2 * head + 1) * HEAD + lane_id() * 8);
    // A lane weighs splits lane and lane + 32 by their maxima.
    f32 weight[2], sum = 0, top = NO_SCORE;
    Pair found[2];
    UNROLL
    for (i32 i = 0; i < 2; i++) {
        i32 split = lane_id() + WARP * i;
        found[i] = {NO_SCORE, 0};
        if (split < splits) found[i] = *reinterpret_cast<const Pair*>(partials + split * PARTIAL + HEAD);
        top = found[i].x > top ? found[i].x : top;
    }
    top = warp_max(top);
    UNROLL
    for (i32 i = 0; i < 2; i++) {
        weight[i] = exponential2_fast(found[i].x - top);
        sum = fma32(weight[i], found[i].y, sum);
    }
    sum = warp_sum(sum);
    f32 out[8] = {};
    for (i32 split = 0; split < splits; split++) {
        f32 w = shuffle(split < WARP ? weight[0] : weight[1], split & (WARP - 1));
        const f32* from = partials + split * PARTIAL + lane_id() * 8;
        UNROLL
        for (i32 i = 0; i < 2; i++) {
            Vec16 four = load16(from + 4 * i);
            UNROLL
            for (i32 k = 0; k < 4; k++) out[4 * i + k] = fma32(w, bits_float(four.word[k]), out[4 * i + k]);
        }
    }
    bf16* to = reinterpret_cast<bf16*>(args.dst) + row * args.dst_stride + head * HEAD + lane_id() * 8;
    store_gated(to, out, sum, gates);
}
