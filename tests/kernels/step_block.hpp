// A step block in device memory for kernel tests: built from a list of sequences the way the host builds one from its batch,
// every array exactly as long as the batch needs, so that an index beyond it is an error. Tokens, positions and output rows
// start as zeros and are set by the test.
#pragma once
#include "common/step.cuh"
#include "harness.hpp"

/// A sequence's part in the step.
struct TestSequence {
    i32 rows;
    i32 past = 0;
    i32 slot = -1;
    std::vector<i32> pages = {};
};

class StepBlock {
public:
    explicit StepBlock(const std::vector<TestSequence>& sequences, i32 outputs = 0)
        : bytes_(static_cast<size_t>(lay_out(sequences, outputs)), "step block") {
        Step& step = this->step();
        step = layout_;
        i32 row = 0, page = 0, s = 0;
        for (const TestSequence& sequence : sequences) {
            array(step.at_row_start)[s] = row;
            array(step.at_past)[s] = sequence.past;
            array(step.at_slot)[s] = sequence.slot;
            array(step.at_counted)[s] = -1;
            array(step.at_page_start)[s] = page;
            for (i32 r = 0; r < sequence.rows; r++) array(step.at_sequence)[row++] = s;
            for (i32 p : sequence.pages) array(step.at_pages)[page++] = p;
            s++;
        }
        array(step.at_row_start)[s] = row;
        array(step.at_page_start)[s] = page;
        for (i32 r = 0; r < row; r++) {
            token(r) = 0;
            for (i32 axis = 0; axis < 3; axis++) position(axis, r) = 0;
        }
        for (i32 o = 0; o < outputs; o++) output_row(o) = 0;
    }

    u64 address() const { return bytes_.address(); }
    Step& step() { return *reinterpret_cast<Step*>(bytes_.data()); }
    i32 rows() { return step().rows; }
    /// First row of a sequence.
    i32 row_start(i32 sequence) { return array(step().at_row_start)[sequence]; }
    i32& token(i32 row) { return array(step().at_tokens)[row]; }
    i32& position(i32 axis, i32 row) { return array(step().at_positions)[axis * step().rows + row]; }
    i32& output_row(i32 output) { return array(step().at_output_row)[output]; }
    Draw& draw(i32 output) { return reinterpret_cast<Draw*>(array(step().at_draws))[output]; }

    /// Rows [from, to) and not beyond a count in the block.
    Rows live_rows(const i32& live, i32 from, i32 to) const { return {reinterpret_cast<u64>(&live), from, to}; }

private:
    i32* array(i32 at) { return reinterpret_cast<i32*>(bytes_.data() + at); }

    i32 lay_out(const std::vector<TestSequence>& sequences, i32 outputs) {
        i32 count = static_cast<i32>(sequences.size()), rows = 0, pages = 0, singles = 0;
        while (singles < count && sequences[static_cast<size_t>(singles)].rows == 1) singles++;
        for (const TestSequence& sequence : sequences) {
            rows += sequence.rows;
            pages += static_cast<i32>(sequence.pages.size());
        }
        i32 end = sizeof(Step);
        auto place = [&](i32 elements) {
            i32 at = end;
            end += 4 * elements;
            return at;
        };
        layout_ = {rows, count, singles, outputs, 0, outputs, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        layout_.at_tokens = place(rows);
        layout_.at_positions = place(3 * rows);
        layout_.at_sequence = place(rows);
        layout_.at_row_start = place(count + 1);
        layout_.at_past = place(count);
        layout_.at_slot = place(count);
        layout_.at_counted = place(count);
        layout_.at_page_start = place(count + 1);
        layout_.at_pages = place(pages);
        layout_.at_output_row = place(outputs);
        end = (end + 7) / 8 * 8;
        layout_.at_draws = end;
        return end + outputs * static_cast<i32>(sizeof(Draw));
    }

    Step layout_{};
    DeviceArray<unsigned char> bytes_;
};
