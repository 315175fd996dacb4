// Expert order (spec 5.2): the assignments of rows [from, to) sorted by the expert they chose, and the tiles of equal expert
// that the grouped products work on, so that no count ever travels to the host. Assignment a = (row − from) · slots + slot; the
// sort is stable, and by counting: every warp counts its own contiguous part of the assignments, counts become first
// positions, and every warp deals its part out in order. No atomic decides an order, so nothing of the schedule shows. The
// shared expert, number `experts`, has one assignment a row, behind the others. One block does it all: about 3 µs of fixed
// cost and 1 µs for every 1000 assignments or so, against milliseconds that the products take at such sizes.
#include "common/step.cuh"

constexpr i32 ORDER_THREADS = 512;
constexpr i32 ORDER_WARPS = ORDER_THREADS / WARP;
constexpr i32 ORDER_EXPERTS = 512;  // at most, one a thread
constexpr i32 ORDER_BITS = 9;       // of an expert's number

struct ExpertOrderArgs {
    u64 order;       // i32 [assignments + rows]: assignments by expert, then assignments + row − from
    u64 tiles;       // i32 [.., 4]: expert, first position in order, count, 0
    u64 tile_count;  // i32 [1]
    u64 ids;         // i32 [rows, slots]
    Rows rows;       // assignments are numbered as if all of [from, to) were live
    i32 slots;       // experts of a row
    i32 experts;     // at most 512
    i32 tile_rows;   // positions of a tile
    i32 padding;
};

struct ExpertOrderShared {
    i32 next[ORDER_WARPS][ORDER_EXPERTS];  // a warp's assignments of an expert, then the position of its next one
    i32 first[ORDER_EXPERTS + 1];          // position
    i32 first_tile[ORDER_EXPERTS + 1];
    u64 partial[ORDER_WARPS];
};
static_assert(sizeof(ExpertOrderShared) == 37000);

/// Lanes that chose the same expert; lanes without one count as a number of their own.
DEVICE u32 order_peers(bool valid, i32 expert) {
    u32 peers = vote(valid);
    if (!valid) peers = ~peers;
    UNROLL
    for (i32 bit = 0; bit < ORDER_BITS; bit++) {
        const bool mine = (expert >> bit & 1) != 0;
        const u32 with = vote(mine);
        peers &= mine ? with : ~with;
    }
    return peers;
}

/// Turns the warps' counts into first positions, of experts and of tiles.
DEVICE void order_place(ExpertOrderShared& shared, const ExpertOrderArgs& args) {
    const i32 expert = static_cast<i32>(threadIdx.x);
    const bool exists = expert < args.experts;
    i32 count = 0;
    if (exists) {
        for (i32 w = 0; w < ORDER_WARPS; w++) count += shared.next[w][expert];
    }
    const i32 tiles = (count + args.tile_rows - 1) / args.tile_rows;
    const u64 mine = static_cast<u64>(tiles) << 32 | static_cast<u32>(count);
    u64 sum = mine;  // both sums in one, to this lane
    UNROLL
    for (i32 by = 1; by < WARP; by *= 2) {
        const u64 below = shuffle_up(sum, by);
        if (lane_id() >= by) sum += below;
    }
    if (lane_id() == WARP - 1) shared.partial[warp_id()] = sum;
    block_sync();
    sum -= mine;
    for (i32 w = 0; w < warp_id(); w++) sum += shared.partial[w];
    if (exists) {
        i32 position = static_cast<i32>(sum);
        shared.first[expert] = position;
        shared.first_tile[expert] = static_cast<i32>(sum >> 32);
        for (i32 w = 0; w < ORDER_WARPS; w++) {
            const i32 of_warp = shared.next[w][expert];
            shared.next[w][expert] = position;
            position += of_warp;
        }
        if (expert == args.experts - 1) {
            shared.first[args.experts] = position;
            shared.first_tile[args.experts] = static_cast<i32>(sum >> 32) + tiles;
        }
    }
    block_sync();
}

/// The warp deals assignments [from, to) out, 32 at a time.
DEVICE void order_deal(ExpertOrderShared& shared, const ExpertOrderArgs& args, const i32* ids, i32 from, i32 to) {
    i32* order = reinterpret_cast<i32*>(args.order);
    i32* next = shared.next[warp_id()];
    for (i32 base = from; base < to; base += WARP) {
        const i32 assignment = base + lane_id();
        const bool valid = assignment < to;
        const i32 expert = valid ? ids[assignment] : 0;
        const u32 peers = order_peers(valid, expert);
        const i32 before = count_bits(peers & ((1u << lane_id()) - 1));
        const i32 position = valid ? next[expert] : 0;
        if (valid) order[position + before] = assignment;
        warp_sync();
        if (valid && before == 0) next[expert] = position + count_bits(peers);
        warp_sync();
    }
}

/// Tiles in order, each by a thread: a tile's expert is the last whose first tile is not behind it.
DEVICE void order_tiles(const ExpertOrderShared& shared, const ExpertOrderArgs& args, i32 assignments, i32 live) {
    Vec16* tiles = reinterpret_cast<Vec16*>(args.tiles);
    const i32 routed = shared.first_tile[args.experts];
    const i32 all = routed + (live + args.tile_rows - 1) / args.tile_rows;
    for (i32 t = threadIdx.x; t < all; t += ORDER_THREADS) {
        i32 expert = 0, beyond = args.experts;
        while (t < routed && beyond - expert > 1) {
            const i32 middle = (expert + beyond) / 2;
            if (shared.first_tile[middle] <= t) expert = middle;
            else beyond = middle;
        }
        if (t >= routed) expert = args.experts;
        const i32 begin = t < routed ? shared.first[expert] : assignments;
        const i32 end = t < routed ? shared.first[expert + 1] : assignments + live;
        const i32 first = begin + (t - shared.first_tile[expert]) * args.tile_rows;
        const i32 count = end - first < args.tile_rows ? end - first : args.tile_rows;
        store16(tiles + t, {{static_cast<u32>(expert), static_cast<u32>(first), static_cast<u32>(count), 0}});
    }
    if (threadIdx.x == 0) *reinterpret_cast<i32*>(args.tile_count) = all;
}

//! kernel expert_order(ExpertOrderArgs) block 512 shared 37000 grid [1] dtypes i32 archs all
KERNEL(expert_order, ExpertOrderArgs, ORDER_THREADS) {
    wait_for_predecessors();
    release_successors();
    ExpertOrderShared& shared = shared_memory<ExpertOrderShared>();
    const i32 end = rows_end(args.rows);
    const i32 live = end > args.rows.from ? end - args.rows.from : 0;
    const i32 assignments = (args.rows.to - args.rows.from) * args.slots;
    const i32* ids = reinterpret_cast<const i32*>(args.ids) + static_cast<i64>(args.rows.from) * args.slots;
    for (i32 i = threadIdx.x; i < ORDER_WARPS * ORDER_EXPERTS; i += ORDER_THREADS) {
        shared.next[i / ORDER_EXPERTS][i % ORDER_EXPERTS] = 0;
    }
    block_sync();

    const i32 part = (live * args.slots + ORDER_WARPS - 1) / ORDER_WARPS;
    const i32 from = warp_id() * part;
    const i32 to = from + part < live * args.slots ? from + part : live * args.slots;
    for (i32 a = from + lane_id(); a < to; a += WARP) {
        const i32 expert = ids[a];
        fail_if(expert < 0 || expert >= args.experts);
        atomic_add(&shared.next[warp_id()][expert], 1);
    }
    block_sync();
    order_place(shared, args);
    order_deal(shared, args, ids, from, to);
    for (i32 r = threadIdx.x; r < live; r += ORDER_THREADS) {
        reinterpret_cast<i32*>(args.order)[assignments + r] = assignments + r;
    }
    order_tiles(shared, args, assignments, live);
}
