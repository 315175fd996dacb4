package brantas.op;

import brantas.settings.Sampling;
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
    private final int[] counted;
    private final int[] pageStart;
    private final int[] pages;
    private final int[] outputRow;
    private final Sampling[] sampling;
    private final long[] drawPosition;
    private final int maxRows;
    private int sequences;
    private int singles;
    private int outputs;
    private int outputSingles;
    private int windowFrom;
    private RowSpan span = new RowSpan(0, 0, RowSpan.Of.STEP);
    private RowSpan outputSpan = new RowSpan(0, 0, RowSpan.Of.OUTPUTS);

    /// @param maxRows rows a step may have
    /// @param maxSequences sequences a step may have
    /// @param maxPages pages that all its sequences may hold together
    public StepBatch(int maxRows, int maxSequences, int maxPages) {
        this.maxRows = maxRows;
        tokens = new int[maxRows];
        positions = new int[3 * maxRows];
        outputRow = new int[maxRows];
        rowStart = new int[maxSequences + 1];
        past = new int[maxSequences];
        slot = new int[maxSequences];
        counted = new int[maxSequences];
        pageStart = new int[maxSequences + 1];
        pages = new int[maxPages];
        sampling = new Sampling[maxRows];
        drawPosition = new long[maxRows];
        Arrays.fill(sampling, Sampling.GREEDY);
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
        counted[sequences] = -1;
        sequences++;
        rowStart[sequences] = rowStart[sequences - 1];
        pageStart[sequences] = pageStart[sequences - 1];
    }

    /// Appends a page to the page table of the current sequence.
    public void addPage(int page) {
        pages[pageStart[sequences]++] = page;
    }

    /// Has the tokens of the current sequence counted for penalties.
    ///
    /// @param promptLength tokens at its beginning that were given
    public void countTokens(int promptLength) {
        counted[sequences - 1] = promptLength;
    }

    /// Says how the token after the last output is drawn; greedily if nothing is said.
    ///
    /// @param position index of the drawn token in its sequence
    public void draw(Sampling how, long position) {
        sampling[outputs - 1] = how;
        drawPosition[outputs - 1] = position;
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
            sampling[outputs] = Sampling.GREEDY;
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
        boolean same = old.singles() == singles && old.rows() == rows;
        return same ? old : new RowSpan(singles, rows, old.of());
    }

    /// Rows a step may have.
    public int maxRows() {
        return maxRows;
    }

    /// Sequences a step may have.
    public int maxSequences() {
        return slot.length;
    }

    /// Pages that all sequences of a step may hold together.
    public int maxPages() {
        return pages.length;
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

    /// Prompt length of a sequence whose tokens are counted for penalties, or −1.
    public int counted(int sequence) {
        return counted[sequence];
    }

    /// Pages in all page tables together.
    public int pages() {
        return pageStart[sequences];
    }

    /// Pages in the sequence's page table.
    public int pageCount(int sequence) {
        return pageStart[sequence + 1] - pageStart[sequence];
    }

    /// Page `index` of the sequence's page table.
    public int page(int sequence, int index) {
        return pages[pageStart[sequence] + index];
    }

    /// First output of the window.
    public int windowFrom() {
        return windowFrom;
    }

    /// Row that output `index` of the window stands for.
    public int outputRow(int index) {
        return outputRow[windowFrom + index];
    }

    /// Row that output `index`, counted from the first of all, stands for.
    public int outputRowOfAll(int index) {
        return outputRow[index];
    }

    /// The sequence that a row belongs to.
    public int sequenceOf(int row) {
        int at = Arrays.binarySearch(rowStart, 0, sequences + 1, row);
        return at >= 0 ? at : -at - 2;
    }

    /// How the token after output `index`, counted from the first of all, is drawn.
    public Sampling sampling(int index) {
        return sampling[index];
    }

    /// Index of that token in its sequence.
    public long drawPosition(int index) {
        return drawPosition[index];
    }
}
