// Draws a token from a row of fp32 logits (spec 6.1, 8.4): ids without a token are left out, then penalties, temperature,
// top-k, top-p and min-p apply in this order, and a number of (seed, position) picks one of the candidates kept
// (common/candidates.cuh). Equals brantas.sample.Sampler but for roundings of the exponential. One block a row; logits are
// not changed; neither schedule nor company shows. Nothing of the vocabulary's size is sorted. Usually two passes over the
// row suffice: the first leaves each thread's best, and the m-th best of those bounds a list of at least m candidates that
// the second gathers; the list is sorted in shared memory. Where it does not hold all that matters, the row is narrowed by
// factors of up to eight a pass instead; without top-k and top-p the draw goes by id and needs no order at all.
#include "common/candidates.cuh"

constexpr i32 SAMPLE_THREADS = 1024;
constexpr i32 SAMPLE_WARPS = SAMPLE_THREADS / WARP;
constexpr i32 SAMPLE_LIST = 4096;  // candidates that are sorted
constexpr i32 SAMPLE_BOUND = 960;  // of 1024 threads' bests: about 2900 candidates are better, of 4096 that have room
constexpr i32 SAMPLE_PIECES = 8;   // of a range of ranks
constexpr u32 NO_CANDIDATE = 2u;   // bit of the error word

struct SampleArgs {
    u64 tokens;         // i32 [outputs]: the ids drawn, by output of the step
    u64 logits;         // f32 [window_rows, logits_stride]
    u64 allowed;        // u32 [ceil(vocabulary/32)]: bit id % 32 of word id / 32 says that the id has a token
    u64 counts;         // u32 [slots, counts_stride], see count_tokens
    u64 step;           // Step
    u64 error;          // u32 [1]: bit 1 is set by a row without a finite logit, whose first id with a token is then taken
    i32 vocabulary;     // at most 2¹⁹
    i32 logits_stride;  // elements, a multiple of 4
    i32 counts_stride;  // elements
    i32 padding;
};

struct SampleShared {
    u64 list[SAMPLE_LIST];
    u64 partial[SAMPLE_WARPS];
    u64 mass[SAMPLE_PIECES];   // of the pieces of a range, each with those of higher rank
    i32 count[SAMPLE_PIECES];
    Draw draw;
    u64 fraction;              // the random number
    i32 gathered;
    i32 found;
};
static_assert(sizeof(SampleShared) == 33184);

template <class T>
DEVICE T warp_total(T value) {
    UNROLL
    for (i32 apart = WARP / 2; apart > 0; apart >>= 1) value += shuffle_xor(value, apart);
    return value;
}

DEVICE u64 warp_scan(u64 value) {
    UNROLL
    for (i32 by = 1; by < WARP; by *= 2) {
        const u64 below = shuffle_up(value, by);
        if (lane_id() >= by) value += below;
    }
    return value;
}

DEVICE u64 warp_largest(u64 value) {
    UNROLL
    for (i32 apart = WARP / 2; apart > 0; apart >>= 1) {
        const u64 other = shuffle_xor(value, apart);
        value = other > value ? other : value;
    }
    return value;
}

/// Sum over the threads below this one; `total` becomes that over all.
DEVICE u64 block_scan(SampleShared& shared, u64 value, u64& total) {
    const u64 sum = warp_scan(value);
    if (lane_id() == WARP - 1) shared.partial[warp_id()] = sum;
    block_sync();
    const u64 warps = warp_scan(shared.partial[lane_id()]);
    total = shuffle(warps, WARP - 1);
    const u64 below = shuffle(warps, (warp_id() + WARP - 1) % WARP);
    block_sync();
    return sum - value + (warp_id() == 0 ? 0 : below);
}

DEVICE u64 block_sum(SampleShared& shared, u64 value) {
    u64 total;
    block_scan(shared, value, total);
    return total;
}

DEVICE u64 block_largest(SampleShared& shared, u64 value) {
    value = warp_largest(value);
    if (lane_id() == 0) shared.partial[warp_id()] = value;
    block_sync();
    value = warp_largest(shared.partial[lane_id()]);
    block_sync();
    return value;
}

/// Fills the list with zeros from `count` on to a power of two and sorts it, largest first (bitonic). Stages whose pairs lie
/// within 64 elements stay inside a warp.
DEVICE void sort_list(SampleShared& shared, i32 count) {
    i32 end = 2;
    while (end < count) end *= 2;
    for (i32 i = count + static_cast<i32>(threadIdx.x); i < end; i += SAMPLE_THREADS) shared.list[i] = 0;
    block_sync();
    ROLLED
    for (i32 size = 2; size <= end; size *= 2) {
        ROLLED
        for (i32 apart = size / 2; apart > 0; apart /= 2) {
            for (i32 pair = threadIdx.x; pair < end / 2; pair += SAMPLE_THREADS) {
                const i32 at = 2 * pair - (pair & (apart - 1));
                const u64 a = shared.list[at], b = shared.list[at + apart];
                if ((a < b) == ((at & size) == 0)) {
                    shared.list[at] = b;
                    shared.list[at + apart] = a;
                }
            }
            const i32 next = apart > 1 ? apart / 2 : size;
            if (apart > WARP || next > WARP) block_sync();
            else warp_sync();
        }
    }
    block_sync();
}

/// Gathers the candidates of ranks [low, high], sorted, if there is room, and returns how many there are. `visit` sees all
/// candidates, of whatever rank.
template <class Visit>
DEVICE i32 gather(SampleShared& shared, const CandidateRow& row, u64 low, u64 high, Visit visit) {
    if (threadIdx.x == 0) shared.gathered = 0;
    block_sync();
    row.each([&](u64 rank) {
        visit(rank);
        if (rank < low || rank > high) return;
        const i32 at = atomic_add(&shared.gathered, 1);
        if (at < SAMPLE_LIST) shared.list[at] = rank;
    });
    block_sync();
    const i32 count = shared.gathered;
    if (count <= SAMPLE_LIST) sort_list(shared, count);
    return count;
}

DEVICE u64 listed(const SampleShared& shared, i32 at, bool by_id) {
    return by_id ? exchanged(shared.list[at]) : shared.list[at];
}

DEVICE u64 sum_of_list(SampleShared& shared, i32 count, const CandidateWeight& weight) {
    u64 sum = 0;
    for (i32 i = threadIdx.x; i < count; i += SAMPLE_THREADS) sum += weight(shared.list[i]);
    return block_sum(shared, sum);
}

/// Index of the first of the list's candidates with which the sum of weights exceeds `target`; one must.
DEVICE i32 crossing(SampleShared& shared, i32 count, u64 target, const CandidateWeight& weight, bool by_id) {
    const i32 share = (count + SAMPLE_THREADS - 1) / SAMPLE_THREADS;
    const i32 first = static_cast<i32>(threadIdx.x) * share;
    const i32 end = first + share < count ? first + share : count;
    u64 mine = 0;
    ROLLED
    for (i32 i = first; i < end; i++) mine += weight(listed(shared, i, by_id));
    u64 total;
    u64 sum = block_scan(shared, mine, total);
    if (sum <= target && sum + mine > target) {
        i32 at = first;
        ROLLED
        while ((sum += weight(listed(shared, at, by_id))) <= target) at++;
        shared.found = at;
    }
    block_sync();
    return shared.found;
}

/// Draws from the list, which holds the `count` best and all that top-k or top-p keep; `total` is the mass of all candidates
/// unless top-k is on.
DEVICE i32 draw_from_list(SampleShared& shared, i32 count, i32 top_k, u64 total, const CandidateWeight& kept) {
    const CandidateWeight all = kept.whatever_min_p();
    const f32 top_p = shared.draw.top_p;
    if (top_k > 0) {
        count = top_k < count ? top_k : count;
        if (top_p < 1) total = sum_of_list(shared, count, all);
    }
    const bool by_id = top_p >= 1;
    if (!by_id) count = crossing(shared, count, nucleus_of(top_p, total) - 1, all, false) + 1;
    const u64 target = part_of(shared.fraction, sum_of_list(shared, count, kept));
    if (by_id) {
        for (i32 i = threadIdx.x; i < count; i += SAMPLE_THREADS) shared.list[i] = exchanged(shared.list[i]);
        sort_list(shared, count);
    }
    return id_of(listed(shared, crossing(shared, count, target, kept, by_id), by_id));
}

/// The rank in [low, high] with which the sum of weights of the row's candidates, from `high` down, exceeds `target`; `low` if
/// none does. Each pass weighs up to eight pieces of the range and goes on with one.
DEVICE u64 find_rank(SampleShared& shared, const CandidateRow& row, u64 low, u64 high, u64 target,
                     const CandidateWeight& weight) {
    while (true) {
        i32 shift = 0;
        while ((high - low) >> shift >= SAMPLE_PIECES) shift++;
        u64 sum[SAMPLE_PIECES] = {};             // with the pieces before
        u32 counts[SAMPLE_PIECES / 2] = {};      // likewise, two in a word: a warp has at most 2¹⁴ candidates
        row.each([&](u64 rank) {
            if (rank < low || rank > high) return;
            const i32 piece = static_cast<i32>((high - rank) >> shift);
            const u64 mine = weight(rank);
            UNROLL
            for (i32 p = 0; p < SAMPLE_PIECES; p++) {
                sum[p] += piece <= p ? mine : 0;
                counts[p / 2] += piece <= p ? 1u << 16 * (p % 2) : 0;
            }
        });
        block_sync();
        if (threadIdx.x < SAMPLE_PIECES) {
            shared.mass[threadIdx.x] = 0;
            shared.count[threadIdx.x] = 0;
        }
        block_sync();
        UNROLL
        for (i32 p = 0; p < SAMPLE_PIECES; p++) {
            const u64 mass = warp_total(sum[p]);
            const u32 count = warp_total(counts[p / 2]) >> 16 * (p % 2) & 0xffffu;
            if (lane_id() == 0) {
                atomic_add(&shared.mass[p], mass);
                atomic_add(&shared.count[p], static_cast<i32>(count));
            }
        }
        block_sync();
        i32 piece = 0;
        while (piece < SAMPLE_PIECES && shared.mass[piece] <= target) piece++;
        if (piece == SAMPLE_PIECES) return low;
        const i32 inside = shared.count[piece] - (piece > 0 ? shared.count[piece - 1] : 0);
        target -= piece > 0 ? shared.mass[piece - 1] : 0;
        high -= static_cast<u64>(piece) << shift;
        const u64 width = (static_cast<u64>(1) << shift) - 1;
        if (high - low > width) low = high - width;
        if (inside <= SAMPLE_LIST) {
            gather(shared, row, low, high, [](u64) {});
            return shared.list[crossing(shared, inside, target, weight, false)];
        }
    }
}

/// The filter or draw that comes next where a row is narrowed without a list.
enum SampleStage : i32 { TOP_K, TOP_P, DRAW };

/// As draw_from_list, without a list: the rank drawn, or, where the draw goes by id, the lowest that top-k keeps.
DEVICE u64 narrow_row(SampleShared& shared, const CandidateRow& row, u64 top, i32 top_k, const CandidateWeight& kept) {
    u64 low = 1;
    ROLLED
    for (i32 stage = top_k > 0 ? TOP_K : TOP_P; stage <= (shared.draw.top_p < 1 ? DRAW : TOP_K); stage++) {
        CandidateWeight weight = stage == DRAW ? kept : kept.whatever_min_p();
        weight.ones = stage == TOP_K;
        u64 target = static_cast<u64>(top_k) - 1;
        if (stage != TOP_K) {
            u64 sum = 0;
            row.each([&](u64 rank) {
                if (rank >= low) sum += weight(rank);
            });
            sum = block_sum(shared, sum);
            target = stage == DRAW ? part_of(shared.fraction, sum) : nucleus_of(shared.draw.top_p, sum) - 1;
        }
        low = find_rank(shared, row, low, top, target, weight);
    }
    return low;
}

/// The candidate of rank `low` or higher, by id, with which the sum of weights exceeds the fraction of all: the warps weigh 32
/// neighbouring parts of the row, then of the part that matters, until it is one quad.
DEVICE i32 draw_by_id(SampleShared& shared, const CandidateRow& row, u64 low, const CandidateWeight& weight) {
    i32 begin = 0, end = (row.vocabulary + QUAD - 1) / QUAD * QUAD;
    u64 target = 0;
    ROLLED
    for (bool first = true; first || end - begin > QUAD; first = false) {
        const i32 part = (end - begin + WARP * QUAD - 1) / (WARP * QUAD) * QUAD;
        const i32 from = begin + warp_id() * part;
        u64 sum = 0;
        row.each(from + lane_id() * QUAD, from + part < end ? from + part : end, WARP * QUAD, [&](u64 rank) {
            if (rank >= low) sum += weight(rank);
        });
        sum = warp_total(sum);
        if (lane_id() == 0) shared.partial[warp_id()] = sum;
        block_sync();
        const u64 mine = shared.partial[lane_id()];
        const u64 sums = warp_scan(mine);
        if (first) target = part_of(shared.fraction, shuffle(sums, WARP - 1));
        const u32 beyond = vote(sums > target);
        const i32 chosen = count_bits((beyond & (0u - beyond)) - 1);
        target -= shuffle(sums - mine, chosen);
        begin += chosen * part;
        end = begin + part < end ? begin + part : end;
        block_sync();
    }
    i32 id = -1;
    row.each(begin, end, QUAD, [&](u64 rank) {
        const u64 mine = rank >= low ? weight(rank) : 0;
        if (id < 0 && mine > target) id = id_of(rank);
        else if (id < 0) target -= mine;
    });
    return id;
}

/// Draws at a temperature; `mine` is the thread's best candidate and `top` the row's.
DEVICE i32 draw_token(SampleShared& shared, const CandidateRow& row, u64 mine, u64 top) {
    const Draw& draw = shared.draw;
    const CandidateWeight kept = {logit_of(top), 1.0f / draw.temperature, draw.min_p, false};
    const i32 top_k = draw.top_k < row.vocabulary ? draw.top_k : 0;
    u64 low = 1;
    if (top_k > 0 || draw.top_p < 1) {
        shared.list[threadIdx.x] = mine;
        sort_list(shared, SAMPLE_THREADS);
        const u64 bound = shared.list[(top_k > 0 && top_k < SAMPLE_BOUND ? top_k : SAMPLE_BOUND) - 1];
        const CandidateWeight all = kept.whatever_min_p();
        u64 mass = 0;
        const i32 count = gather(shared, row, bound == 0 ? 1 : bound, top, [&](u64 rank) {
            if (top_k == 0) mass += all(rank);
        });
        const u64 total = block_sum(shared, mass);
        bool enough = count <= SAMPLE_LIST;
        if (enough && bound != 0) {
            enough = top_k > 0 ? count >= top_k : sum_of_list(shared, count, all) >= nucleus_of(draw.top_p, total);
        }
        if (enough) return draw_from_list(shared, count, top_k, total, kept);
        low = narrow_row(shared, row, top, top_k, kept);
        if (draw.top_p < 1) return id_of(low);
    }
    return draw_by_id(shared, row, low, kept);
}

/// The lowest id that has a token.
DEVICE i32 first_allowed(SampleShared& shared, const CandidateRow& row) {
    u64 first = 0;  // ones' complement of the id
    for (i32 w = threadIdx.x; w < (row.vocabulary + 31) / 32 && first == 0; w += SAMPLE_THREADS) {
        const u32 bits = row.allowed[w];
        if (bits != 0) first = ~static_cast<u32>(32 * w + count_bits((bits & (0u - bits)) - 1));
    }
    first = block_largest(shared, first);
    return first == 0 ? 0 : id_of(first);
}

//! kernel sample(SampleArgs) block 1024 shared 33184 grid [window_rows] dtypes f32 archs all
KERNEL(sample, SampleArgs, SAMPLE_THREADS) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    const i32 index = static_cast<i32>(blockIdx.x);
    if (index >= step->window_rows) return;
    const i32 output = step->window_from + index;
    SampleShared& shared = shared_memory<SampleShared>();
    if (threadIdx.x == 0) {
        shared.draw = step_array<Draw>(step, step->at_draws)[output];
        shared.fraction = philox_fraction(shared.draw.seed, shared.draw.position);
    }
    block_sync();
    const Draw& draw = shared.draw;
    const bool penalises =
        draw.slot >= 0 && (draw.repetition_penalty != 1 || draw.presence_penalty != 0 || draw.frequency_penalty != 0);
    const u32* counts = reinterpret_cast<const u32*>(args.counts) + static_cast<i64>(draw.slot) * args.counts_stride;
    const CandidateRow row = {reinterpret_cast<const f32*>(args.logits) + static_cast<i64>(index) * args.logits_stride,
                              reinterpret_cast<const u32*>(args.allowed), penalises ? counts : nullptr, &shared.draw,
                              args.vocabulary};
    u64 best = 0;
    row.each([&](u64 rank) { best = rank > best ? rank : best; });
    const u64 top = block_largest(shared, best);
    i32 token;
    if (top == 0) {
        token = first_allowed(shared, row);
        if (threadIdx.x == 0) atomic_or(reinterpret_cast<u32*>(args.error), NO_CANDIDATE);
    } else if (draw.temperature == 0) {
        token = id_of(top);
    } else {
        token = draw_token(shared, row, best, top);
    }
    if (threadIdx.x == 0) reinterpret_cast<i32*>(args.tokens)[output] = token;
}
