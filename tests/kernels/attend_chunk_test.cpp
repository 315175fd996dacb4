// Attention of sequences with several rows against the formula in fp64: all group sizes, lengths and pasts on the edges of
// the tiles (64 / group tokens, 32 positions) and of the pages, several sequences beside single rows, pages that are lost,
// and scores that are all equal or that one position dominates. Unused positions of the cache, columns that are not gates
// and rows that are not in the step are not-a-number.
#include "attention_problem.hpp"

#include "../../cuda-kernels/attend_chunk.cu"

namespace {

/// With keys and values at these addresses.
void run(AttentionRun& on, i32 spare_tiles, u64 keys, u64 values) {
    i32 tokens = PACKED / on.shape.group, tiles = spare_tiles;
    Step& step = on.step.step();
    for (i32 s = step.singles; s < step.sequences; s++)
        tiles += (on.step.row_start(s + 1) - on.step.row_start(s) + tokens - 1) / tokens;
    launch(KERNEL_OF(attend_chunk), {tiles, on.shape.kv_heads}, 128, sizeof(ChunkShared),
           AttendChunkArgs{on.dst.address(), on.q.address(), on.projected.address(), keys, values,
                           on.step.address(), on.dst.stride(), on.q.stride(), on.projected.stride(), on.shape.kv_heads,
                           on.shape.group, on.shape.page_size});
}

void run(AttentionRun& on, i32 spare_tiles = 1) {
    run(on, spare_tiles, on.keys.address(), on.values.address());
}

void check_problem(const AttentionProblem& problem) {
    for_all_schedules([&](const Schedule&) {
        AttentionRun on(problem);
        run(on);
        i32 singles = on.step.step().singles;
        problem.check_rows(on.dst, singles, problem.rows());
        on.dst.check_untouched_outside(singles, problem.rows());
    });
}

/// A sequence of each length, with pasts that rotate from one to the next.
std::vector<TestSequence> lengths_by_pasts(std::vector<i32> lengths, std::vector<i32> pasts, i32 turn) {
    std::vector<TestSequence> sequences;
    for (size_t i = 0; i < lengths.size(); i++)
        sequences.push_back({lengths[i], pasts[(i + static_cast<size_t>(turn)) % pasts.size()]});
    return sequences;
}

}  // namespace

TEST(attend_chunk_all_groups) {
    i32 turn = 0;
    for (i32 group : {1, 2, 3, 4, 6, 8, 16}) {
        std::vector<i32> lengths = {2, 3, 15, 16, 17};
        if (group <= 4) lengths.insert(lengths.end(), {31, 32, 33});
        check_problem({{1 + turn % 2, group, 32}, lengths_by_pasts(lengths, {0, 31, 1, 32, 100}, turn), {}});
        check_problem({{2 - turn % 2, group, 32}, {{2, 30}, {64 / group + 1, 31}}, {}});
        turn++;
    }
}

TEST(attend_chunk_long_sequences) {
    check_problem({{1, 1, 32}, {{63, 0}, {64, 32}, {65, 700}, {127, 1}, {129, 100}, {300, 31}}, {}});
    check_problem({{1, 3, 24}, {{65, 0}, {127, 31}}, {}});
    check_problem({{1, 6, 32}, {{12, 700}, {33, 1}}, {}});
}

TEST(attend_chunk_page_sizes) {
    for (i32 page : {1, 5, 16, 24, 32, 64}) check_problem({{2, 4, page}, {{17, 0}, {2, 100}, {16, 31}, {2, 31}}, {}});
}

TEST(attend_chunk_beside_single_rows) {
    check_problem({{2, 4, 32}, {{1, 0}, {1, 40}, {1, 7}, {5, 0}, {0, 3}, {40, 20}, {1, 33}, {2, 64}}, {}});
}

TEST(attend_chunk_equal_scores) {
    check_problem({{2, 2, 32}, {{33, 0}, {16, 32}, {3, 100}}, {.query_scale = 0}});
}

TEST(attend_chunk_dominant_scores) {
    for (double score : {80.0, -80.0}) check_problem({{1, 4, 32}, {{33, 0}, {17, 31}, {2, 100}}, {.dominant_score = score}});
}

TEST(attend_chunk_skips_lost_pages) {
    check_problem({{1, 4, 5}, {{20, 0}, {3, 95}}, {.lost = 1}});
    check_problem({{1, 4, 32}, {{70, 33}, {3, 95}}, {.lost = 1}});
    // With the first page lost, some rows of a warp have seen nothing when others see their first positions.
    for (i32 page : {5, 32}) check_problem({{1, 4, page}, {{40, 0}, {3, 31}}, {.lost = 0}});
}

TEST(attend_chunk_gives_zeros_where_nothing_is_seen) {
    for_all_schedules([](const Schedule&) {
        AttentionProblem problem({1, 4, 32}, {{40, 0}});
        TestSequence lost = problem.sequence(0);
        lost.pages.assign(lost.pages.size(), -1);
        AttentionRun on(problem, {lost}, AttentionRun::all(problem));
        run(on);
        for (i32 r = 0; r < 40; r++)
            for (i32 c = 0; c < on.width; c++) check_close(on.dst.at(r, c), 0.0, 0.0);
    });
}

TEST(attend_chunk_bits_depend_on_nothing_else) {
    AttentionProblem problem({1, 6, 32}, {{1, 9}, {23, 50}, {3, 0}, {11, 300}});
    for_all_schedules([&](const Schedule&) {
        AttentionRun together(problem);
        run(together);
        for (i32 s = 1, first = 1; s < problem.count(); first += problem.sequence(s).rows, s++) {
            const TestSequence& sequence = problem.sequence(s);
            // Alone, with another bound of the grid; and cut into two steps, so that tiles begin elsewhere.
            for (i32 head : {0, 1, sequence.rows - 1}) {
                TestSequence tail = {sequence.rows - head, sequence.past + head, -1, sequence.pages};
                std::vector<i32> rows(static_cast<size_t>(tail.rows));
                std::iota(rows.begin(), rows.end(), first + head);
                AttentionRun alone(problem, {tail}, rows);
                alone.step.step().singles = 0;
                run(alone, 4);
                for (i32 r = 0; r < tail.rows; r++) alone.check_same(r, together, first + head + r);
            }
        }
    });
}

TEST(attend_chunk_of_a_cache_beyond_32_bits) {
    AttentionProblem problem({2, 3, 16}, {{1, 9}, {23, 50}});
    FarCache cache(problem);
    AttentionRun on(problem, cache.sequences, AttentionRun::all(problem));
    run(on, 1, cache.keys.address(), cache.values.address());
    problem.check_rows(on.dst, 1, problem.rows());
}
