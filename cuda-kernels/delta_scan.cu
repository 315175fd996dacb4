// Gated delta rule in chunks, second half (spec 4.3 step 8, 4.5): the walk over a sequence's chunks, which alone is serial. The
// state is held transposed, value rows × keys, in fp32 accumulators, and a warp owns 16 value rows of one head from the
// first token to the last: every product of the chain then has the value dimension on the left, where the accumulators of one
// product are the left operand of the next, and nothing crosses warps. Of a chunk (K, Q, V and the DeltaChunk of
// delta_prepare; all through asynchronous copies some chunks ahead):
//   W = β ⊙ (V − predict ⊙ KS),  U = solve · W,  O = query ⊙ QS + read · U,  S ← decay · S + Kᵀ(update ⊙ U).
// Operands are fp16, sums fp32, V enters as the bf16 it is; relative error near 4e-4. The `exact` variant gives S, W, U and
// the two matrices as pairs of bf16, K and Q as they are: near 5e-6 and three products for one. O is rounded to bf16 once.
// How heads are split over blocks (warps a block: 4, 2 or 1) cannot change a bit of the result.
#include "common/delta.cuh"

struct DeltaScanArgs {
    u64 step;              // Step
    u64 dst;               // bf16 [rows, dst_stride]: o of each value head
    u64 scaled;            // 16-bit [rows, scaled_stride]: q, then k by key head: of delta_prepare; `exact`: the convolved rows
    u64 convolved;         // bf16 [rows, convolved_stride]: q, k by key head, v by value head
    u64 chunks;            // DeltaChunk [chunks, value_heads]
    u64 state;             // f32 [slot][value_head][value 128][key 128], in place
    i32 key_heads;
    i32 value_heads;
    i32 dst_stride;
    i32 scaled_stride;
    i32 convolved_stride;
    i32 padding;
};

/// A form of the scan. STAGES chunks are in shared memory or on their way.
template <i32 C_, i32 WARPS_, i32 STAGES_, bool EXACT_>
struct ScanForm {
    static constexpr i32 C = C_, WARPS = WARPS_, STAGES = STAGES_;
    static constexpr bool EXACT = EXACT_;
    static constexpr i32 PARTS = EXACT_ ? 2 : 1;
    /// Sixteen-byte pieces of a row of V, and rows before the banks repeat.
    static constexpr i32 PIECES = 2 * WARPS_;
    static constexpr i32 LINE_ROWS = 8 / PIECES;
    static_assert(PIECES <= 8, "more than four warps would need another exchange of V's pieces");
};

template <class F>
struct ScanStage {
    u16 keys[F::C * DELTA_DIM];
    u16 queries[F::C * DELTA_DIM];
    DeltaChunk<F::C, F::PARTS> chunk;
    u16 values[F::C * F::WARPS * 16];
};

template <class F>
struct ScanShared {
    ScanStage<F> stage[F::STAGES];
};

/// The left operand of a product, 16×16: fp16, or bf16 and its rest.
template <class F>
struct ScanOperand {
    u32 part[F::PARTS][4];

    DEVICE void set(i32 n, f32 x, f32 y) {
        if constexpr (F::EXACT) {
            part[0][n] = pack_bf16(x, y);
            Pair kept = unpack_bf16(part[0][n]);
            part[1][n] = pack_bf16(x - kept.x, y - kept.y);
        } else {
            part[0][n] = pack_f16(x, y);
        }
    }
};

/// A sequence as a block sees it: one head, 16 value rows a warp.
struct ScanPlace {
    i64 row;        // its first row in the step
    i32 rows;
    i64 chunk;      // its first chunk
    i32 key_head;
    i32 head;
    i32 value;      // first value row of the block
};

template <class F>
struct Scan {
    static constexpr i32 C = F::C;
    static constexpr i32 BANDS = C / 16;
    static constexpr i32 THREADS = F::WARPS * WARP;
    using Stage = ScanStage<F>;
    using Chunk = DeltaChunk<C, F::PARTS>;
    using Operand = ScanOperand<F>;

    const DeltaScanArgs& args;
    ScanShared<F>& shared;
    ScanPlace place;

    DEVICE static i32 value_piece(i32 row, i32 piece) {
        return row * F::PIECES * 8 + (piece ^ (row / F::LINE_ROWS & (F::PIECES - 1))) * 8;
    }

    /// Starts the copies of a chunk; tokens beyond the sequence become zeros. Closes the group, also past the last chunk.
    DEVICE void fetch(i32 index) const {
        if (index * C < place.rows) {
            Stage& to = shared.stage[index % F::STAGES];
            i32 first = index * C, live = place.rows - first, thread = static_cast<i32>(threadIdx.x);
            const u16* queries = reinterpret_cast<const u16*>(args.scaled) + (place.row + first) * args.scaled_stride +
                                 place.key_head * DELTA_DIM;
            const u16* values = reinterpret_cast<const u16*>(args.convolved) + (place.row + first) * args.convolved_stride +
                                2 * args.key_heads * DELTA_DIM + place.head * DELTA_DIM + place.value;
            const i32 keys = args.key_heads * DELTA_DIM;
            UNROLL
            for (i32 n = 0; n < C * 16 / THREADS; n++) {
                i32 row = (n * THREADS + thread) >> 4, piece = thread & 15;
                i64 from = (row < live ? static_cast<i64>(row) * args.scaled_stride : 0) + piece * 8;
                copy_async16(to.keys + wide_piece(row, piece), queries + keys + from, row < live);
                copy_async16(to.queries + wide_piece(row, piece), queries + from, row < live);
            }
            UNROLL
            for (i32 n = 0; n < C * F::PIECES / THREADS; n++) {
                i32 row = (n * THREADS + thread) / F::PIECES, piece = thread % F::PIECES;
                i64 from = (row < live ? static_cast<i64>(row) * args.convolved_stride : 0) + piece * 8;
                copy_async16(to.values + value_piece(row, piece), values + from, row < live);
            }
            const Chunk* chunk = reinterpret_cast<const Chunk*>(args.chunks) + (place.chunk + index) * args.value_heads + place.head;
            constexpr i32 WORDS = sizeof(Chunk) / 16;
            for (i32 n = thread; n < WORDS; n += THREADS) {
                copy_async16(reinterpret_cast<Vec16*>(&to.chunk) + n, reinterpret_cast<const Vec16*>(chunk) + n, true);
            }
        }
        copy_commit();
    }

    /// Two products, eight columns each, with a right operand that has one part.
    DEVICE static void add(f32 (&left)[4], f32 (&right)[4], const Operand& a, const u32 (&b)[4]) {
        if constexpr (F::EXACT) {
            mma_bf16(left, a.part[1], b[0], b[1]);
            mma_bf16(right, a.part[1], b[2], b[3]);
            mma_bf16(left, a.part[0], b[0], b[1]);
            mma_bf16(right, a.part[0], b[2], b[3]);
        } else {
            mma_f16(left, a.part[0], b[0], b[1]);
            mma_f16(right, a.part[0], b[2], b[3]);
        }
    }

    /// sum += a · Mᵀ for a lower triangular M in tiles; `a` has C columns.
    DEVICE static void add_triangle(
        f32 (&sum)[C / 8][4], const Operand (&a)[BANDS], const u16 (&m)[F::PARTS][LOWER_TILES<C>][TILE_ELEMENTS]) {
        i32 from = tile_half(lane_tile_row(), lane_tile_half());
        UNROLL
        for (i32 k = 0; k < BANDS; k++) {
            UNROLL
            for (i32 n = k; n < BANDS; n++) {
                u32 b[4];
                if constexpr (F::EXACT) {
                    load_tiles(b, m[1][lower_tile(n, k)] + from);
                    mma_bf16(sum[2 * n], a[k].part[0], b[0], b[1]);
                    mma_bf16(sum[2 * n + 1], a[k].part[0], b[2], b[3]);
                }
                load_tiles(b, m[0][lower_tile(n, k)] + from);
                add(sum[2 * n], sum[2 * n + 1], a[k], b);
            }
        }
    }

    /// (KS)ᵀ and (QS)ᵀ.
    DEVICE static void read_state(const Stage& stage, const f32 (&s)[16][4], f32 (&u)[C / 8][4], f32 (&o)[C / 8][4]) {
        UNROLL
        for (i32 k = 0; k < DELTA_DIM / 16; k++) {
            Operand a;
            UNROLL
            for (i32 n = 0; n < 4; n++) a.set(n, s[2 * k + n / 2][n % 2 * 2], s[2 * k + n / 2][n % 2 * 2 + 1]);
            UNROLL
            for (i32 n = 0; n < BANDS; n++) {
                i32 from = wide_piece(n * 16 + lane_tile_row(), 2 * k + lane_tile_half());
                u32 b[4];
                load_tiles(b, stage.keys + from);
                add(u[2 * n], u[2 * n + 1], a, b);
                load_tiles(b, stage.queries + from);
                add(o[2 * n], o[2 * n + 1], a, b);
            }
        }
    }

    /// Wᵀ from Vᵀ and (KS)ᵀ, which it clears; scales (QS)ᵀ. Factors belong to columns here: a lane has two in each half of an
    /// operand.
    DEVICE static void correct_values(const Stage& stage, Operand (&w)[BANDS], f32 (&u)[C / 8][4], f32 (&o)[C / 8][4]) {
        UNROLL
        for (i32 k = 0; k < BANDS; k++) {
            u32 v[4];
            load_tiles_transposed(v, stage.values + value_piece(k * 16 + lane_tile_row(), 2 * warp_id() + lane_tile_half()));
            UNROLL
            for (i32 h = 0; h < 2; h++) {
                i32 token = k * 16 + h * 8 + 2 * (lane_id() & 3);
                Pair beta = *reinterpret_cast<const Pair*>(stage.chunk.beta + token);
                Pair predict = *reinterpret_cast<const Pair*>(stage.chunk.predict + token);
                Pair query = *reinterpret_cast<const Pair*>(stage.chunk.query + token);
                f32(&sum)[4] = u[2 * k + h];
                UNROLL
                for (i32 r = 0; r < 2; r++) {
                    Pair value = unpack_bf16(v[2 * h + r]);
                    w[k].set(2 * h + r, beta.x * fma32(-predict.x, sum[2 * r], value.x),
                             beta.y * fma32(-predict.y, sum[2 * r + 1], value.y));
                    o[2 * k + h][2 * r] *= query.x;
                    o[2 * k + h][2 * r + 1] *= query.y;
                    sum[2 * r] = 0;
                    sum[2 * r + 1] = 0;
                }
            }
        }
    }

    /// Sᵀ ← decay · Sᵀ + (update ⊙ U)ᵀ K.
    DEVICE static void update_state(const Stage& stage, f32 (&s)[16][4], const f32 (&u)[C / 8][4]) {
        f32 decay = stage.chunk.decay;
        UNROLL
        for (i32 n = 0; n < 64; n++) s[n / 4][n % 4] *= decay;
        UNROLL
        for (i32 k = 0; k < BANDS; k++) {
            Operand a;
            UNROLL
            for (i32 h = 0; h < 2; h++) {
                Pair update = *reinterpret_cast<const Pair*>(stage.chunk.update + k * 16 + h * 8 + 2 * (lane_id() & 3));
                const f32(&sum)[4] = u[2 * k + h];
                a.set(2 * h, sum[0] * update.x, sum[1] * update.y);
                a.set(2 * h + 1, sum[2] * update.x, sum[3] * update.y);
            }
            i32 row = k * 16 + (lane_id() & 15);
            UNROLL
            for (i32 n = 0; n < 8; n++) {
                u32 b[4];
                load_tiles_transposed(b, stage.keys + wide_piece(row, 2 * n + (lane_id() >> 4)));
                add(s[2 * n], s[2 * n + 1], a, b);
            }
        }
    }

    /// Oᵀ to rows of o: tiles are transposed in registers, a token's 16 values of the warp are one segment.
    DEVICE void store_outputs(i32 index, const f32 (&o)[C / 8][4]) const {
        i32 live = place.rows - index * C;
        bf16* dst = reinterpret_cast<bf16*>(args.dst) + (place.row + index * C) * args.dst_stride + place.head * DELTA_DIM +
                    place.value + 16 * warp_id() + 2 * (lane_id() & 3);
        UNROLL
        for (i32 n = 0; n < C / 8; n++) {
            i32 token = n * 8 + (lane_id() >> 2);
            u32 left = transpose_tile(pack_bf16(o[n][0], o[n][1]));
            u32 right = transpose_tile(pack_bf16(o[n][2], o[n][3]));
            if (token < live) {
                u32* to = reinterpret_cast<u32*>(dst + static_cast<i64>(token) * args.dst_stride);
                to[0] = left;
                to[4] = right;
            }
        }
    }

    /// Runs the sequence through; `store(scan, chunk, o)` takes each chunk's outputs.
    template <class Store>
    DEVICE void run(f32 (&s)[16][4], const Store& store) const {
        UNROLL
        for (i32 n = 0; n < F::STAGES - 1; n++) fetch(n);
        for (i32 index = 0; index * C < place.rows; index++) {
            copy_wait<F::STAGES - 2>();
            // Publishes this chunk, and says that all have done with the one whose place the next copies take.
            block_sync();
            fetch(index + F::STAGES - 1);
            const Stage& stage = shared.stage[index % F::STAGES];
            f32 u[C / 8][4] = {}, o[C / 8][4] = {};
            Operand operand[BANDS];
            read_state(stage, s, u, o);
            correct_values(stage, operand, u, o);
            add_triangle(u, operand, stage.chunk.solve);
            UNROLL
            for (i32 n = 0; n < 4 * BANDS; n++) {
                const f32(&sum)[4] = u[n / 2];
                operand[n / 4].set(n % 4, sum[n % 2 * 2], sum[n % 2 * 2 + 1]);
            }
            add_triangle(o, operand, stage.chunk.read);
            update_state(stage, s, u);
            store(*this, index, o);
        }
    }
};

/// Finds the block's sequence; false where it has none or no rows.
template <i32 C>
DEVICE bool find_sequence(const DeltaScanArgs& args, ScanPlace& place) {
    const Step* step = reinterpret_cast<const Step*>(args.step);
    const i32* row_start = step_array(step, step->at_row_start);
    i32 sequence = step->singles + static_cast<i32>(blockIdx.z);
    if (sequence >= step->sequences) return false;
    i32 before = 0;
    for (i32 s = step->singles + lane_id(); s < sequence; s += WARP) before += (row_start[s + 1] - row_start[s] + C - 1) / C;
    UNROLL
    for (i32 apart = 16; apart > 0; apart /= 2) before += shuffle_xor(before, apart);
    place.row = row_start[sequence];
    place.rows = row_start[sequence + 1] - row_start[sequence];
    place.chunk = before;
    return place.rows > 0;
}

struct RoundedOutputs {
    template <class F>
    DEVICE void operator()(const Scan<F>& scan, i32 index, const f32 (&o)[F::C / 8][4]) const {
        scan.store_outputs(index, o);
    }
};

template <class F, class Store = RoundedOutputs>
DEVICE void scan_sequence(const DeltaScanArgs& args) {
    wait_for_predecessors();
    release_successors();
    ScanPlace place;
    if (!find_sequence<F::C>(args, place)) return;
    place.head = static_cast<i32>(blockIdx.y);
    place.key_head = place.head / (args.value_heads / args.key_heads);
    place.value = static_cast<i32>(blockIdx.x) * F::WARPS * 16;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 slot = step_array(step, step->at_slot)[step->singles + static_cast<i32>(blockIdx.z)];
    i64 first = (static_cast<i64>(slot < 0 ? 0 : slot) * args.value_heads + place.head) * DELTA_DIM + place.value;
    f32* state = reinterpret_cast<f32*>(args.state) +
                 (first + 16 * warp_id() + (lane_id() >> 2)) * DELTA_DIM + 2 * (lane_id() & 3);
    f32 s[16][4] = {};
    if (slot >= 0) {
        UNROLL
        for (i32 n = 0; n < 32; n++) {
            Pair pair = *reinterpret_cast<const Pair*>(state + n % 2 * 8 * DELTA_DIM + n / 2 * 8);
            s[n / 2][n % 2 * 2] = pair.x;
            s[n / 2][n % 2 * 2 + 1] = pair.y;
        }
    }
    Scan<F>{args, shared_memory<ScanShared<F>>(), place}.run(s, Store{});
    if (slot >= 0) {
        UNROLL
        for (i32 n = 0; n < 32; n++) {
            *reinterpret_cast<Pair*>(state + n % 2 * 8 * DELTA_DIM + n / 2 * 8) = {
                without_dust(s[n / 2][n % 2 * 2]), without_dust(s[n / 2][n % 2 * 2 + 1])};
        }
    }
}

using Scan64Warps4 = ScanForm<64, 4, 2, false>;
using Scan64Warps2 = ScanForm<64, 2, 2, false>;
using Scan64Warps1 = ScanForm<64, 1, 2, false>;
using Scan32Warps4 = ScanForm<32, 4, 2, false>;
using Scan32Warps2 = ScanForm<32, 2, 2, false>;
using Scan32Warps1 = ScanForm<32, 1, 2, false>;
using ScanExact = ScanForm<32, 4, 2, true>;

static_assert(sizeof(ScanShared<Scan64Warps4>) == 104480 && sizeof(ScanShared<Scan64Warps2>) == 96288, "as the heads say");
static_assert(sizeof(ScanShared<Scan64Warps1>) == 92192 && sizeof(ScanShared<Scan32Warps4>) == 48160, "as the heads say");
static_assert(sizeof(ScanShared<Scan32Warps2>) == 44064 && sizeof(ScanShared<Scan32Warps1>) == 42016, "as the heads say");
static_assert(sizeof(ScanShared<ScanExact>) == 54304, "as the heads say");

//! kernel delta_scan_c64_w4(DeltaScanArgs) block 128 shared 104480
//!     grid [2, value heads, sequences with several rows] dtypes bf16 archs 80 90 100
KERNEL(delta_scan_c64_w4, DeltaScanArgs, 128) {
    scan_sequence<Scan64Warps4>(args);
}

//! kernel delta_scan_c64_w2(DeltaScanArgs) block 64 shared 96288
//!     grid [4, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_c64_w2, DeltaScanArgs, 64) {
    scan_sequence<Scan64Warps2>(args);
}

//! kernel delta_scan_c64_w1(DeltaScanArgs) block 32 shared 92192
//!     grid [8, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_c64_w1, DeltaScanArgs, 32) {
    scan_sequence<Scan64Warps1>(args);
}

//! kernel delta_scan_c32_w4(DeltaScanArgs) block 128 shared 48160
//!     grid [2, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_c32_w4, DeltaScanArgs, 128) {
    scan_sequence<Scan32Warps4>(args);
}

//! kernel delta_scan_c32_w2(DeltaScanArgs) block 64 shared 44064
//!     grid [4, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_c32_w2, DeltaScanArgs, 64) {
    scan_sequence<Scan32Warps2>(args);
}

//! kernel delta_scan_c32_w1(DeltaScanArgs) block 32 shared 42016
//!     grid [8, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_c32_w1, DeltaScanArgs, 32) {
    scan_sequence<Scan32Warps1>(args);
}

//! kernel delta_scan_exact(DeltaScanArgs) block 128 shared 54304
//!     grid [2, value heads, sequences with several rows] dtypes bf16 archs all
KERNEL(delta_scan_exact, DeltaScanArgs, 128) {
    scan_sequence<ScanExact>(args);
}
