// Causal attention of sequences with several rows over their paged cache, which already holds earlier steps' positions and
// these rows' own: o = softmax(q·k / 16)·v · sigmoid(gate) (spec 3, steps 7 and 8), head dimension 256. A block takes 64
// matrix rows, which are pairs (token, head of the group) of one KV head, so that keys and values are read once for the whole
// group and short prompts still fill the tensor cores; its tokens see positions up to their own. Positions pass in tiles of 32,
// the next one under way while one is worked on. Queries, keys and values bf16; scores, softmax and sums fp32; probabilities
// as two bf16; one rounding at the end. A row's bits do not depend on how its sequence is cut into steps or tiles.
#include "common/attention.cuh"

namespace {

constexpr i32 PACKED = 16 * WARPS;  // matrix rows of a block

struct AttendChunkArgs {
    u64 dst;               // bf16 [rows, dst_stride]: heads × 256
    u64 q;                 // bf16 [rows, q_stride]: heads × 256, normed and rotated
    u64 projected;         // bf16 [rows, projected_stride]: heads × (query 256, gate 256), …
    u64 keys;              // bf16 [page][page_size][kv_heads][256]
    u64 values;            // bf16 [page][page_size][kv_heads][256]
    u64 step;              // Step
    i32 dst_stride;
    i32 q_stride;
    i32 projected_stride;
    i32 kv_heads;
    i32 group;             // query heads of a KV head, at most 16
    i32 page_size;         // positions
};

/// What a block works on.
struct Work {
    i64 row;         // first row of the tile
    i32 packed;      // matrix rows in use
    i32 position;    // of the first row in its sequence
    i32 kv_head;
    i32 group;
    CachedHead cached;
};

struct ChunkShared {
    bf16 queries[PACKED * HEAD];
    KeyTile tile[2];
    Work work;  // lies here because the sums of attend_rows leave hardly a register
};

DEVICE void copy_queries(ChunkShared& shared, const AttendChunkArgs& args) {
    const Work& work = shared.work;
    const bf16* q = reinterpret_cast<const bf16*>(args.q);
    for (i32 r = warp_id(); r < PACKED; r += WARPS) {
        bool valid = r < work.packed;
        i64 row = work.row + (valid ? r / work.group : 0);
        i32 head = work.kv_head * work.group + (valid ? r % work.group : 0);
        const bf16* from = q + row * args.q_stride + head * HEAD + lane_id() * 8;
        copy_async16(shared.queries + chunk_at(r, lane_id()), from, valid);
    }
}

/// Raw scores of 16 rows with a tile's keys.
DEVICE void score_tile(f32 (&scores)[4][4], const bf16* queries, const bf16* keys) {
    UNROLL
    for (i32 n = 0; n < 4; n++) {
        UNROLL
        for (i32 i = 0; i < 4; i++) scores[n][i] = 0;
    }
    UNROLL
    for (i32 k = 0; k < HEAD / 16; k++) {
        u32 a[4];
        load_tiles(a, queries + tiles_at(2 * k));
        UNROLL
        for (i32 n = 0; n < 4; n += 2) {
            u32 b[4];
            load_tiles(b, keys + 8 * n * HEAD + tiles_at(2 * k));
            mma_bf16(scores[n], a, b[0], b[2]);
            mma_bf16(scores[n + 1], a, b[1], b[3]);
        }
    }
}

/// The positions of a tile that a row may see, one bit each: those up to the row's own.
DEVICE u32 causal_bits(i32 own, i32 first) {
    i32 count = own - first + 1;
    if (count <= 0) return 0;
    return count >= KEYS ? 0xffffffffu : (1u << count) - 1u;
}

/// Results pass through shared memory, where the tiles were, so that a row goes out in whole lines beside its gates.
DEVICE void store_rows(ChunkShared& shared, const AttendChunkArgs& args, const f32 (&out)[CHUNKS][4], const SoftmaxRows& rows) {
    const Work& work = shared.work;
    f32* lines = reinterpret_cast<f32*>(&shared.tile) + warp_id() * 16 * HEAD;
    i32 line = lane_id() >> 2, column = 2 * (lane_id() & 3);
    UNROLL
    for (i32 n = 0; n < CHUNKS; n++) {
        UNROLL
        for (i32 h = 0; h < 2; h++) {
            *reinterpret_cast<Pair*>(lines + chunk_at(line + 8 * h, n) + column) = {out[n][2 * h], out[n][2 * h + 1]};
        }
    }
    warp_sync();
    // Four rows at a time, their gates first: the compiler cannot know that no store goes where a later load comes from.
    ROLLED
    for (i32 first = 0; first < 16; first += 4) {
        Vec16 gates[4];
        bf16* to[4];
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            i32 packed = 16 * warp_id() + first + i;
            to[i] = nullptr;
            if (packed >= work.packed) continue;
            i64 row = work.row + packed / work.group;
            i32 head = work.kv_head * work.group + packed % work.group;
            i32 own = lane_id() * 8;
            to[i] = reinterpret_cast<bf16*>(args.dst) + row * args.dst_stride + head * HEAD + own;
            const bf16* projected = reinterpret_cast<const bf16*>(args.projected) + row * args.projected_stride;
            gates[i] = load16(projected + (2 * head + 1) * HEAD + own);
        }
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            i32 r = first + i;
            f32 sum = shuffle(first < 8 ? rows.sum[0] : rows.sum[1], 4 * (r & 7));
            const f32* from = lines + chunk_at(r, lane_id());
            Vec16 half[2] = {load16(from), load16(from + 4)};
            f32 values[8];
            UNROLL
            for (i32 k = 0; k < 8; k++) values[k] = bits_float(half[k >> 2].word[k & 3]);
            if (to[i] != nullptr) store_gated(to[i], values, sum, gates[i]);
        }
    }
}

/// A warp's share of the block: its 16 rows over all positions they see.
DEVICE void attend_rows(ChunkShared& shared, const AttendChunkArgs& args) {
    const CachedHead& cached = shared.work.cached;
    i32 own[2];  // position of the lane's rows
    UNROLL
    for (i32 h = 0; h < 2; h++) {
        i32 packed = 16 * warp_id() + (lane_id() >> 2) + 8 * h;
        own[h] = packed < shared.work.packed ? shared.work.position + packed / shared.work.group : -1;
    }
    f32 out[CHUNKS][4] = {};
    SoftmaxRows rows;
    u32 coming = copy_tile(shared.tile[0], cached, find_position(cached, 0));
    copy_commit();
    i32 found = find_position(cached, 1);  // a tile ahead of the copies: the page table is read behind their back
    for (i32 j = 0; j * KEYS < cached.end; j++) {
        copy_wait<0>();
        block_sync();
        u32 readable = coming;
        if ((j + 1) * KEYS < cached.end) {
            coming = copy_tile(shared.tile[(j + 1) & 1], cached, found);
            found = find_position(cached, j + 2);
        }
        copy_commit();
        u32 seen[2] = {readable & causal_bits(own[0], j * KEYS), readable & causal_bits(own[1], j * KEYS)};
        if (vote((seen[0] | seen[1]) != 0) == 0) continue;  // a warp without rows only helps to copy
        const KeyTile& tile = shared.tile[j & 1];
        f32 scores[4][4], decay[2];
        score_tile(scores, shared.queries + 16 * warp_id() * HEAD, tile.keys);
        softmax_tile(scores, rows, seen, decay);
        add_values(out, decay, scores, tile.values, 0);
    }
    finish_sums(rows);
    block_sync();
    store_rows(shared, args, out, rows);
}

DEVICE Work find_work(const AttendChunkArgs& args, const Step* step, const Tile& tile) {
    Work work;
    work.row = static_cast<i64>(step_array(step, step->at_row_start)[tile.sequence]) + tile.first;
    work.packed = tile.rows * args.group;
    work.position = step_array(step, step->at_past)[tile.sequence] + tile.first;
    work.kv_head = static_cast<i32>(blockIdx.y);
    work.group = args.group;
    work.cached.keys = reinterpret_cast<const bf16*>(args.keys) + work.kv_head * HEAD;
    work.cached.values = reinterpret_cast<const bf16*>(args.values) + work.kv_head * HEAD;
    work.cached.pages = step_array(step, step->at_pages) + step_array(step, step->at_page_start)[tile.sequence];
    work.cached.page_size = args.page_size;
    work.cached.end = work.position + tile.rows;
    work.cached.stride = args.kv_heads * HEAD;
    return work;
}

}  // namespace

//! kernel attend_chunk(AttendChunkArgs) block 128 shared 98368 grid [tiles, kv_heads] dtypes bf16 archs all
KERNEL(attend_chunk, AttendChunkArgs, 128) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    // The last tiles of a long sequence see the most positions and go first.
    Tile tile = find_tile(step, static_cast<i32>(gridDim.x - 1 - blockIdx.x), PACKED / args.group);
    if (tile.sequence < 0) return;
    ChunkShared& shared = shared_memory<ChunkShared>();
    if (threadIdx.x == 0) shared.work = find_work(args, step, tile);
    block_sync();
    copy_queries(shared, args);
    attend_rows(shared, args);
}
