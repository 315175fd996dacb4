package brantas.engine;

import brantas.cache.PagePool;
import brantas.cache.SequenceCache;
import brantas.cache.SlotPool;
import brantas.model.ModelState;
import brantas.model.Qwen35;
import brantas.model.Workspace;
import brantas.op.StepBatch;
import brantas.spi.Tap;
import brantas.tensor.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Feeds given sequences through a model, all in one ragged batch, in pieces of given lengths, and
/// hands out the logits of every position. What parity checks, scoring and evaluation use; no
/// sampling.
public final class TeacherForcing {
    private static final int MOST_ROWS = 4096;
    private static final long LOGITS_BYTES = 64L << 20;

    private final Qwen35 model;
    private final List<int[]> sequences;
    private final Pieces pieces;
    private final Sink sink;
    private final List<Run> runs = new ArrayList<>();

    /// Receives rows as they are computed, each row of each sequence exactly once and in order.
    public interface Sink {
        /// @param sequence index of the sequence
        /// @param position of the first row
        /// @param rows fp32 `[count, vocabulary]`
        void logits(int sequence, int position, int count, MemorySegment rows);

        /// @param rows fp32 `[count, hidden]`, the residual stream after block `layer`
        void hidden(int layer, int sequence, int position, int count, MemorySegment rows);

        /// Whether [#hidden] is wanted.
        boolean taps();
    }

    /// How a sequence is cut: pieces of these lengths, the rest last.
    ///
    /// @param lengths positive
    /// @param each whether every token is a piece of its own
    public record Pieces(List<Integer> lengths, boolean each) {
        /// In one piece.
        public static final Pieces WHOLE = new Pieces(List.of(), false);

        int next(int index, int left) {
            if (each) {
                return 1;
            }
            return index < lengths.size() ? Math.min(lengths.get(index), left) : left;
        }
    }

    private static final class Run {
        final int index;
        final int[] ids;
        final SequenceCache cache;
        int done;
        int piece;
        int left;
        int take;

        Run(int index, int[] ids, SequenceCache cache) {
            this.index = index;
            this.ids = ids;
            this.cache = cache;
        }

        /// Rows of the next step: what is left of the current piece, cut as the scheduler cuts.
        void plan(Pieces pieces) {
            if (left == 0) {
                left = pieces.next(piece++, ids.length - done);
            }
            take = Math.min(left, Scheduler.PREFILL_CHUNK);
        }
    }

    private TeacherForcing(Qwen35 model, List<int[]> sequences, Pieces pieces, Sink sink) {
        this.model = model;
        this.sequences = sequences;
        this.pieces = pieces;
        this.sink = sink;
    }

    /// Runs everything; the memory it makes lives as long as the model's backend.
    public static void run(Qwen35 model, List<int[]> sequences, Pieces pieces, Sink sink) {
        new TeacherForcing(model, sequences, pieces, sink).run();
    }

    private void run() {
        long positions = 0;
        int rows = 0;
        for (int[] ids : sequences) {
            positions +=
                    (ids.length + Engine.PAGE_SIZE - 1)
                            / Engine.PAGE_SIZE
                            * (long) Engine.PAGE_SIZE;
            rows += Math.min(ids.length, Scheduler.PREFILL_CHUNK);
        }
        rows = Math.max(Math.min(rows, MOST_ROWS), Scheduler.PREFILL_CHUNK);
        int vocabulary = model.config().vocabSize();
        int outputs = Math.clamp(LOGITS_BYTES / (4L * vocabulary), 16, rows);
        PagePool pages =
                new PagePool(Math.toIntExact(positions / Engine.PAGE_SIZE), Engine.PAGE_SIZE);
        SlotPool slots = new SlotPool(sequences.size());
        ModelState state =
                new ModelState(
                        model.ops(),
                        model.config(),
                        pages.total(),
                        Engine.PAGE_SIZE,
                        sequences.size());
        Workspace ws = Workspace.of(model.ops(), model.config(), rows, sequences.size(), outputs);
        for (int i = 0; i < sequences.size(); i++) {
            int[] ids = sequences.get(i);
            runs.add(new Run(i, ids, SequenceCache.admit(pages, slots, ids.length)));
        }
        StepBatch batch = new StepBatch(rows, sequences.size(), pages.total());
        Runnable forward = () -> model.forward(batch, state, ws, Tap.NONE);
        try (Arena arena = Arena.ofConfined()) {
            int wide = Math.max(outputs * vocabulary, rows * model.config().hiddenSize());
            MemorySegment scratch = arena.allocate(4L * wide, 64);
            List<Run> step = plan(rows);
            while (!step.isEmpty()) {
                fill(step, batch);
                if (sink.taps()) {
                    List<Run> now = step;
                    model.ops().begin(batch);
                    model.forward(
                            batch,
                            state,
                            ws,
                            (layer, hidden, n) -> hidden(now, batch, layer, hidden, scratch));
                } else {
                    model.ops().step(batch, forward);
                }
                logits(step, batch, ws, scratch);
                for (Run run : step) {
                    run.done += run.take;
                    run.left -= run.take;
                }
                step = plan(rows);
            }
        }
    }

    /// Sequences of the next step: those with one row first, as many as fit.
    private List<Run> plan(int rows) {
        List<Run> one = new ArrayList<>();
        List<Run> several = new ArrayList<>();
        int used = 0;
        for (Run run : runs) {
            if (run.done < run.ids.length) {
                run.plan(pieces);
                if (used + run.take <= rows) {
                    (run.take == 1 ? one : several).add(run);
                    used += run.take;
                }
            }
        }
        one.addAll(several);
        return one;
    }

    private static void fill(List<Run> step, StepBatch batch) {
        batch.clear();
        for (Run run : step) {
            batch.addSequence(run.done, run.cache.slot());
            for (int p = 0; p <= (run.done + run.take - 1) / Engine.PAGE_SIZE; p++) {
                batch.addPage(run.cache.page(p));
            }
            for (int t = run.done; t < run.done + run.take; t++) {
                batch.addRow(run.ids[t], t, t, t, true);
            }
        }
        batch.seal();
    }

    private void hidden(
            List<Run> step, StepBatch batch, int layer, Buffer hidden, MemorySegment scratch) {
        long width = 4L * hidden.cols();
        for (int s = 0; s < step.size(); s++) {
            Run run = step.get(s);
            model.ops().download(scratch, hidden, batch.rowStart(s), run.take);
            sink.hidden(layer, run.index, run.done, run.take, scratch.asSlice(0, run.take * width));
        }
    }

    private void logits(List<Run> step, StepBatch batch, Workspace ws, MemorySegment scratch) {
        int all = batch.outputs();
        long width = 4L * ws.logits().cols();
        int window = ws.logits().rows();
        for (int from = 0; from < all; from += window) {
            int count = Math.min(window, all - from);
            batch.window(from, count);
            model.logits(batch, ws);
            model.ops().download(scratch, ws.logits(), 0, count);
            for (int s = 0; s < step.size(); s++) {
                int low = Math.max(batch.rowStart(s), from);
                int high = Math.min(batch.rowStart(s) + step.get(s).take, from + count);
                if (low < high) {
                    Run run = step.get(s);
                    MemorySegment rows =
                            scratch.asSlice((low - from) * width, (high - low) * width);
                    sink.logits(run.index, run.done + low - batch.rowStart(s), high - low, rows);
                }
            }
        }
    }
}
