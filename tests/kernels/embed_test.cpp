// The embedding copies: every result is compared bit for bit. Widths around the unit of eight and around one pass of the
// block (2048), tokens on both edges of the vocabulary and outside it, part of the rows, and fewer live rows than blocks.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/embed.cu"

namespace {

constexpr i32 VOCABULARY = 13;
constexpr i32 ROWS = 7;

struct Setup {
    explicit Setup(i32 hidden)
        : table(VOCABULARY, hidden, 0, "table"), dst(ROWS, hidden, 1, "dst"), step(std::vector<TestSequence>{{ROWS}}), error(1, "error") {
        Random random(static_cast<u64>(hidden));
        table.randomize(random);
        for (i32 r = 0; r < ROWS; r++) step.token(r) = static_cast<i32>(random.integer(0, VOCABULARY - 1));
        step.token(0) = 0;
        step.token(1) = VOCABULARY - 1;
        error[0] = 0;
    }

    void run(Rows rows) {
        launch(KERNEL_OF(embed), {rows.to - rows.from}, 256, 0,
               EmbedArgs{dst.address(), table.address(), step.address(), error.address(), rows, table.cols(), dst.stride(),
                         table.stride(), VOCABULARY});
    }

    TestMatrix<bf16> table;
    TestMatrix<bf16> dst;
    StepBlock step;
    DeviceArray<u32> error;
};

void check_row(Setup& s, i32 row) {
    for (i32 c = 0; c < s.table.cols(); c++)
        check_equal(s.dst.at(row, c).bits, s.table.at(s.step.token(row), c).bits, "column " + std::to_string(c));
}

}  // namespace

TEST(embed_copies_the_rows_of_the_tokens) {
    for_all_schedules([](const Schedule&) {
        for (i32 hidden : {1, 7, 8, 9, 64, 2047, 2048, 2056, 4101}) {
            Setup s(hidden);
            s.run({0, 0, ROWS});
            for (i32 r = 0; r < ROWS; r++) check_row(s, r);
            s.dst.check_untouched_outside(0, ROWS);
            check_equal(s.error[0], 0u, "error");
        }
    });
}

TEST(embed_works_on_live_rows_only) {
    for_all_schedules([](const Schedule&) {
        Setup s(72);
        s.step.step().outputs = 5;  // any count in the block may limit the rows
        s.step.token(6) = 1 << 30;
        s.run(s.step.live_rows(s.step.step().outputs, 2, ROWS));
        for (i32 r = 2; r < 5; r++) check_row(s, r);
        s.dst.check_untouched_outside(2, 5);
        check_equal(s.error[0], 0u, "error");
    });
}

TEST(embed_gives_zeros_and_an_error_for_a_foreign_token) {
    for (i32 token : {-1, VOCABULARY, 0x7fffffff, -0x7fffffff - 1}) {
        for_all_schedules([&](const Schedule&) {
            Setup s(65);
            s.step.token(3) = token;
            s.error[0] = 4;  // other bits are kept
            s.run({0, 0, ROWS});
            for (i32 r = 0; r < ROWS; r++) {
                if (r != 3) check_row(s, r);
            }
            for (i32 c = 0; c < 65; c++) check_equal(s.dst.at(3, c).bits, static_cast<u16>(0), "column " + std::to_string(c));
            s.dst.check_untouched_outside(0, ROWS);
            check_equal(s.error[0], 5u, "error");
        });
    }
}

/// Rows of 2³⁰ elements: those of tokens from 2 on begin at an index that fits no 32 bits; only what is touched costs memory.
TEST(embed_of_a_table_beyond_32_bits) {
    constexpr i32 FAR_STRIDE = 1 << 30;
    Setup s(72);
    DeviceArray<bf16> table(size_t{3} * FAR_STRIDE + 72, "table");
    for (i32 r = 0; r < ROWS; r++) s.step.token(r) = r % 4;
    for (i32 token = 0; token < 4; token++)
        for (i32 c = 0; c < 72; c++) table[static_cast<size_t>(token) * FAR_STRIDE + static_cast<size_t>(c)] = s.table.at(token, c);
    launch(KERNEL_OF(embed), {ROWS}, 256, 0,
           EmbedArgs{s.dst.address(), table.address(), s.step.address(), s.error.address(), {0, 0, ROWS}, 72, s.dst.stride(),
                     FAR_STRIDE, 4});
    for (i32 r = 0; r < ROWS; r++) check_row(s, r);
}
