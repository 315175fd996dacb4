// Token embedding (spec 2.1): row r of dst becomes row token(r) of the table, bit for bit, unscaled. Token ids are read from
// the step block, so a recorded launch follows the batch. The host checks ids before a step; should one outside the
// vocabulary arrive nevertheless, its row becomes zeros and the error word non-zero, and no foreign memory is read.
#include "common/columns.cuh"
#include "common/step.cuh"

struct EmbedArgs {
    u64 dst;           // bf16 [rows, dst_stride]
    u64 table;         // bf16 [vocabulary, table_stride]
    u64 step;          // Step
    u64 error;         // u32 [1]: bit 0 is set by a token outside the vocabulary
    Rows rows;
    i32 cols;          // values of a row
    i32 dst_stride;    // elements
    i32 table_stride;  // elements
    i32 vocabulary;    // rows of the table
};

//! kernel embed(EmbedArgs) block 256 shared 0 grid [rows] dtypes bf16 archs all
KERNEL(embed, EmbedArgs, 256) {
    wait_for_predecessors();
    release_successors();
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    if (row >= rows_end(args.rows)) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 token = step_array(step, step->at_tokens)[row];
    bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride;
    if (token >= 0 && token < args.vocabulary) {
        copy_row(dst, reinterpret_cast<const bf16*>(args.table) + static_cast<i64>(token) * args.table_stride, args.cols);
        return;
    }
    for (i32 i = threadIdx.x; i < args.cols; i += blockDim.x) dst[i] = {0};
    if (threadIdx.x == 0) atomic_or(reinterpret_cast<u32*>(args.error), 1u);
}
