// Cosine and sine of every row for the rotary embedding (spec 3 steps 4–6), once a step: a row of dst is
// [cos × pairs | sin × pairs] in fp32, times scale. The angle is the fp32 product position[axis[j]] · frequency[j]. Positions
// reach a million radians, where the library's sine takes a path with local memory; here the angle is reduced exactly in
// fp64 and the series runs there too, which gives the table to the last bit or next to it, at a price nobody notices once a
// step.
#include "common/step.cuh"

struct RotationsArgs {
    u64 dst;          // f32 [rows, dst_stride]
    u64 frequencies;  // f32 [pairs]: radians per position
    u64 axis;         // i32 [pairs]: which of the three positions (t, h, w) turns the pair
    u64 step;         // Step
    Rows rows;
    i32 pairs;
    i32 dst_stride;   // elements
    f32 scale;
    i32 padding;
};

// π/2 as a sum: the first part has 29 bits, so its products with up to 2²⁴ quarter turns are exact.
constexpr double QUARTER_TURN = 0x1.921fb54p+0;
constexpr double QUARTER_TURN_REST = 0x1.10b4611a62633p-30;
constexpr double QUARTER_TURNS_PER_RADIAN = 0x1.45f306dc9c883p-1;

/// sin x for |x| ≤ π/4; the series ends 2e-9 short.
DEVICE double sine_of_remainder(double x) {
    double s = x * x;
    return x * (1 + s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880)))));
}

/// cos x for |x| ≤ π/4; the series ends 1e-10 short.
DEVICE double cosine_of_remainder(double x) {
    double s = x * x;
    return 1 + s * (-1.0 / 2 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800)))));
}

/// Cosine (x) and sine (y), each rounded to fp32 once.
DEVICE Pair cosine_sine(f32 angle) {
    double radians = angle;
    double turns = radians * QUARTER_TURNS_PER_RADIAN;
    i32 quarter = static_cast<i32>(turns + (turns < 0 ? -0.5 : 0.5));
    double remainder = radians - quarter * QUARTER_TURN - quarter * QUARTER_TURN_REST;
    double c = cosine_of_remainder(remainder);
    double s = sine_of_remainder(remainder);
    bool odd = (quarter & 1) != 0;
    double x = odd ? s : c;
    double y = odd ? c : s;
    return {static_cast<f32>(((quarter + 1) & 2) != 0 ? -x : x), static_cast<f32>((quarter & 2) != 0 ? -y : y)};
}

//! kernel rotations(RotationsArgs) block 128 shared 0 grid [rows · pairs / 128] dtypes f32 archs all
KERNEL(rotations, RotationsArgs, 128) {
    wait_for_predecessors();
    release_successors();
    i32 item = static_cast<i32>(blockIdx.x * blockDim.x + threadIdx.x);
    i32 row = args.rows.from + item / args.pairs;
    i32 pair = item % args.pairs;
    if (row >= rows_end(args.rows)) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 axis = reinterpret_cast<const i32*>(args.axis)[pair];
    i32 position = step_array(step, step->at_positions)[static_cast<i64>(axis) * step->rows + row];
    Pair turn = cosine_sine(static_cast<f32>(position) * reinterpret_cast<const f32*>(args.frequencies)[pair]);
    f32* dst = reinterpret_cast<f32*>(args.dst) + static_cast<i64>(row) * args.dst_stride;
    dst[pair] = args.scale * turn.x;
    dst[args.pairs + pair] = args.scale * turn.y;
}
