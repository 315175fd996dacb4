// Gated delta rule in chunks, first half (spec 4.3 steps 5–7, 4.5): everything of a chunk that does not depend on the state.
// A block takes one chunk of C tokens and one key head, and does once for all value heads of that head the norms, KKᵀ and
// QKᵀ; then for each value head, four at a time, gates, the triangular inverse and the gated QKᵀ, left as a DeltaChunk for
// delta_scan.
// Keys and queries are brought near unit length by a power of two only, which is exact in fp16; what is missing of the norm
// multiplies products in fp32, so that norms cost no precision. The `exact` variant leaves them in bf16 as they are.
// The inverse: forward substitution in fp32 on 16×16 diagonal blocks, then T[i][j] = −T[i][i] Σ A[i][k] T[k][j] block by block
// on tensor cores, each operand as the sum of two fp16, which leaves an error near 1e-7 since |T| ≤ 1. Never a power series:
// its terms grow to 1e17 for correlated keys. Running sums of log-decays carry their rounding error in a second fp32, so that
// slow gates next to a fast one keep theirs. Tokens beyond the sequence are zero keys with g = β = 0.
#include "common/delta.cuh"

struct DeltaPrepareArgs {
    u64 step;              // Step
    u64 convolved;         // bf16 [rows, convolved_stride]: q, k by key head, then v
    u64 projected;         // bf16 [rows, projected_stride]: b and a are its last columns
    u64 log_rate;          // f32 [value_heads]: A_log
    u64 bias;              // f32 [value_heads]: dt_bias
    u64 scaled;            // fp16 [rows, 2 × key_heads × 128]: q, k near unit length; not touched by `exact`
    u64 chunks;            // DeltaChunk [chunks, value_heads]
    i32 key_heads;
    i32 value_heads;
    i32 convolved_stride;
    i32 projected_stride;
};

/// A running sum of log-decays: the value and what its rounding left.
template <i32 C>
struct ChunkGates {
    f32 high[C], low[C], beta[C];
};

/// A[i][j] of one value head: on the diagonal fp32, replaced by its inverse as two fp16 tiles; below it two fp16 tiles.
template <i32 C>
struct ChunkBlocks {
    static constexpr i32 BANDS = C / 16;
    static constexpr i32 BELOW = BANDS * (BANDS - 1) / 2;
    u16 below[BELOW][2][TILE_ELEMENTS];
    union Diagonal {
        f32 a[TILE_ELEMENTS];
        u16 inverse[2][TILE_ELEMENTS];
    } diagonal[BANDS];
};

template <i32 C>
struct PrepareShared {
    union {
        u16 rows[2][C * DELTA_DIM];  // q, k; done with before the blocks are built
        ChunkBlocks<C> blocks[DELTA_GROUP];
    };
    f32 products[2][LOWER_TILES<C>][TILE_ELEMENTS];  // q·k with the query scale, k·k
    f32 scale[2][C];                                 // what a stored row must be multiplied by
    ChunkGates<C> gates[DELTA_GROUP];
};

/// A chunk as its block sees it.
struct ChunkPlace {
    i64 row;        // its first row in the step
    i32 rows;       // tokens, at most C
    i32 key_head;
    i32 head;       // first value head that is worked on
    i32 group;      // value heads that are worked on, at most DELTA_GROUP
    i32 end;        // first value head of the next key head
};

template <i32 C, bool EXACT>
struct Prepare {
    static constexpr i32 WARPS = C / 8;
    static constexpr i32 BANDS = C / 16;
    static constexpr i32 PARTS = EXACT ? 2 : 1;
    using Chunk = DeltaChunk<C, PARTS>;
    using Shared = PrepareShared<C>;

    const DeltaPrepareArgs& args;
    Shared& shared;
    ChunkPlace place;

    /// Half a warp takes a row of q, the other half the same row of k: norms, and the rows as tensor-core operands.
    DEVICE void load_rows() const {
        i32 part = lane_id() >> 4, piece = lane_id() & 15;
        i64 column = (static_cast<i64>(part) * args.key_heads + place.key_head) * DELTA_DIM + piece * 8;
        const bf16* convolved = reinterpret_cast<const bf16*>(args.convolved) + column;
        u16* scaled = reinterpret_cast<u16*>(args.scaled) + column;
        constexpr i32 AHEAD = 4;
        for (i32 first = warp_id(); first < C; first += AHEAD * WARPS) {
            Vec16 raw[AHEAD];
            UNROLL
            for (i32 n = 0; n < AHEAD; n++) {
                i32 row = first + n * WARPS;
                raw[n] = row < place.rows ? load16(convolved + (place.row + row) * args.convolved_stride) : Vec16{{0, 0, 0, 0}};
            }
            UNROLL
            for (i32 n = 0; n < AHEAD; n++) {
                i32 row = first + n * WARPS;
                f32 scale = norm_row(raw[n]);
                store16(shared.rows[part] + wide_piece(row, piece), raw[n]);
                if (piece == 0) shared.scale[part][row] = scale;
                if (!EXACT && row < place.rows) store16(scaled + (place.row + row) * 2 * args.key_heads * DELTA_DIM, raw[n]);
            }
        }
    }

    /// Turns half a warp's row into an operand and returns what its products must be multiplied by.
    DEVICE static f32 norm_row(Vec16& raw) {
        f32 x[8], sum = 0;
        widen8(x, raw);
        UNROLL
        for (i32 i = 0; i < 8; i++) sum = fma32(x[i], x[i], sum);
        UNROLL
        for (i32 apart = 8; apart > 0; apart /= 2) sum += shuffle_xor(sum, apart);
        f32 inverse = inverse_root(sum + DELTA_EPS);
        if constexpr (EXACT) return inverse;
        f32 power = bits_float(float_bits(inverse) & 0x7f800000u);
        UNROLL
        for (i32 i = 0; i < 4; i++) raw.word[i] = pack_f16(x[2 * i] * power, x[2 * i + 1] * power);
        return inverse / power;
    }

    /// a + b with the error of the sum.
    DEVICE static Pair add(Pair a, Pair b) {
        f32 sum = a.x + b.x;
        f32 taken = sum - a.x;
        f32 rest = (a.x - (sum - taken)) + (b.x - taken) + (a.y + b.y);
        f32 high = sum + rest;
        return {high, rest - (high - sum)};
    }

    /// β and running sums of log-decays; a warp for each value head.
    DEVICE void load_gates() const {
        constexpr i32 TOKENS = C / WARP;
        i32 head = place.head + warp_id();
        if (warp_id() >= place.group) return;
        const bf16* b = reinterpret_cast<const bf16*>(args.projected) + head +
                        2 * DELTA_DIM * (args.key_heads + args.value_heads);
        const bf16* a = b + args.value_heads;
        f32 log_rate = reinterpret_cast<const f32*>(args.log_rate)[head];
        f32 bias = reinterpret_cast<const f32*>(args.bias)[head];
        ChunkGates<C>& gates = shared.gates[warp_id()];
        Pair sums[TOKENS];
        UNROLL
        for (i32 i = 0; i < TOKENS; i++) {
            i32 token = lane_id() * TOKENS + i;
            bool live = token < place.rows;
            i64 at = (place.row + (live ? token : 0)) * args.projected_stride;
            f32 decay = log_decay(log_rate, to_float(a[at]), bias);
            sums[i] = {live ? decay : 0.0f, 0.0f};
            if (i > 0) sums[i] = add(sums[i - 1], sums[i]);
            gates.beta[token] = live ? sigmoid(to_float(b[at])) : 0.0f;
        }
        Pair total = sums[TOKENS - 1];
        UNROLL
        for (i32 by = 1; by < WARP; by *= 2) {
            Pair below = {shuffle_up(total.x, by), shuffle_up(total.y, by)};
            if (lane_id() >= by) total = add(below, total);
        }
        Pair before = {shuffle_up(total.x, 1), shuffle_up(total.y, 1)};
        if (lane_id() == 0) before = {0.0f, 0.0f};
        UNROLL
        for (i32 i = 0; i < TOKENS; i++) {
            Pair sum = add(before, sums[i]);
            gates.high[lane_id() * TOKENS + i] = sum.x;
            gates.low[lane_id() * TOKENS + i] = sum.y;
        }
    }

    /// QKᵀ and KKᵀ on and below the diagonal: each warp sixteen rows of one of them.
    DEVICE void multiply_rows() const {
        i32 part = warp_id() & 1, band = warp_id() >> 1;
        f32 sums[C / 8][4] = {};
        UNROLL
        for (i32 k = 0; k < DELTA_DIM / 16; k++) {
            u32 a[4], b[4];
            load_tiles(a, shared.rows[part] + wide_piece(band * 16 + (lane_id() & 15), 2 * k + (lane_id() >> 4)));
            UNROLL
            for (i32 n = 0; n < BANDS; n++) {
                if (n > band) continue;
                load_tiles(b, shared.rows[1] + wide_piece(n * 16 + lane_tile_row(), 2 * k + lane_tile_half()));
                multiply(sums[2 * n], a, b[0], b[1]);
                multiply(sums[2 * n + 1], a, b[2], b[3]);
            }
        }
        i32 row = lane_id() >> 2, column = 2 * (lane_id() & 3);
        f32 upper = shared.scale[part][band * 16 + row] * (part == 0 ? DELTA_SCALE : 1.0f);
        f32 lower = shared.scale[part][band * 16 + row + 8] * (part == 0 ? DELTA_SCALE : 1.0f);
        UNROLL
        for (i32 n = 0; n < C / 8; n++) {
            if (n / 2 > band) continue;
            f32 left = shared.scale[1][n * 8 + column], right = shared.scale[1][n * 8 + column + 1];
            f32* to = shared.products[part][lower_tile(band, n / 2)] + row * 16 + n % 2 * 8 + column;
            *reinterpret_cast<Pair*>(to) = {sums[n][0] * upper * left, sums[n][1] * upper * right};
            *reinterpret_cast<Pair*>(to + 8 * 16) = {sums[n][2] * lower * left, sums[n][3] * lower * right};
        }
    }

    DEVICE static void multiply(f32 (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        if constexpr (EXACT) {
            mma_bf16(sum, a, b0, b1);
        } else {
            mma_f16(sum, a, b0, b1);
        }
    }

    DEVICE Chunk& chunk(i32 head) const {
        i64 index = static_cast<i64>(blockIdx.x) * args.value_heads + place.head + head;
        return reinterpret_cast<Chunk*>(args.chunks)[index];
    }

    /// Eight columns of a tile's row in fp16, and what the rounding left.
    DEVICE static void split8(Vec16& high, Vec16& low, const f32 (&x)[8]) {
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            high.word[i] = pack_f16(x[2 * i], x[2 * i + 1]);
            Pair kept = unpack_f16(high.word[i]);
            low.word[i] = pack_f16(x[2 * i] - kept.x, x[2 * i + 1] - kept.y);
        }
    }

    /// Two values in the chunk's format; `low` is their rest where the format has one.
    DEVICE static u32 encode(f32 x, f32 y, u32& low) {
        if constexpr (!EXACT) return pack_f16(x, y);
        u32 high = pack_bf16(x, y);
        Pair kept = unpack_bf16(high);
        low = pack_bf16(x - kept.x, y - kept.y);
        return high;
    }

    /// A and the gated QKᵀ, a tile a warp: a lane eight columns of a row. The mask comes before the exponential: above the
    /// diagonal its argument could be anything.
    DEVICE void gate_tile(i32 head, i32 band, i32 column) const {
        i32 row = lane_id() >> 1, half = lane_id() & 1;
        i32 tile = lower_tile(band, column), at = row * 16 + half * 8, i = band * 16 + row;
        const ChunkGates<C>& gates = shared.gates[head];
        f32 a[8], read[8];
        UNROLL
        for (i32 e = 0; e < 8; e++) {
            i32 j = column * 16 + half * 8 + e;
            f32 apart = (gates.high[i] - gates.high[j]) + (gates.low[i] - gates.low[j]);
            f32 decay = exponential(j <= i ? apart : 0.0f);
            read[e] = j <= i ? shared.products[0][tile][at + e] * decay : 0.0f;
            a[e] = j < i ? shared.products[1][tile][at + e] * decay * gates.beta[i] : 0.0f;
        }
        Vec16 high, low;
        UNROLL
        for (i32 n = 0; n < 4; n++) high.word[n] = encode(read[2 * n], read[2 * n + 1], low.word[n]);
        store16(chunk(head).read[0][tile] + tile_half(row, half), high);
        if constexpr (EXACT) store16(chunk(head).read[1][tile] + tile_half(row, half), low);
        ChunkBlocks<C>& blocks = shared.blocks[head];
        if (band == column) {
            UNROLL
            for (i32 e = 0; e < 8; e++) blocks.diagonal[band].a[at + e] = a[e];
        } else {
            split8(high, low, a);
            u16(&below)[2][TILE_ELEMENTS] = blocks.below[lower_tile(band - 1, column)];
            store16(below[0] + tile_half(row, half), high);
            store16(below[1] + tile_half(row, half), low);
        }
    }

    DEVICE void gate_tiles() const {
        for (i32 unit = warp_id(); unit < place.group * LOWER_TILES<C>; unit += WARPS) {
            i32 tile = unit % LOWER_TILES<C>, band = 0;
            while (lower_tile(band + 1, 0) <= tile) band++;
            gate_tile(unit / LOWER_TILES<C>, band, tile - lower_tile(band, 0));
        }
    }

    DEVICE void write_factors() const {
        for (i32 unit = static_cast<i32>(threadIdx.x); unit < place.group * C; unit += WARPS * WARP) {
            i32 head = unit / C, token = unit % C;
            const ChunkGates<C>& gates = shared.gates[head];
            f32 past = exponential(gates.high[token] + gates.low[token]);
            f32 rest = exponential((gates.high[C - 1] - gates.high[token]) + (gates.low[C - 1] - gates.low[token]));
            Chunk& to = chunk(head);
            to.beta[token] = gates.beta[token];
            to.predict[token] = past * shared.scale[1][token];
            to.query[token] = past * shared.scale[0][token] * DELTA_SCALE;
            to.update[token] = rest * shared.scale[1][token];
            if (token == C - 1) to.decay = past;
        }
    }

    /// Inverts two diagonal blocks of I + A, half a warp each, a lane a column.
    DEVICE void invert_blocks() const {
        i32 column = lane_id() & 15;
        for (i32 unit = warp_id(); unit < place.group * BANDS / 2; unit += WARPS) {
            i32 block = 2 * unit + (lane_id() >> 4), head = block / BANDS, band = block % BANDS;
            typename ChunkBlocks<C>::Diagonal& diagonal = shared.blocks[head].diagonal[band];
            f32 x[16];
            UNROLL
            for (i32 i = 0; i < 16; i++) {
                x[i] = i == column ? 1.0f : 0.0f;
                UNROLL
                for (i32 k = 0; k < i; k++) x[i] = fma32(-diagonal.a[i * 16 + k], x[k], x[i]);
            }
            warp_sync();
            Chunk& to = chunk(head);
            UNROLL
            for (i32 i = 0; i < 16; i++) {
                i32 at = tile_half(i, column >> 3) + (column & 7);
                u32 high = pack_f16(x[i], 0.0f), low = 0;
                diagonal.inverse[0][at] = static_cast<u16>(high);
                diagonal.inverse[1][at] = static_cast<u16>(pack_f16(x[i] - unpack_f16(high).x, 0.0f));
                to.solve[0][lower_tile(band, band)][at] = static_cast<u16>(encode(x[i], 0.0f, low));
                if constexpr (EXACT) to.solve[1][lower_tile(band, band)][at] = static_cast<u16>(low);
            }
        }
    }

    /// sum += a · b for 16×16 tiles, each the sum of two; b's tiles lie in shared memory and are taken transposed.
    DEVICE static void add_product(f32 (&sum)[2][4], const u32 (&a)[2][4], const u16 (&b)[2][TILE_ELEMENTS]) {
        i32 from = tile_half(lane_tile_row(), lane_tile_half());
        u32 high[4], low[4];
        load_tiles(high, b[0] + from);
        load_tiles(low, b[1] + from);
        UNROLL
        for (i32 n = 0; n < 2; n++) {
            mma_f16(sum[n], a[1], high[2 * n], high[2 * n + 1]);
            mma_f16(sum[n], a[0], low[2 * n], low[2 * n + 1]);
            mma_f16(sum[n], a[0], high[2 * n], high[2 * n + 1]);
        }
    }

    /// A product of 16×16 as the left operand of the next: two fp16 for each value.
    DEVICE static void split_product(u32 (&to)[2][4], const f32 (&sum)[2][4]) {
        UNROLL
        for (i32 n = 0; n < 4; n++) {
            f32 x = sum[n / 2][n % 2 * 2], y = sum[n / 2][n % 2 * 2 + 1];
            to[0][n] = pack_f16(x, y);
            Pair kept = unpack_f16(to[0][n]);
            to[1][n] = pack_f16(x - kept.x, y - kept.y);
        }
    }

    /// The blocks of T below the diagonal in one column, from the top down. They are made transposed: the result of a product
    /// then lies in registers as the left operand of the next, T[i][j]ᵀ = −(Σ T[k][j]ᵀ A[i][k]ᵀ) T[i][i]ᵀ.
    DEVICE void solve_column(i32 head, i32 column) const {
        const ChunkBlocks<C>& blocks = shared.blocks[head];
        i32 from = tile_half(lane_tile_row(), lane_tile_half());
        u32 solved[BANDS][2][4] = {};
        UNROLL
        for (i32 j = 0; j < BANDS; j++) {
            if (j != column) continue;
            load_tiles_transposed(solved[j][0], blocks.diagonal[j].inverse[0] + from);
            load_tiles_transposed(solved[j][1], blocks.diagonal[j].inverse[1] + from);
        }
        UNROLL
        for (i32 i = 1; i < BANDS; i++) {
            if (i <= column) continue;
            f32 sum[2][4] = {}, result[2][4] = {};
            UNROLL
            for (i32 k = 0; k < i; k++) {
                if (k >= column) add_product(sum, solved[k], blocks.below[lower_tile(i - 1, k)]);
            }
            UNROLL
            for (i32 n = 0; n < 8; n++) sum[n / 4][n % 4] = -sum[n / 4][n % 4];
            u32 operand[2][4];
            split_product(operand, sum);
            add_product(result, operand, blocks.diagonal[i].inverse);
            split_product(solved[i], result);
            store_transposed(chunk(head), lower_tile(i, column), result);
        }
    }

    DEVICE static void store_transposed(Chunk& to, i32 tile, const f32 (&result)[2][4]) {
        UNROLL
        for (i32 n = 0; n < 4; n++) {
            u32 low = 0;
            u32 high = encode(result[n / 2][n % 2 * 2], result[n / 2][n % 2 * 2 + 1], low);
            i32 at = tile_half(n / 2 * 8 + (lane_id() >> 2), n % 2) + 2 * (lane_id() & 3);
            *reinterpret_cast<u32*>(to.solve[0][tile] + at) = transpose_tile(high);
            if constexpr (EXACT) *reinterpret_cast<u32*>(to.solve[1][tile] + at) = transpose_tile(low);
        }
    }

    /// What each value head needs for itself; `products` are there.
    DEVICE void finish_heads() const {
        gate_tiles();
        write_factors();
        block_sync();
        invert_blocks();
        block_sync();
        for (i32 unit = warp_id(); unit < place.group * (BANDS - 1); unit += WARPS) {
            solve_column(unit / (BANDS - 1), unit % (BANDS - 1));
        }
    }

    DEVICE void run() {
        load_rows();
        load_gates();
        block_sync();
        multiply_rows();
        block_sync();
        finish_heads();
        for (place.head += DELTA_GROUP; place.head < place.end; place.head += DELTA_GROUP) {
            place.group = place.end - place.head < DELTA_GROUP ? place.end - place.head : DELTA_GROUP;
            block_sync();
            load_gates();
            block_sync();
            finish_heads();
        }
    }
};

template <i32 C, bool EXACT>
DEVICE void prepare_chunk(const DeltaPrepareArgs& args) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    Tile tile = find_tile(step, static_cast<i32>(blockIdx.x), C);
    if (tile.sequence < 0) return;
    i32 key_head = static_cast<i32>(blockIdx.y);
    i32 heads = args.value_heads / args.key_heads, head = key_head * heads;
    i64 row = step_array(step, step->at_row_start)[tile.sequence] + tile.first;
    ChunkPlace place = {row, tile.rows, key_head, head, heads < DELTA_GROUP ? heads : DELTA_GROUP, head + heads};
    Prepare<C, EXACT>{args, shared_memory<PrepareShared<C>>(), place}.run();
}

static_assert(sizeof(DeltaChunk<64, 1>) == 11280 && sizeof(DeltaChunk<32, 1>) == 3600, "as the launcher sizes its workspace");
static_assert(sizeof(DeltaChunk<32, 2>) == 6672, "as the launcher sizes its workspace");
static_assert(sizeof(PrepareShared<64>) == 65024 && sizeof(PrepareShared<32>) == 24320, "as the heads say");

//! kernel delta_prepare_c64(DeltaPrepareArgs) block 256 shared 65024 grid [chunks, key heads] dtypes bf16 archs all
KERNEL_OCCUPANCY(delta_prepare_c64, DeltaPrepareArgs, 256, 2) {
    prepare_chunk<64, false>(args);
}

//! kernel delta_prepare_c32(DeltaPrepareArgs) block 128 shared 24320 grid [chunks, key heads] dtypes bf16 archs all
KERNEL(delta_prepare_c32, DeltaPrepareArgs, 128) {
    prepare_chunk<32, false>(args);
}

//! kernel delta_prepare_exact(DeltaPrepareArgs) block 128 shared 24320 grid [chunks, key heads] dtypes bf16 archs all
KERNEL(delta_prepare_exact, DeltaPrepareArgs, 128) {
    prepare_chunk<32, true>(args);
}
