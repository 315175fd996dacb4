// The delta rule of a row that is alone in its sequence (spec 4.3 steps 3 and 5–8, 4.4): one token moves every value head's
// state by one step. Fused: convolution and SiLU of the block's own channels of q, k and v, rounded to bf16 as convolve_chunk
// rounds them; l2 norms of q and k, gates, decay, rank-one update, read-out. State fp32, read and written once: with p = Sᵀk
// and r = Sᵀq of the state as it was, u = β(v − αp), S ← αS + k uᵀ and o = αr + (k·q)u need one pass. All sums in fp32, o
// rounded to bf16 once. Bound by the state's 128 KiB of traffic a head, hence small blocks (16 value rows, eight blocks a
// head), so that one sequence already occupies the device; each block convolves the keys of its head for itself.
#include "common/convolution.cuh"
#include "common/delta.cuh"

struct DeltaStepArgs {
    u64 step;              // Step
    u64 dst;               // bf16 [rows, dst_stride]: o of each value head
    u64 projected;         // bf16 [rows, projected_stride]: q, k by key head, v by value head; b and a are its last columns
    u64 weight;            // f32 [channels, 4] of the convolution: tap 3 meets the current token
    u64 window;            // bf16 [slot][4][channels], in place: the input of position p in place p mod 4
    u64 log_rate;          // f32 [value_heads]: A_log
    u64 bias;              // f32 [value_heads]: dt_bias
    u64 state;             // f32 [slot][value_head][value 128][key 128], in place
    Rows rows;             // row = sequence
    i32 key_heads;
    i32 value_heads;
    i32 dst_stride;
    i32 projected_stride;
};

constexpr i32 STEP_THREADS = 128;
/// Value rows of a warp; a lane holds four keys of each.
constexpr i32 STEP_VALUES = 4;
/// Value rows of a block.
constexpr i32 STEP_SLICE = STEP_THREADS / WARP * STEP_VALUES;

/// The block's channels after convolution.
struct DeltaStepShared {
    bf16 q[DELTA_DIM];
    bf16 k[DELTA_DIM];
    bf16 v[STEP_SLICE];
};
static_assert(sizeof(DeltaStepShared) == 544);

/// Which sequence and head a block works on.
struct StepPlace {
    i32 row, slot, past;
    i32 head;
    i32 slice;  // of the head's value rows
};

/// The scalars of the token's gates as they are stored.
struct StepGates {
    f32 log_rate, bias, a, b;
};

/// What a thread convolves: a pair of the block's channels of q or k, and, in the first eight threads, one of v.
struct StepChannels {
    i32 key, value;  // first channel of the pairs
    bool has_value;
    Channels key_weight, value_weight;
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

/// Reads nothing but weights.
DEVICE StepChannels load_weights(const DeltaStepArgs& args, i32 head, i32 slice) {
    i32 key_width = args.key_heads * DELTA_DIM, channels = 2 * key_width + args.value_heads * DELTA_DIM;
    i32 key_head = head / (args.value_heads / args.key_heads), thread = static_cast<i32>(threadIdx.x);
    StepChannels own = {};
    own.key = key_head * DELTA_DIM + (thread < DELTA_DIM / 2 ? 0 : key_width - DELTA_DIM) + 2 * thread;
    own.value = 2 * key_width + head * DELTA_DIM + slice * STEP_SLICE + 2 * thread;
    own.has_value = thread < STEP_SLICE / 2;
    own.key_weight = load_channels(args.weight, own.key, channels);
    if (own.has_value) own.value_weight = load_channels(args.weight, own.value, channels);
    return own;
}

/// The window of the place's slot, at a channel.
DEVICE bf16* slot_window(const DeltaStepArgs& args, const StepPlace& place, i32 channel) {
    i64 channels = (2 * args.key_heads + args.value_heads) * DELTA_DIM;
    return reinterpret_cast<bf16*>(args.window) + place.slot * WINDOW_PLACES * channels + channel;
}

/// Two channels of the token, and of the three before it.
struct StepInputs {
    u32 past[CONVOLVE_PAST];
    u32 now;
};

DEVICE StepInputs load_inputs(const DeltaStepArgs& args, const StepPlace& place, i32 channel) {
    i32 channels = (2 * args.key_heads + args.value_heads) * DELTA_DIM;
    const bf16* row = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(place.row) * args.projected_stride;
    StepInputs inputs = {{}, load_two(row + channel, 2)};
    if (place.slot >= 0) load_past(inputs.past, slot_window(args, place, channel), channels, place.past, 2);
    return inputs;
}

/// Adds an input to the window, in the place that no block reads in this launch.
DEVICE void keep_input(const DeltaStepArgs& args, const StepPlace& place, i32 channel, u32 now) {
    i32 channels = (2 * args.key_heads + args.value_heads) * DELTA_DIM;
    if (place.slot < 0) return;
    store_two(slot_window(args, place, channel) + static_cast<i64>(window_place(place.past)) * channels, 2, now);
}

/// Convolves the block's channels into shared memory. A pair of q and k is read by all blocks of its value heads, and kept in
/// the window by the first of them.
DEVICE void convolve_block(DeltaStepShared& shared, const DeltaStepArgs& args, const StepPlace& place, const StepChannels& own) {
    bool keeps_keys = place.slice == 0 && place.head % (args.value_heads / args.key_heads) == 0;
    StepInputs key = load_inputs(args, place, own.key), value = {};
    if (own.has_value) value = load_inputs(args, place, own.value);
    if (keeps_keys) keep_input(args, place, own.key, key.now);
    if (own.has_value) keep_input(args, place, own.value, value.now);
    u32* to = reinterpret_cast<u32*>(&shared) + threadIdx.x;
    to[0] = convolve_token(own.key_weight, key.past, key.now);
    if (own.has_value) to[DELTA_DIM] = convolve_token(own.value_weight, value.past, value.now);
}

DEVICE StepGates load_gates(const DeltaStepArgs& args, const StepPlace& place) {
    const bf16* gates = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(place.row) * args.projected_stride +
                        2 * (args.key_heads + args.value_heads) * DELTA_DIM;
    return {reinterpret_cast<const f32*>(args.log_rate)[place.head], reinterpret_cast<const f32*>(args.bias)[place.head],
            to_float(gates[args.value_heads + place.head]), to_float(gates[place.head])};
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

//! kernel delta_step(DeltaStepArgs) block 128 shared 544 grid [8, value heads, rows] dtypes bf16 archs all
KERNEL(delta_step, DeltaStepArgs, STEP_THREADS) {
    StepPlace place = {};
    place.head = static_cast<i32>(blockIdx.y);
    place.slice = static_cast<i32>(blockIdx.x);
    StepChannels own = load_weights(args, place.head, place.slice);
    wait_for_predecessors();
    release_successors();
    place.row = args.rows.from + static_cast<i32>(blockIdx.z);
    if (place.row >= rows_end(args.rows)) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    place.slot = step_array(step, step->at_slot)[place.row];
    place.past = step_array(step, step->at_past)[place.row];
    i32 slot = place.slot, head = place.head, lane = lane_id();
    i32 value = place.slice * STEP_SLICE + warp_id() * STEP_VALUES;
    f32* state = reinterpret_cast<f32*>(args.state) +
                 ((static_cast<i64>(slot < 0 ? 0 : slot) * args.value_heads + head) * DELTA_DIM + value) * DELTA_DIM + 4 * lane;
    f32 s[STEP_VALUES][4];  // on its way while the block convolves
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        Vec16 raw = slot < 0 ? Vec16{{0, 0, 0, 0}} : load16(state + j * DELTA_DIM);
        UNROLL
        for (i32 i = 0; i < 4; i++) s[j][i] = bits_float(raw.word[i]);
    }
    DeltaStepShared& shared = shared_memory<DeltaStepShared>();
    StepGates gates = load_gates(args, place);
    convolve_block(shared, args, place, own);
    block_sync();
    f32 q[4], k[4], v[STEP_VALUES];
    widen4(q, shared.q + 4 * lane);
    widen4(k, shared.k + 4 * lane);
    widen4(v, shared.v + STEP_VALUES * warp_id());
    f32 alpha = exponential(log_decay(gates.log_rate, gates.a, gates.bias)), beta = sigmoid(gates.b);
    f32 qq = 0, kk = 0, kq = 0;
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        qq = fma32(q[i], q[i], qq);
        kk = fma32(k[i], k[i], kk);
    }
    f32 query_scale = inverse_root(warp_sum(qq) + DELTA_EPS) * DELTA_SCALE;
    f32 key_scale = inverse_root(warp_sum(kk) + DELTA_EPS);
    UNROLL
    for (i32 i = 0; i < 4; i++) {
        q[i] *= query_scale;
        k[i] *= key_scale;
        kq = fma32(k[i], q[i], kq);
    }
    kq = warp_sum(kq);
    f32 sums[2 * STEP_VALUES];
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        sums[j] = 0;
        sums[STEP_VALUES + j] = 0;
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            sums[j] = fma32(s[j][i], k[i], sums[j]);
            sums[STEP_VALUES + j] = fma32(s[j][i], q[i], sums[STEP_VALUES + j]);
        }
    }
    f32 sum = sum_values(sums);
    f32 out[STEP_VALUES];
    UNROLL
    for (i32 j = 0; j < STEP_VALUES; j++) {
        f32 predicted = alpha * shuffle(sum, 4 * j);
        f32 u = beta * (v[j] - predicted);
        out[j] = fma32(kq, u, alpha * shuffle(sum, 4 * (STEP_VALUES + j)));
        Vec16 raw;
        UNROLL
        for (i32 i = 0; i < 4; i++) {
            raw.word[i] = float_bits(without_dust(fma32(k[i], u, alpha * s[j][i])));
        }
        if (slot >= 0) store16(state + j * DELTA_DIM, raw);
    }
    if (lane == 0) {
        bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(place.row) * args.dst_stride + head * DELTA_DIM + value;
        *reinterpret_cast<u64*>(dst) = pack_bf16(out[0], out[1]) | static_cast<u64>(pack_bf16(out[2], out[3])) << 32;
    }
}
