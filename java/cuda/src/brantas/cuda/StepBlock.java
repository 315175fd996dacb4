package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Event;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Stream;
import brantas.op.StepBatch;
import brantas.settings.Sampling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The device image of a [StepBatch]: one block, written into pinned memory and uploaded by one
/// copy a step. Its layout is `Step` of `common/step.cuh`; arrays follow the header without gaps,
/// so that a small step is a small copy. Two pinned halves take turns: the host fills one while the
/// copy out of the other may still be under way.
public final class StepBlock {
    /// Bytes of `Step` and of `Draw`.
    static final int HEADER = 72;

    static final int DRAW = 48;

    private static final int ROWS_FIELD = 0;
    private static final int WINDOW_ROWS_FIELD = 20;

    private final Stream stream;
    private final DeviceMemory block;
    private final Half[] halves = new Half[2];
    private int turn;
    private int windowFrom;
    private int windowRows;
    private MemorySegment out = MemorySegment.NULL;
    private int at;

    /// @param copied recorded behind the last copy out of `memory`
    private record Half(PinnedMemory memory, Event copied) {}

    public StepBlock(Device device, Stream stream, StepBatch batch) {
        this.stream = stream;
        long bytes = capacity(batch);
        block = device.allocate("step", bytes);
        for (int i = 0; i < halves.length; i++) {
            halves[i] = new Half(device.allocatePinned("step", bytes), device.event(false));
        }
    }

    private static long capacity(StepBatch batch) {
        long rows = batch.maxRows();
        long sequences = batch.maxSequences();
        long ints = 6 * rows + 5 * sequences + batch.maxPages() + 16;
        return HEADER + 4 * ints + 8 + DRAW * rows;
    }

    /// Address of the block, fixed for its life.
    public long address() {
        return block.address();
    }

    /// Address of the count of rows.
    long rowsAddress() {
        return block.address() + ROWS_FIELD;
    }

    /// Address of the count of rows in the window of outputs.
    long windowRowsAddress() {
        return block.address() + WINDOW_ROWS_FIELD;
    }

    /// Uploads a batch.
    public void upload(StepBatch batch) {
        turn ^= 1;
        Half half = halves[turn];
        half.copied().synchronize();
        out = half.memory().segment();
        write(batch);
        stream.copyIn(block, 0, half.memory(), 0, at);
        stream.record(half.copied());
    }

    /// Uploads again if the window of outputs was moved since.
    void uploadWindow(StepBatch batch) {
        if (batch.windowFrom() != windowFrom || batch.outputSpan().rows() != windowRows) {
            upload(batch);
        }
    }

    private void write(StepBatch batch) {
        windowFrom = batch.windowFrom();
        windowRows = batch.outputSpan().rows();
        int rows = batch.rows();
        int sequences = batch.sequences();
        at = 0;
        put(rows);
        put(sequences);
        put(batch.span().singles());
        put(batch.outputs());
        put(windowFrom);
        put(windowRows);
        int tokens = HEADER;
        int positions = tokens + 4 * rows;
        int sequence = positions + 12 * rows;
        int rowStart = sequence + 4 * rows;
        int past = rowStart + 4 * (sequences + 1);
        int slot = past + 4 * sequences;
        int counted = slot + 4 * sequences;
        int pageStart = counted + 4 * sequences;
        int pages = pageStart + 4 * (sequences + 1);
        int outputRow = pages + 4 * batch.pages();
        int draws = outputRow + 4 * batch.outputs() + 7 & ~7;
        put(tokens);
        put(positions);
        put(sequence);
        put(rowStart);
        put(past);
        put(slot);
        put(counted);
        put(pageStart);
        put(pages);
        put(outputRow);
        put(draws);
        put(0);
        writeRows(batch);
        writeSequences(batch);
        for (int i = 0; i < batch.outputs(); i++) {
            put(batch.outputRowOfAll(i));
        }
        at = draws;
        for (int i = 0; i < batch.outputs(); i++) {
            writeDraw(batch, i);
        }
    }

    private void writeRows(StepBatch batch) {
        for (int r = 0; r < batch.rows(); r++) {
            put(batch.token(r));
        }
        for (int axis = 0; axis < 3; axis++) {
            for (int r = 0; r < batch.rows(); r++) {
                put(batch.position(axis, r));
            }
        }
        for (int s = 0; s < batch.sequences(); s++) {
            for (int r = 0; r < batch.rowCount(s); r++) {
                put(s);
            }
        }
    }

    private void writeSequences(StepBatch batch) {
        int n = batch.sequences();
        for (int s = 0; s <= n; s++) {
            put(batch.rowStart(s));
        }
        for (int s = 0; s < n; s++) {
            put(batch.past(s));
        }
        for (int s = 0; s < n; s++) {
            put(batch.slot(s));
        }
        for (int s = 0; s < n; s++) {
            put(batch.counted(s));
        }
        int pages = 0;
        put(0);
        for (int s = 0; s < n; s++) {
            pages += batch.pageCount(s);
            put(pages);
        }
        for (int s = 0; s < n; s++) {
            for (int p = 0; p < batch.pageCount(s); p++) {
                put(batch.page(s, p));
            }
        }
    }

    /// `Draw` of `common/step.cuh`.
    private void writeDraw(StepBatch batch, int output) {
        Sampling s = batch.sampling(output);
        int sequence = batch.sequenceOf(batch.outputRowOfAll(output));
        out.set(ValueLayout.JAVA_LONG, at, s.seed());
        out.set(ValueLayout.JAVA_LONG, at + 8, batch.drawPosition(output));
        at += 16;
        put((float) s.temperature());
        put((float) s.topP());
        put((float) s.minP());
        put((float) s.presencePenalty());
        put((float) s.frequencyPenalty());
        put((float) s.repetitionPenalty());
        put(s.topK());
        put(s.penalises() ? batch.slot(sequence) : -1);
    }

    private void put(int value) {
        out.set(ValueLayout.JAVA_INT, at, value);
        at += 4;
    }

    private void put(float value) {
        out.set(ValueLayout.JAVA_FLOAT, at, value);
        at += 4;
    }
}
