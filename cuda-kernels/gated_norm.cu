// Gated RMSNorm behind the delta rule (spec 2.3, the all-fp32 form): per value head of 128,
// dst = bf16(o · rsqrt(mean(o²) + eps) · weight · SiLU(z)). The weight is used as stored, not zero-centred, and shared by all
// heads. Half a warp owns a head, eight values a lane, so dst may be o; z is read where the projection left it.
#include "common/norms.cuh"
#include "common/step.cuh"

struct GatedNormArgs {
    u64 dst;               // bf16 [rows, dst_stride], may be o
    u64 o;                 // bf16 [rows, o_stride]: value head h in columns [128h, 128h + 128)
    u64 projected;         // bf16 [rows, projected_stride]
    u64 weight;            // f32 [128]
    Rows rows;
    i32 heads;             // value heads
    i32 z;                 // first column of z in a projected row
    i32 dst_stride;        // elements
    i32 o_stride;          // elements
    i32 projected_stride;  // elements
    f32 eps;
};

constexpr i32 GATED_HEADS = 16;  // heads of a block

//! kernel gated_norm(GatedNormArgs) block 256 shared 0 grid [rows, heads / 16] dtypes bf16 archs all
KERNEL(gated_norm, GatedNormArgs, 256) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    if (row >= rows_end(args.rows)) return;
    i32 head = static_cast<i32>(blockIdx.y) * GATED_HEADS + static_cast<i32>(threadIdx.x) / GATED_LANES;
    i32 within = static_cast<i32>(threadIdx.x) % GATED_LANES * UNIT;
    // A half warp without a head goes along with zeros, for its other half needs it in the shuffles.
    i32 columns = head < args.heads ? UNIT : 0;
    i64 at = static_cast<i64>(head) * GATED_DIM + within;
    Unit o = load_unit(reinterpret_cast<const bf16*>(args.o) + static_cast<i64>(row) * args.o_stride + at, columns);
    const bf16* projected = reinterpret_cast<const bf16*>(args.projected) + static_cast<i64>(row) * args.projected_stride;
    Unit z = load_unit(projected + args.z + at, columns);
    Unit weight = load_unit(reinterpret_cast<const f32*>(args.weight) + within, UNIT);
    store_unit(reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride + at, columns,
               gated_normed(o, z, weight, args.eps));
}
