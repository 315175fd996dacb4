// Counts the tokens of a step for the penalties of sampling (spec 8.4): for every sequence that asks for it, a token of the
// prompt sets the top bit of its word, and a token behind the prompt adds one to the bits below, so that one word tells
// whether and how often a token was seen. Runs before the step's draws. Updates are integer atomics: their order does not
// show. Tokens outside the vocabulary are the embedding's to report and are not counted.
#include "common/candidates.cuh"

struct CountTokensArgs {
    u64 counts;      // u32 [slots, stride]
    u64 step;        // Step
    Rows rows;
    i32 vocabulary;
    i32 stride;      // elements
};

//! kernel count_tokens(CountTokensArgs) block 256 shared 0 grid [ceil(rows/256)] dtypes u32 archs all
KERNEL(count_tokens, CountTokensArgs, 256) {
    wait_for_predecessors();
    release_successors();
    const i32 row = args.rows.from + static_cast<i32>(blockIdx.x * blockDim.x + threadIdx.x);
    if (row >= rows_end(args.rows)) return;
    const Step* step = reinterpret_cast<const Step*>(args.step);
    const i32 sequence = step_array(step, step->at_sequence)[row];
    const i32 prompt = step_array(step, step->at_counted)[sequence];
    const i32 slot = step_array(step, step->at_slot)[sequence];
    const i32 token = step_array(step, step->at_tokens)[row];
    if (prompt < 0 || slot < 0 || token < 0 || token >= args.vocabulary) return;
    const i32 position = step_array(step, step->at_past)[sequence] + row - step_array(step, step->at_row_start)[sequence];
    u32* count = reinterpret_cast<u32*>(args.counts) + static_cast<i64>(slot) * args.stride + token;
    if (position < prompt) atomic_or(count, SEEN_IN_PROMPT);
    else atomic_add(count, 1u);
}
