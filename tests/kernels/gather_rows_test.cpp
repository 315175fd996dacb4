// The gather copies: every result is compared bit for bit. Widths around the unit of eight and one pass of the block, windows
// inside the outputs, more blocks than the window has rows, and poison in the rows that nobody asks for.
#include "matrix.hpp"
#include "step_block.hpp"

#include "../../cuda-kernels/gather_rows.cu"

namespace {

constexpr i32 ROWS = 9;
constexpr i32 OUTPUTS = 5;

struct Setup {
    explicit Setup(i32 hidden) : src(ROWS, hidden, 0, "src"), dst(OUTPUTS, hidden, 2, "dst"), step(std::vector<TestSequence>{{ROWS}}, OUTPUTS) {
        Random random(static_cast<u64>(hidden));
        src.randomize(random);
        i32 wanted[OUTPUTS] = {0, 3, 4, 7, 8};
        for (i32 o = 0; o < OUTPUTS; o++) step.output_row(o) = wanted[o];
        for (i32 r : {1, 2, 5, 6}) src.poison_row(r);
    }

    void run(Rows rows) {
        launch(KERNEL_OF(gather_rows), {rows.to - rows.from}, 256, 0,
               GatherRowsArgs{dst.address(), src.address(), step.address(), rows, src.cols(), dst.stride(), src.stride(), 0});
    }

    void check_row(i32 row) {
        i32 from = step.output_row(step.step().window_from + row);
        for (i32 c = 0; c < src.cols(); c++)
            check_equal(dst.at(row, c).bits, src.at(from, c).bits, "column " + std::to_string(c));
    }

    TestMatrix<bf16> src;
    TestMatrix<bf16> dst;
    StepBlock step;
};

}  // namespace

TEST(gather_rows_copies_all_outputs) {
    for_all_schedules([](const Schedule&) {
        for (i32 hidden : {1, 7, 8, 9, 64, 2048, 2051}) {
            Setup s(hidden);
            s.run({0, 0, OUTPUTS});
            for (i32 o = 0; o < OUTPUTS; o++) s.check_row(o);
            s.dst.check_untouched_outside(0, OUTPUTS);
        }
    });
}

TEST(gather_rows_stays_inside_the_window) {
    for_all_schedules([](const Schedule&) {
        for (i32 from = 0; from < OUTPUTS; from++) {
            for (i32 count = 0; from + count <= OUTPUTS; count++) {
                Setup s(24);
                s.step.step().window_from = from;
                s.step.step().window_rows = count;
                s.run({0, 0, OUTPUTS});
                for (i32 o = 0; o < count; o++) s.check_row(o);
                s.dst.check_untouched_outside(0, count);
            }
        }
    });
}

TEST(gather_rows_follows_the_live_count) {
    for_all_schedules([](const Schedule&) {
        Setup s(40);
        s.step.step().singles = 3;
        s.run(s.step.live_rows(s.step.step().singles, 1, OUTPUTS));
        for (i32 o = 1; o < 3; o++) s.check_row(o);
        s.dst.check_untouched_outside(1, 3);
    });
}

/// Rows of 2³⁰ elements: from row 2 on they begin at an index that fits no 32 bits; only what is touched costs memory.
TEST(gather_rows_beyond_32_bits) {
    constexpr i32 FAR_STRIDE = 1 << 30;
    Setup s(40);
    DeviceArray<bf16> src(size_t{8} * FAR_STRIDE + 40, "src");
    for (i32 r = 0; r < ROWS; r++)
        for (i32 c = 0; c < 40; c++) src[static_cast<size_t>(r) * FAR_STRIDE + static_cast<size_t>(c)] = s.src.at(r, c);
    launch(KERNEL_OF(gather_rows), {OUTPUTS}, 256, 0,
           GatherRowsArgs{s.dst.address(), src.address(), s.step.address(), {0, 0, OUTPUTS}, 40, s.dst.stride(), FAR_STRIDE, 0});
    for (i32 o = 0; o < OUTPUTS; o++) s.check_row(o);
}
