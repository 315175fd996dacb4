// Counting tokens against a plain loop: several sequences, prompts that end before, inside and behind the step, sequences that
// are not counted or have no slot, ids seen again and again, and a padded bucket of rows.
#include "step_block.hpp"

#include "../../cuda-kernels/count_tokens.cu"

namespace {

constexpr i32 VOCABULARY = 50, STRIDE = 52, SLOTS = 6;

struct Counted {
    TestSequence sequence;
    i32 prompt;  // −1: not counted
};

void check(const std::vector<Counted>& sequences, i32 bucket, i32 steps, u64 stream) {
    Random random(stream);
    std::vector<TestSequence> plain;
    for (const Counted& c : sequences) plain.push_back(c.sequence);
    StepBlock step(plain);
    DeviceArray<u32> counts(static_cast<size_t>(SLOTS * STRIDE), "counts");
    for (i32 slot = 0; slot < SLOTS; slot++)
        for (i32 id = 0; id < VOCABULARY; id++) counts[static_cast<size_t>(slot * STRIDE + id)] = 0;
    std::vector<u32> expected = counts.values();
    for (i32 turn = 0; turn < steps; turn++) {
        for (size_t s = 0; s < sequences.size(); s++) {
            i32* base = reinterpret_cast<i32*>(step.address());
            auto array = [&](i32 at) { return base + at / 4; };
            const i32 past = sequences[s].sequence.past + turn * sequences[s].sequence.rows;
            array(step.step().at_past)[s] = past;
            array(step.step().at_counted)[s] = sequences[s].prompt;
            for (i32 r = 0; r < sequences[s].sequence.rows; r++) {
                const i32 row = step.row_start(static_cast<i32>(s)) + r;
                const i32 token = static_cast<i32>(random.integer(0, 9)) * (VOCABULARY - 1) / 9;
                step.token(row) = token;
                if (sequences[s].prompt < 0 || sequences[s].sequence.slot < 0) continue;
                u32& count = expected[static_cast<size_t>(sequences[s].sequence.slot * STRIDE + token)];
                if (past + r < sequences[s].prompt) count |= 0x80000000u;
                else count++;
            }
        }
        const CountTokensArgs args = {counts.address(), step.address(), step.live_rows(step.step().rows, 0, bucket),
                                      VOCABULARY, STRIDE};
        launch(KERNEL_OF(count_tokens), {(bucket + 255) / 256}, 256, 0, args);
        for (size_t i = 0; i < expected.size(); i++) check_equal(counts[i], expected[i], "count " + std::to_string(i));
    }
}

}  // namespace

TEST(count_tokens_of_single_rows) {
    for_all_schedules([](const Schedule&) {
        check({{{1, 10, 2}, 11}, {{1, 4, 0}, 4}, {{1, 7, 3}, -1}, {{1, 9, -1}, 3}, {{1, 0, 5}, 0}}, 8, 6, 1);
    });
}

TEST(count_tokens_of_prompts) {
    for_all_schedules([](const Schedule&) {
        check({{{1, 3, 0}, 2}, {{300, 0, 1}, 300}, {{40, 100, 2}, 120}, {{5, 0, 3}, 1000}, {{2, 50, 4}, 10}}, 348, 2, 2);
    });
}

TEST(count_tokens_without_rows) {
    check({}, 16, 1, 3);
    check({{{1, 3, 0}, 2}}, 1, 1, 4);
}

/// The embedding reports such tokens; nothing is written here.
TEST(count_tokens_outside_the_vocabulary) {
    StepBlock step(std::vector<TestSequence>{{2, 0, 0}});
    reinterpret_cast<i32*>(step.address())[step.step().at_counted / 4] = 2;
    step.token(0) = -1;
    step.token(1) = VOCABULARY;
    DeviceArray<u32> counts(static_cast<size_t>(STRIDE), "counts");
    const CountTokensArgs args = {counts.address(), step.address(), {0, 0, 2}, VOCABULARY, STRIDE};
    launch(KERNEL_OF(count_tokens), {1}, 256, 0, args);
    for (size_t i = 0; i < counts.size(); i++) CHECK(counts.is_untouched(i));
}

/// Slot 4 of rows of 2²⁹ words begins at an index that fits no 32 bits; only what is touched costs memory.
TEST(count_tokens_in_a_slot_beyond_32_bits) {
    constexpr i32 FAR_STRIDE = 1 << 29;
    const size_t at = size_t{4} * FAR_STRIDE + 7;
    StepBlock step(std::vector<TestSequence>{{1, 3, 4}});
    reinterpret_cast<i32*>(step.address())[step.step().at_counted / 4] = 2;
    step.token(0) = 7;
    DeviceArray<u32> counts(at + 1, "counts");
    counts[at] = 20;
    launch(KERNEL_OF(count_tokens), {1}, 256, 0, CountTokensArgs{counts.address(), step.address(), {0, 0, 1}, VOCABULARY, FAR_STRIDE});
    check_equal(counts[at], 21u, "count");
}
