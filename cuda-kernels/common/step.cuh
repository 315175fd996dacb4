// One step's batch as kernels see it: the device image of brantas.op.StepBatch. The host fills one block a step and uploads
// it in one copy; recorded launches read it anew at every replay, so nothing in here is ever a launch argument.
#pragma once
#include "port.cuh"

/// Rows that an op works on: [from, to), and not beyond *live where that is given. `to` is fixed when a launch is recorded
/// (a bucket); `live` points at the true count in the step block.
struct Rows {
    u64 live;  // const i32*, or 0
    i32 from;
    i32 to;
};

DEVICE i32 rows_end(const Rows& rows) {
    if (rows.live == 0) return rows.to;
    i32 live = *reinterpret_cast<const i32*>(rows.live);
    return live < rows.to ? live : rows.to;
}

/// How one output token is drawn (brantas.settings.Sampling).
struct Draw {
    u64 seed;
    u64 position;            // index of the drawn token in its sequence: the counter of the random generator
    f32 temperature;         // 0: the largest logit, the lower id among equals
    f32 top_p;               // 1: off
    f32 min_p;               // 0: off
    f32 presence_penalty;
    f32 frequency_penalty;
    f32 repetition_penalty;  // 1: off
    i32 top_k;               // 0: off
    i32 slot;                // of the sequence's token counts; −1: no penalties
};

/// The block begins with this; fields named at_… are byte offsets from its start.
struct Step {
    i32 rows;
    i32 sequences;
    i32 singles;        // the first so many sequences have one row each: row = sequence
    i32 outputs;
    i32 window_from;    // outputs [window_from, window_from + window_rows) are worked on
    i32 window_rows;
    i32 at_tokens;      // i32 [rows]
    i32 at_positions;   // i32 [3, rows]: t, h, w
    i32 at_sequence;    // i32 [rows]: the sequence of a row
    i32 at_row_start;   // i32 [sequences + 1]
    i32 at_past;        // i32 [sequences]: tokens that caches hold from earlier steps
    i32 at_slot;        // i32 [sequences]: state slot; −1 neither reads nor writes
    i32 at_counted;     // i32 [sequences]: −1, or the prompt's length where tokens are counted for penalties
    i32 at_page_start;  // i32 [sequences + 1]
    i32 at_pages;       // i32 [page_start[sequences]]; −1 neither reads nor writes
    i32 at_output_row;  // i32 [outputs]
    i32 at_draws;       // Draw [outputs], 8-byte aligned
    i32 padding;
};

template <class T = i32>
DEVICE const T* step_array(const Step* step, i32 at) {
    return reinterpret_cast<const T*>(reinterpret_cast<const unsigned char*>(step) + at);
}

/// A piece of a sequence that has several rows.
struct Tile {
    i32 sequence;  // −1: there is no such tile
    i32 first;     // first row of the piece, counted from the sequence's first row in this step
    i32 rows;      // rows of the piece, at most `size`
    i32 index;     // of the piece in its sequence
};

/// Tile `index` of all sequences with several rows, each cut into pieces of `size` rows from its first row on.
DEVICE Tile find_tile(const Step* step, i32 index, i32 size) {
    const i32* row_start = step_array(step, step->at_row_start);
    for (i32 s = step->singles; s < step->sequences; s++) {
        i32 count = row_start[s + 1] - row_start[s];
        i32 tiles = (count + size - 1) / size;
        if (index < tiles) {
            i32 first = index * size;
            return {s, first, count - first < size ? count - first : size, index};
        }
        index -= tiles;
    }
    return {-1, 0, 0, 0};
}
