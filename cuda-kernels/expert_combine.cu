// The weighted sum of a mixture of experts for many rows (spec 5.2), with the residual: dst = bf16(dst + Σ scale · out + gate ·
// shared out), slots in order, then the shared expert, fp32 with one rounding. Each expert's own output lies in a row of out
// of its assignment: (row − from) · slots + slot, the shared expert's behind all of those. A thread owns eight neighbouring
// columns of a row, so a row's bits do not depend on the others.
#include "common/columns.cuh"
#include "common/step.cuh"

constexpr i32 COMBINE_THREADS = 128;

struct ExpertCombineArgs {
    u64 dst;         // bf16 [rows, dst_stride], is added to
    u64 out;         // f32 [(to − from) · (slots + 1), out_stride]
    u64 scales;      // f32 [rows, slots]: the experts' weights in the sum
    u64 gates;       // f32 [rows]: the shared expert's
    Rows rows;
    i32 dst_stride;  // elements
    i32 out_stride;  // elements
    i32 slots;       // experts of a row
    i32 cols;        // values of a row
};

DEVICE void add_scaled(Unit& sum, f32 scale, const Unit& x) {
    UNROLL
    for (i32 i = 0; i < UNIT; i++) sum.value[i] = fma32(scale, x.value[i], sum.value[i]);
}

//! kernel expert_combine(ExpertCombineArgs) block 128 shared 0 grid [rows, ceil(cols/1024)] dtypes bf16 archs all
KERNEL(expert_combine, ExpertCombineArgs, COMBINE_THREADS) {
    wait_for_predecessors();
    release_successors();
    const i32 index = static_cast<i32>(blockIdx.x);
    const i64 row = args.rows.from + index;
    const i32 col = (static_cast<i32>(blockIdx.y) * COMBINE_THREADS + static_cast<i32>(threadIdx.x)) * UNIT;
    if (row >= rows_end(args.rows) || col >= args.cols) return;
    const i32 left = args.cols - col;
    const f32* out = reinterpret_cast<const f32*>(args.out) + col;
    const f32* scales = reinterpret_cast<const f32*>(args.scales) + row * args.slots;
    Unit sum = {};
    for (i32 slot = 0; slot < args.slots; slot++) {
        const i64 assignment = static_cast<i64>(index) * args.slots + slot;
        add_scaled(sum, scales[slot], load_unit(out + assignment * args.out_stride, left));
    }
    const i64 shared = static_cast<i64>(args.rows.to - args.rows.from) * args.slots + index;
    add_scaled(sum, reinterpret_cast<const f32*>(args.gates)[row], load_unit(out + shared * args.out_stride, left));
    bf16* dst = reinterpret_cast<bf16*>(args.dst) + row * args.dst_stride + col;
    Unit result = load_unit(dst, left);
    UNROLL
    for (i32 i = 0; i < UNIT; i++) result.value[i] += sum.value[i];
    store_unit(dst, left, result);
}
