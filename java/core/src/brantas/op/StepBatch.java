package brantas.op;

import java.util.Arrays;

/// One step of the engine as arrays: the rows (tokens) of every sequence that takes part, where
/// each continues, and which rows need logits. Filled by one class, read by all ops; arrays are
/// allocated once. Sequences with one row come first (see [RowSpan]).
public final class StepBatch {
    private final int[] tokens;
    private final int[] positions;
    private final int[] rowStart;
    private final int[] past;
    private final int[] slot;
    private final int[] pageStart;
    private int[] pages;
    private final int[] outputRow;
    private final int maxRows;
    private int sequences;
    private int singles;
    private int outputs;
    private int outputSingles;
    private int windowFrom;
    private RowSpan span = new RowSpan(0, 0);
    private RowSpan outputSpan = new RowSpan(0, 0);

    /// @param maxRows rows a step may have
    /// @param maxSequences sequences a step may have
    public StepBatch(int maxRows, int maxSequences) {
        this.maxRows = maxRows;
        tokens = new int[maxRows];
        positions = new int[3 * maxRows];
        outputRow = new int[maxRows];
        rowStart = new int[maxSequences + 1];
        past = new int[maxSequences];
        slot = new int[maxSequences];
        pageStart = new int[maxSequences + 1];
        pages = new int[16];
    }

    /// Forgets everything.
    public void clear() {
        sequences = 0;
        singles = 0;
        outputs = 0;
        outputSingles = 0;
        rowStart[0] = 0;
        pageStart[0] = 0;
    }

    /// Begins a sequence: its rows follow by [#addRow].
    ///
    /// @param pastTokens tokens that caches already hold
    /// @param stateSlot slot of its recurrent state
    public void addSequence(int pastTokens, int stateSlot) {
        past[sequences] = pastTokens;
        slot[sequences] = stateSlot;
        sequences++;
        rowStart[sequences] = rowStart[sequences - 1];
        pageStart[sequences] = pageStart[sequences - 1];
    }

    /// Appends a page to the page table of the current sequence.
    public void addPage(int page) {
        int at = pageStart[sequences];
        if (at == pages.length) {
            pages = Arrays.copyOf(pages, 2 * at);
        }
        pages[at] = page;
        pageStart[sequences]++;
    }

    /// Appends a token to the current sequence.
    ///
    /// @param output whether its logits are wanted
    public void addRow(int token, int t, int h, int w, boolean output) {
        int row = rowStart[sequences];
        tokens[row] = token;
        positions[row] = t;
        positions[maxRows + row] = h;
        positions[2 * maxRows + row] = w;
        if (output) {
            outputRow[outputs++] = row;
        }
        rowStart[sequences]++;
    }

    /// Closes the batch; `singles` and the spans are derived here.
    public void seal() {
        singles = 0;
        while (singles < sequences && rowCount(singles) == 1) {
            singles++;
        }
        for (int s = singles; s < sequences; s++) {
            if (rowCount(s) == 1) {
                throw new IllegalStateException("a single-row sequence stands behind a longer one");
            }
        }
        outputSingles = 0;
        int o = 0;
        boolean several = false;
        for (int s = 0; s < sequences; s++) {
            int from = o;
            while (o < outputs && outputRow[o] < rowStart[s + 1]) {
                o++;
            }
            if (o - from == 1 && !several) {
                outputSingles++;
            } else if (o - from == 1) {
                throw new IllegalStateException("a single output stands behind several");
            } else if (o > from) {
                several = true;
            }
        }
        span = renew(span, singles, rows());
        window(0, outputs);
    }

    /// Narrows the outputs to `count` of them from `from` on, for logits in pieces; [#outputs]
    /// still counts all.
    public void window(int from, int count) {
        windowFrom = from;
        outputSpan = renew(outputSpan, Math.clamp((long) outputSingles - from, 0, count), count);
    }

    /// Rows whose logits are wanted, whatever the window.
    public int outputs() {
        return outputs;
    }

    private static RowSpan renew(RowSpan old, int singles, int rows) {
        return old.singles() == singles && old.rows() == rows ? old : new RowSpan(singles, rows);
    }

    /// Rows in the batch.
    public int rows() {
        return rowStart[sequences];
    }

    /// Sequences in the batch.
    public int sequences() {
        return sequences;
    }

    /// All rows.
    public RowSpan span() {
        return span;
    }

    /// The rows of the window whose logits are wanted.
    public RowSpan outputSpan() {
        return outputSpan;
    }

    /// Token id of a row.
    public int token(int row) {
        return tokens[row];
    }

    /// Position of a row on axis 0 (t), 1 (h) or 2 (w).
    public int position(int axis, int row) {
        return positions[axis * maxRows + row];
    }

    /// First row of a sequence.
    public int rowStart(int sequence) {
        return rowStart[sequence];
    }

    /// Rows of a sequence.
    public int rowCount(int sequence) {
        return rowStart[sequence + 1] - rowStart[sequence];
    }

    /// Tokens of the sequence that caches hold from earlier steps.
    public int past(int sequence) {
        return past[sequence];
    }

    /// State slot of the sequence.
    public int slot(int sequence) {
        return slot[sequence];
    }

    /// Page `index` of the sequence's page table.
    public int page(int sequence, int index) {
        return pages[pageStart[sequence] + index];
    }

    /// Row that output `index` of the window stands for.
    public int outputRow(int index) {
        return outputRow[windowFrom + index];
    }
}
