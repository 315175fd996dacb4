package brantas.cuda;

import brantas.cuda.driver.Graph;
import brantas.op.StepBatch;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Records steps in which every sequence has one row, and replays them: one launch in the place of
/// hundreds. A recording serves every step of its bucket: so many rows at most, and keys in so many
/// splits at most; the true numbers are in the step block. The first step of a kind is run, so that
/// everything it needs exists; the second is recorded.
final class StepRecorder {
    private static final int FINE = 8;

    private final CurrentStep step;
    private final Map<Kind, Entry> recorded = new HashMap<>();
    private @Nullable Kind lastKind;
    private @Nullable Entry last;

    /// Steps that one recording serves. Ops are told apart by identity.
    private record Kind(Runnable ops, int rows, int splits) {
        boolean is(Runnable otherOps, int otherRows, int otherSplits) {
            return ops.equals(otherOps) && rows == otherRows && splits == otherSplits;
        }
    }

    private static final class Entry {
        @Nullable Graph graph;
        boolean seen;
    }

    StepRecorder(CurrentStep step) {
        this.step = step;
    }

    /// Whether a step is of the kind that is recorded.
    static boolean recordable(StepBatch batch) {
        return batch.rows() > 0 && batch.span().singles() == batch.rows();
    }

    /// Rows of the smallest bucket that holds so many: powers of two up to eight, then multiples of
    /// eight.
    static int bucket(int rows) {
        return rows <= FINE
                ? Integer.highestOneBit(Math.max(1, 2 * rows - 1))
                : Math.ceilDiv(rows, FINE) * FINE;
    }

    /// Runs, records or replays the ops of the current step.
    ///
    /// @param splits that the keys of its longest sequence are cut into
    void run(Runnable ops, int splits) {
        int rows = bucket(step.batch().rows());
        int splitBucket = Integer.highestOneBit(Math.max(1, 2 * splits - 1));
        Entry entry = entry(ops, rows, splitBucket);
        if (!entry.seen) {
            entry.seen = true;
            ops.run();
            return;
        }
        Graph graph = entry.graph;
        if (graph == null) {
            step.record(rows, splitBucket);
            try {
                graph = Graph.capture(step.stream(), ops);
            } finally {
                step.record(0, 0);
            }
            entry.graph = graph;
        }
        graph.launch(step.stream());
    }

    private Entry entry(Runnable ops, int rows, int splits) {
        if (last != null && lastKind != null && lastKind.is(ops, rows, splits)) {
            return last;
        }
        lastKind = new Kind(ops, rows, splits);
        last = recorded.computeIfAbsent(lastKind, kind -> new Entry());
        return last;
    }
}
