package brantas.op;

/// How many rows an op works on, and how they may be computed: rows `[0, singles)` are each the
/// only row of their sequence, rows `[singles, rows)` belong to sequences with several. A backend
/// may use another kernel for each kind, and must choose by this alone: then a sequence gives the
/// same bits in every batch.
///
/// @param singles rows that are alone in their sequence; they come first
/// @param rows all rows
public record RowSpan(int singles, int rows) {
    /// Checks the order.
    public RowSpan {
        if (singles < 0 || singles > rows) {
            throw new IllegalArgumentException(singles + " single rows of " + rows);
        }
    }
}
