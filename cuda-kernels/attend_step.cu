// Attention of sequences with one row: o = softmax(q·k / 16)·v · sigmoid(gate) (spec 3, steps 7 and 8), head dimension 256,
// paged cache, one launch. A sequence is cut along its positions: a block leaves for each head of its KV head the sums of its
// split relative to the split's largest score, and the block that is the last of a (row, KV head) to do so merges them in the
// order of the splits and gates (common/arrival.cuh). The cut depends on the sequence's length alone, so a row's bits depend
// neither on its company nor on the bound the grid was sized for nor on which block is last; blocks beyond the true number of
// splits exit. A block reads a split once for all heads of a KV head, which are the rows of the tensor core tiles: per tile of
// 32 positions its four warps share the keys for the scores, and the value columns for the result. Precision is that of
// attend_chunk; a sequence of one split gets the very same bits, and passes nothing through global memory.
#include "common/arrival.cuh"
#include "common/attention.cuh"

namespace {

constexpr i32 MIN_SPLIT = 256;   // positions: fewer are not worth a block and the merge
constexpr i32 MAX_SPLITS = 64;
constexpr i32 PARTIAL = 260;     // fp32 of a partial result: 256 sums, the maximum, the sum of probabilities, 2 unused
constexpr i32 COLUMNS = CHUNKS / WARPS;  // 8-column tiles of a warp
constexpr i32 SCORE_LINE = KEYS + 8;     // fp32; the eight keep lines apart in the banks
constexpr i32 OUT_LINE = HEAD + 8;       // likewise
constexpr i32 MERGE_AHEAD = 8;           // splits whose sums are loaded before the first of them is added

struct AttendStepArgs {
    u64 dst;               // bf16 [rows, dst_stride]: heads × 256
    u64 q;                 // bf16 [rows, q_stride]: heads × 256, normed and rotated
    u64 projected;         // bf16 [rows, projected_stride]: heads × (query 256, gate 256), …
    u64 keys;              // bf16 [page][page_size][kv_heads][256]
    u64 values;            // bf16 [page][page_size][kv_heads][256]
    u64 partials;          // fp32 [rows][heads][splits][260]
    u64 arrivals;          // u32 [rows][kv_heads], zero before and after
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

/// What lies in the same shared memory behind the last tile.
struct StepEnd {
    f32 out[16 * OUT_LINE];  // of a sequence of one split
    Pair totals[16];         // maximum and sum of probabilities of its heads
    u32 last;                // whether this block is the last of several
};
static_assert(sizeof(StepEnd) <= sizeof(StepShared));

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

/// Leaves the group's results in lines of `stride` values, and the maximum and sum of head h at totals + h · total_stride.
DEVICE void leave_results(f32* lines, i32 stride, f32* totals, i32 total_stride, i32 group, const f32 (&out)[COLUMNS][4],
                          const SoftmaxRows& rows) {
    i32 column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        i32 head = (lane_id() >> 2) + 8 * h;
        if (head >= group) continue;
        f32* to = lines + static_cast<i64>(head) * stride + 8 * COLUMNS * warp_id() + column;
        UNROLL
        for (i32 n = 0; n < COLUMNS; n++) *reinterpret_cast<Pair*>(to + 8 * n) = {out[n][2 * h], out[n][2 * h + 1]};
        if (warp_id() == 0 && column == 0) {
            *reinterpret_cast<Pair*>(totals + static_cast<i64>(head) * total_stride) = {rows.maximum[h], rows.sum[h]};
        }
    }
}

/// A head's finished sums, eight columns a lane: gated, rounded, stored.
DEVICE void finish_head(const AttendStepArgs& args, i64 row, i32 head, const f32 (&out)[8], f32 sum, const Vec16& gates) {
    store_gated(reinterpret_cast<bf16*>(args.dst) + row * args.dst_stride + head * HEAD + lane_id() * 8, out, sum, gates);
}

DEVICE Vec16 load_gates(const AttendStepArgs& args, i64 row, i32 head) {
    const bf16* projected = reinterpret_cast<const bf16*>(args.projected) + row * args.projected_stride;
    return load16(projected + (2 * head + 1) * HEAD + lane_id() * 8);
}

/// Adds four values of a line at two places to eight sums, times w.
DEVICE void add_line(f32 (&out)[8], f32 w, const Vec16 (&line)[2]) {
    UNROLL
    for (i32 i = 0; i < 8; i++) out[i] = fma32(w, bits_float(line[i >> 2].word[i & 3]), out[i]);
}

/// The results of the whole group, one warp a head at a time, from where its one split left them.
DEVICE void finish_group(const StepEnd& end, const AttendStepArgs& args, i64 row) {
    for (i32 in_group = warp_id(); in_group < args.group; in_group += WARPS) {
        i32 head = static_cast<i32>(blockIdx.y) * args.group + in_group;
        Vec16 gates = load_gates(args, row, head);
        const f32* from = end.out + in_group * OUT_LINE + lane_id() * 8;
        Vec16 line[2] = {load16(from), load16(from + 4)};
        f32 out[8] = {};
        add_line(out, 1.0f, line);
        finish_head(args, row, head, out, end.totals[in_group].y, gates);
    }
}

/// Merges a head's splits in their order, by one warp.
DEVICE void merge_head(const AttendStepArgs& args, i64 row, i32 head, i32 splits) {
    const f32* partials = partial_of(args, row, head, 0);
    Vec16 gates = load_gates(args, row, head);
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
    ROLLED
    for (i32 first = 0; first < splits; first += MERGE_AHEAD) {
        Vec16 line[MERGE_AHEAD][2];
        UNROLL
        for (i32 i = 0; i < MERGE_AHEAD; i++) {
            const f32* from = partials + (first + i) * PARTIAL + lane_id() * 8;
            if (first + i < splits) line[i][0] = load16(from), line[i][1] = load16(from + 4);
        }
        UNROLL
        for (i32 i = 0; i < MERGE_AHEAD; i++) {
            i32 split = first + i;
            f32 w = shuffle(split < WARP ? weight[0] : weight[1], split & (WARP - 1));
            if (split < splits) add_line(out, w, line[i]);
        }
    }
    finish_head(args, row, head, out, sum, gates);
}

/// Leaves the split's results for the merge, and merges if all others of the row and KV head have done so.
DEVICE void leave_split(StepEnd& end, const AttendStepArgs& args, i64 row, i32 splits, const f32 (&out)[COLUMNS][4],
                        const SoftmaxRows& rows) {
    i32 first_head = static_cast<i32>(blockIdx.y) * args.group;
    f32* lines = partial_of(args, row, first_head, static_cast<i32>(blockIdx.x));
    leave_results(lines, args.splits * PARTIAL, lines + HEAD, args.splits * PARTIAL, args.group, out, rows);
    u32* arrivals = reinterpret_cast<u32*>(args.arrivals) + row * args.kv_heads + blockIdx.y;
    if (!last_to_arrive(arrivals, static_cast<u32>(splits), end.last)) return;
    for (i32 in_group = warp_id(); in_group < args.group; in_group += WARPS) merge_head(args, row, first_head + in_group, splits);
}

/// The split that begins at position `from`.
DEVICE void attend_split(StepShared& shared, const AttendStepArgs& args, i64 row, const CachedHead& cached, i32 from, i32 splits) {
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
    StepEnd& end = *reinterpret_cast<StepEnd*>(&shared);
    block_sync();  // tiles and scores have been read
    if (splits > 1) {
        leave_split(end, args, row, splits, out, rows);
        return;
    }
    leave_results(end.out, OUT_LINE, &end.totals[0].x, 2, args.group, out, rows);
    block_sync();
    finish_group(end, args, row);
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
    i32 size = split_size(length), splits = (length + size - 1) / size;
    fail_if(splits > args.splits);
    i32 from = static_cast<i32>(blockIdx.x) * size;
    if (from >= length) return;
    CachedHead cached;
    cached.keys = reinterpret_cast<const bf16*>(args.keys) + blockIdx.y * HEAD;
    cached.values = reinterpret_cast<const bf16*>(args.values) + blockIdx.y * HEAD;
    cached.pages = step_array(step, step->at_pages) + step_array(step, step->at_page_start)[row];
    cached.page_size = args.page_size;
    cached.end = length - from < size ? length : from + size;
    cached.stride = args.kv_heads * HEAD;
    attend_split(shared_memory<StepShared>(), args, row, cached, from, splits);
}
