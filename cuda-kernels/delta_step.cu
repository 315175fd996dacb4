// Gated delta rule for a row that is alone in its sequence (spec 4.3 steps 5–8, 4.4): one token moves every value head's
// state by one step. Fused: l2 norms of q and k, gates, decay, rank-one update, read-out. State fp32, read and written once:
// with p = Sᵀk and r = Sᵀq of the state as it was, u = β(v − αp), S ← αS + k uᵀ and o = αr + (k·q)u need one pass.
// All sums in fp32, o rounded to bf16 once. Bound by the state's 128 KiB of traffic a head, hence small blocks (16 value rows,
// eight blocks a head), so that one sequence already occupies the device; norms are recomputed by each warp.
#include "common/delta.cuh"

struct DeltaStepArgs {
    u64 step;              // Step
    u64 dst;               // bf16 [rows, dst_stride]: o of each value head
    u64 convolved;         // bf16 [rows, convolved_stride]: q, k by key head, v by value head
    u64 projected;         // bf16 [rows, projected_stride]: b and a are its last columns
    u64 log_rate;          // f32 [value_heads]: A_log
    u64 bias;              // f32 [value_heads]: dt_bias
    u64 state;             // f32 [slot][value_head][value 128][key 128], in place
    Rows rows;             // row = sequence
    i32 key_heads;
    i32 value_heads;
    i32 dst_stride;
    i32 convolved_stride;
    i32 projected_stride;
    i32 padding;
};

constexpr i32 STEP_THREADS = 128;
/// Value rows of a warp; a lane holds four keys of each.
constexpr i32 STEP_VALUES = 4;

/// What a lane needs of the token: four values of the raw q and k, and the scalars.
struct StepToken {
    f32 q[4], k[4], v[STEP_VALUES];
    f32 alpha, beta;
};

DEVICE void widen4(f32 (&to)[4], const bf16* from) {
    const u64 bits = *reinterpret_cast<const u64*>(from);
    Pair low = unpack_bf16(static_cast<u32>(bits));
    Pair high = unpack_bf16(static_cast<u32>(bits >> 32));
    to[0] = low.x;
    to[1] = low.y;
    to[2] = high.x;
    to[3] = high.y;
}

DEVICE StepToken load_token(const DeltaStepArgs& args, i32 row, i32 head, i32 value) {
    StepToken token;
    i32 key_width = args.key_heads * DELTA_DIM;
    i32 key = head / (args.value_heads / args.key_heads) * DELTA_DIM + 4 * lane_id();
    const bf16* convolved = reinterpret_cast<const bf16*>(args.convolved) + static_cast<i64>(row) * args.convolved_stride;
    widen4(token.q, convolved + key);
    widen4(token.k, convolved + key_width + key);
    widen4(token.v, convolved + 2 * key_width + head * DELTA_DIM + value);
    const bf16* gates = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(row) * args.projected_stride +
                        2 * (key_width + args.value_heads * DELTA_DIM);
    f32 log_rate = reinterpret_cast<const f32*>(args.log_rate)[head];
    f32 bias = reinterpret_cast<const f32*>(args.bias)[head];
    token.beta = sigmoid(to_float(gates[head]));
    token.alpha = exponential(log_decay(log_rate, to_float(gates[args.value_heads + head]), bias));
    return token;
}

/// Sums over the warp of 2·STEP_VALUES values a lane; half of the values change hands in each of the first three steps, which
/// takes 9 exchanges for 40. The sum of value i ends in the four lanes from 4·i on.
DEVICE f32 sum_values(f32 (&value)[2 * STEP_VALUES]) {
    i32 lane = lane_id();
    UNROLL
    for (i32 kept = STEP_VALUES, apart = 16; kept > 0; kept /= 2, apart /= 2) {
        bool upper = (lane & apart) != 0;
        UNROLL
        for (i32 i = 0; i < kept; i++) {
            f32 give = upper ? value[i] : value[i + kept];
            f32 keep = upper ? value[i + kept] : value[i];
            value[i] = keep + shuffle_xor(give, apart);
        }
    }
    f32 sum = value[0];
    sum += shuffle_xor(sum, 2);
    return sum + shuffle_xor(sum, 1);
}

//! kernel delta_step(DeltaStepArgs) block 128 shared 0 grid [8, value heads, rows] dtypes bf16 archs all
KERNEL(delta_step, DeltaStepArgs, STEP_THREADS) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.z);
    if (row >= rows_end(args.rows)) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 slot = step_array(step, step->at_slot)[row];
    i32 head = static_cast<i32>(blockIdx.y);
    i32 lane = lane_id();
    i32 value = (static_cast<i32>(blockIdx.x) * (STEP_THREADS / WARP) + warp_id()) * STEP_VALUES;
    f32* state = reinterpret_cast<f32*>(args.state) +
                 ((static_cast<i64>(slot < 0 ? 0 : slot) * args.value_heads + head) * DELTA_DIM + value) * DELTA_DIM + 4 * lane;
    f32 s[STEP_VALUES][4];
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        Vec16 raw = slot < 0 ? Vec16{{0, 0, 0, 0}} : load16(state + j * DELTA_DIM);
        UNROLL
        for (i32 i = 0; i < 4; i++) s[j][i] = bits_float(raw.word[i]);
    }
    StepToken token = load_token(args, row, head, value);
    f32 qq = 0, kk = 0, kq = 0;
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        qq = fma32(token.q[i], token.q[i], qq);
        kk = fma32(token.k[i], token.k[i], kk);
    }
    f32 query_scale = inverse_root(warp_sum(qq) + DELTA_EPS) * DELTA_SCALE;
    f32 key_scale = inverse_root(warp_sum(kk) + DELTA_EPS);
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        token.q[i] *= query_scale;
        token.k[i] *= key_scale;
        kq = fma32(token.k[i], token.q[i], kq);
    }
    kq = warp_sum(kq);
    f32 sums[2 * STEP_VALUES];
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        sums[j] = 0;
        sums[STEP_VALUES + j] = 0;
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            sums[j] = fma32(s[j][i], token.k[i], sums[j]);
            sums[STEP_VALUES + j] = fma32(s[j][i], token.q[i], sums[STEP_VALUES + j]);
        }
    }
    f32 sum = sum_values(sums);
    f32 out[STEP_VALUES];
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        f32 predicted = token.alpha * shuffle(sum, 4 * j);
        f32 u = token.beta * (token.v[j] - predicted);
        out[j] = fma32(kq, u, token.alpha * shuffle(sum, 4 * (STEP_VALUES + j)));
        Vec16 raw;
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            raw.word[i] = float_bits(without_dust(fma32(token.k[i], u, token.alpha * s[j][i])));
        }
        if (slot >= 0) store16(state + j * DELTA_DIM, raw);
    }
    if (lane == 0) {
        bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride + head * DELTA_DIM + value;
        *reinterpret_cast<u64*>(dst) = pack_bf16(out[0], out[1]) | static_cast<u64>(pack_bf16(out[2], out[3])) << 32;
    }
}
