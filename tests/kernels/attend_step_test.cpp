// Attention of single rows against the formula in fp64: all group sizes, lengths on the edges of tiles and splits, more
// positions than 64 smallest splits hold, pages of all sizes and lost ones, scores that are all equal or that one position
// dominates, and not-a-number wherever nothing may be read. Bits must depend neither on the company nor on the grid's bound
// nor on which block comes last, and must be those of attend_chunk where a sequence has one split. Every launch must leave
// the counters of arrivals as it found them, at zero.
#include "attention_problem.hpp"

#include "../../cuda-kernels/attend_chunk.cu"
#include "../../cuda-kernels/attend_step.cu"

namespace {

i32 splits_of(i32 length) {
    i32 size = split_size(length);
    return (length + size - 1) / size;
}

AttendStepArgs arguments(AttentionRun& on, DeviceArray<f32>& partials, DeviceArray<u32>& arrivals, i32 splits) {
    return {on.dst.address(), on.q.address(), on.projected.address(), on.keys.address(), on.values.address(),
            partials.address(), arrivals.address(), on.step.address(), on.dst.stride(), on.q.stride(), on.projected.stride(),
            on.shape.kv_heads, on.shape.group, on.shape.page_size, splits, 0};
}

/// A launch for up to `spare` more rows and splits than there are.
void run(AttentionRun& on, const std::vector<TestSequence>& sequences, i32 spare) {
    i32 singles = on.step.step().singles, splits = 1;
    for (i32 s = 0; s < singles; s++) splits = std::max(splits, splits_of(sequences[static_cast<size_t>(s)].past + 1));
    splits += spare;
    i32 rows = singles + spare, heads = on.shape.heads();
    DeviceArray<f32> partials(static_cast<size_t>(rows) * static_cast<size_t>(heads * splits * PARTIAL), "partials");
    DeviceArray<u32> arrivals(std::vector<u32>(static_cast<size_t>(rows * on.shape.kv_heads), 0), "arrivals");
    AttendStepArgs args = arguments(on, partials, arrivals, splits);
    launch(KERNEL_OF(attend_step), {splits, on.shape.kv_heads, rows}, 128, sizeof(StepShared), args);
    for (u32 left : arrivals.span()) check_equal(left, 0u, "arrivals");
    // Rows of one split leave nothing behind, and nobody writes behind the splits that a row has.
    for (i32 r = 0; r < rows; r++) {
        i32 own = r < singles ? splits_of(sequences[static_cast<size_t>(r)].past + 1) : 0;
        for (i32 split = own > 1 ? own : 0; split < splits; split++)
            for (i32 h = 0; h < heads; h++)
                CHECK(partials.is_untouched(static_cast<size_t>(((r * heads + h) * splits + split) * PARTIAL)));
    }
}

void check_once(const AttentionProblem& problem) {
    AttentionRun on(problem);
    run(on, problem.sequences(), AttentionRun::SPARE);
    problem.check_rows(on.dst, 0, on.step.step().singles);
    on.dst.check_untouched_outside(0, on.step.step().singles);
}

void check_problem(const AttentionProblem& problem) {
    for_all_schedules([&](const Schedule&) { check_once(problem); });
}

std::vector<TestSequence> singles(const std::vector<i32>& pasts) {
    std::vector<TestSequence> sequences;
    for (i32 past : pasts) sequences.push_back({1, past});
    return sequences;
}

}  // namespace

TEST(attend_step_all_groups) {
    for (i32 group : {1, 2, 3, 4, 6, 8, 16}) {
        check_problem({{1, group, 32}, singles({0, 1, 31, 32, 100, 300}), {}});
        check_problem({{2, group, 32}, singles({30, 33, 260}), {}});
    }
}

TEST(attend_step_edges_of_tiles_and_splits) {
    check_problem({{1, 4, 32}, singles({2, 14, 15, 16, 62, 63, 64, 126, 127, 128, 254, 255, 256, 511, 512, 700}), {}});
}

TEST(attend_step_more_than_the_smallest_splits_hold) {
    check_equal(splits_of(16384), 64, "splits");
    check_equal(splits_of(16385), 57, "splits");
    for (i32 length = 1; length < 300000; length += 1 + length / 37) {
        CHECK(split_size(length) % KEYS == 0 && splits_of(length) <= MAX_SPLITS);
        CHECK(split_size(length) * (splits_of(length) - 1) < length);
    }
    // In one order only: what is new here is arithmetic.
    check_once({{1, 1, 24}, singles({16384, 5000}), {}});
    check_once({{1, 2, 32}, singles({16383}), {}});
}

TEST(attend_step_page_sizes) {
    for (i32 page : {1, 5, 16, 24, 32, 64}) check_problem({{2, 4, page}, singles({0, 31, 99, 260}), {}});
}

TEST(attend_step_leaves_longer_sequences_alone) {
    check_problem({{2, 4, 32}, {{1, 40}, {1, 0}, {1, 7}, {5, 0}, {40, 20}}, {}});
    check_problem({{1, 4, 32}, {{5, 0}, {4, 20}}, {}});
}

TEST(attend_step_equal_scores) {
    check_problem({{2, 2, 32}, singles({0, 32, 100, 600}), {.query_scale = 0}});
}

TEST(attend_step_dominant_scores) {
    for (double score : {80.0, -80.0}) check_problem({{1, 4, 32}, singles({4, 31, 100, 600}), {.dominant_score = score}});
}

TEST(attend_step_skips_lost_pages) {
    for (i32 page : {5, 32}) check_problem({{1, 4, page}, singles({20, 33, 95, 600}), {.lost = page == 5 ? 0 : 1}});
    for (i32 lost : {0, 1}) check_problem({{1, 4, 256}, singles({600}), {.lost = lost}});  // a whole split
}

TEST(attend_step_gives_zeros_where_nothing_is_seen) {
    for_all_schedules([](const Schedule&) {
        AttentionProblem problem({1, 4, 32}, singles({300}));
        TestSequence lost = problem.sequence(0);
        lost.pages.assign(lost.pages.size(), -1);
        AttentionRun on(problem, {lost}, {0});
        run(on, {lost}, 0);
        for (i32 c = 0; c < on.width; c++) check_close(on.dst.at(0, c), 0.0, 0.0);
    });
}

TEST(attend_step_bits_depend_on_nothing_else) {
    AttentionProblem problem({2, 3, 32}, singles({9, 1000, 300, 31}));
    for_all_schedules([&](const Schedule&) {
        AttentionRun together(problem);
        run(together, problem.sequences(), 0);
        for (i32 s = 0; s < problem.count(); s++) {
            AttentionRun alone(problem, {problem.sequence(s)}, {s});
            run(alone, {problem.sequence(s)}, 7);
            alone.check_same(0, together, s);
        }
    });
}

TEST(attend_step_bits_do_not_depend_on_which_block_is_last) {
    AttentionProblem problem({2, 9, 32}, singles({2600, 400}), {.dominant_score = 20});
    std::vector<bf16> first;
    for_all_schedules([&](const Schedule&) {
        AttentionRun on(problem);
        run(on, problem.sequences(), 1);
        std::vector<bf16> now;
        for (i32 r = 0; r < on.count; r++)
            for (i32 c = 0; c < on.width; c++) now.push_back(on.dst.at(r, c));
        if (first.empty()) first = now;
        for (size_t i = 0; i < now.size(); i++) check_equal(now[i].bits, first[i].bits);
    });
}

TEST(attend_step_has_the_bits_of_attend_chunk) {
    AttentionProblem problem({2, 6, 32}, singles({0, 5, 31, 32, 200, 255}));
    for_all_schedules([&](const Schedule&) {
        AttentionRun steps(problem), chunks(problem);
        run(steps, problem.sequences(), 0);
        chunks.step.step().singles = 0;
        launch(KERNEL_OF(attend_chunk), {problem.count(), chunks.shape.kv_heads}, 128, sizeof(ChunkShared),
               AttendChunkArgs{chunks.dst.address(), chunks.q.address(), chunks.projected.address(), chunks.keys.address(),
                               chunks.values.address(), chunks.step.address(), chunks.dst.stride(), chunks.q.stride(),
                               chunks.projected.stride(), chunks.shape.kv_heads, chunks.shape.group, chunks.shape.page_size});
        for (i32 r = 0; r < problem.rows(); r++) steps.check_same(r, chunks, r);
    });
}

TEST(attend_step_refuses_a_grid_with_too_few_splits) {
    AttentionProblem problem({1, 1, 32}, singles({256}));
    AttentionRun on(problem);
    DeviceArray<f32> partials(PARTIAL, "partials");
    DeviceArray<u32> arrivals(std::vector<u32>(1, 0), "arrivals");
    AttendStepArgs args = arguments(on, partials, arrivals, 1);
    std::string violation = launch_violation(KERNEL_OF(attend_step), {1, 1, 1}, 128, sizeof(StepShared), &args, sizeof args);
    CHECK(violation.find("the kernel stopped itself") != std::string::npos);
}
