package brantas.op;

/// How many rows an op works on, and how they may be computed: rows `[0, singles)` are each the
/// only row of their sequence, rows `[singles, rows)` belong to sequences with several. A backend
/// may use another kernel for each kind, and must choose by this alone: then a sequence gives the
/// same bits in every batch.
///
/// @param singles rows that are alone in their sequence; they come first
/// @param rows all rows
/// @param of what is counted: a backend that records a step replays it with other counts
public record RowSpan(int singles, int rows, Of of) {
    /// What the rows of a span are.
    public enum Of {
        /// All rows of the step.
        STEP,
        /// The outputs in the step's window.
        OUTPUTS,
        /// Rows that belong to no step.
        FREE
    }

    /// Checks the order.
    public RowSpan {
        if (singles < 0 || singles > rows) {
            throw new IllegalArgumentException(singles + " single rows of " + rows);
        }
    }

    /// Rows that belong to no step.
    public RowSpan(int singles, int rows) {
        this(singles, rows, Of.FREE);
    }
}
