// SwiGLU of the dense feed-forward (spec 2.4): dst = bf16(SiLU(gate) · up), fp32 inside, one rounding. A row of the input is
// [gate inner | up inner], the output of the one fused projection. Where inner is no multiple of eight, up begins off the
// 16-byte boundary and is read value by value; every released size takes the wide path.
#include "common/columns.cuh"
#include "common/step.cuh"

struct SwiGluArgs {
    u64 dst;             // bf16 [rows, dst_stride]
    u64 gate_up;         // bf16 [rows, gate_up_stride]: gate columns [0, inner), up columns [inner, 2·inner)
    Rows rows;
    i32 inner;           // values of a row of dst
    i32 dst_stride;      // elements
    i32 gate_up_stride;  // elements
    i32 padding;
};

//! kernel swiglu(SwiGluArgs) block 256 shared 0 grid [rows, inner / 2048] dtypes bf16 archs all
KERNEL(swiglu, SwiGluArgs, 256) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    i32 at = static_cast<i32>(blockIdx.y * blockDim.x + threadIdx.x) * UNIT;
    if (row >= rows_end(args.rows) || at >= args.inner) return;
    const bf16* gate_up = reinterpret_cast<const bf16*>(args.gate_up) + static_cast<i64>(row) * args.gate_up_stride;
    i32 left = args.inner - at;
    Unit gate = load_unit(gate_up + at, left);
    Unit up = load_unit(gate_up + args.inner + at, left);
    Unit y;
    UNROLL
    for (i32 i = 0; i < UNIT; i++) y.value[i] = silu(gate.value[i]) * up.value[i];
    store_unit(reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride + at, left, y);
}
