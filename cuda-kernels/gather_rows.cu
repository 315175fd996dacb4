// Gathers the rows whose logits are wanted: dst[i] = src[output_row[window_from + i]], bit for bit, for the outputs of the
// step's window. Which rows and how many is read from the step block, so that logits of many outputs can be computed in
// windows, and a recorded launch follows the batch.
#include "common/columns.cuh"
#include "common/step.cuh"

struct GatherRowsArgs {
    u64 dst;         // bf16 [window_rows, dst_stride]
    u64 src;         // bf16 [rows, src_stride]
    u64 step;        // Step
    Rows rows;       // rows of dst
    i32 cols;        // values of a row
    i32 dst_stride;  // elements
    i32 src_stride;  // elements
    i32 padding;
};

//! kernel gather_rows(GatherRowsArgs) block 256 shared 0 grid [rows] dtypes bf16 archs all
KERNEL(gather_rows, GatherRowsArgs, 256) {
    wait_for_predecessors();
    release_successors();
    const Step* step = reinterpret_cast<const Step*>(args.step);
    i32 row = args.rows.from + static_cast<i32>(blockIdx.x);
    // The window bounds the rows even where the launch names no live count: no output row beyond it is ever looked up.
    if (row >= rows_end(args.rows) || row >= step->window_rows) return;
    i32 from = step_array(step, step->at_output_row)[step->window_from + row];
    bf16* dst = reinterpret_cast<bf16*>(args.dst) + static_cast<i64>(row) * args.dst_stride;
    copy_row(dst, reinterpret_cast<const bf16*>(args.src) + static_cast<i64>(from) * args.src_stride, args.cols);
}
