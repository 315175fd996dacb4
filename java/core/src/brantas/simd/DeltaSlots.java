package brantas.simd;

import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import brantas.op.DeltaShape;
import brantas.op.DeltaState;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import brantas.tensor.HostPages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/// State of one delta-rule layer: per slot the recurrent state `[value head, key dim, value dim
/// padded to whole vectors]` and the window of raw projected columns, oldest first; and the
/// convolution, which is the only reader of the window.
final class DeltaSlots implements DeltaState {
    private final DeltaShape shape;
    private final int stride;
    private final HostPages states;
    private final HostPages windows;

    DeltaSlots(Arena arena, DeltaShape shape, int slots) {
        this.shape = shape;
        this.stride = Lanes.pad(shape.valueDim(), L);
        long state = (long) shape.valueHeads() * shape.keyDim() * stride;
        this.states = new HostPages(arena, slots, state);
        long window = Math.max(1, (long) (shape.convWidth() - 1) * shape.channels());
        this.windows = new HostPages(arena, slots, window);
    }

    @Override
    public int slots() {
        return states.count();
    }

    @Override
    public void clear(int slot) {
        states.clear(slot);
        windows.clear(slot);
    }

    DeltaShape shape() {
        return shape;
    }

    /// Values from row to row of a state.
    int stride() {
        return stride;
    }

    /// Address of the state `[keyDim, stride]` of a value head.
    long state(int slot, int head) {
        return states.page(slot).address() + 4L * head * shape.keyDim() * stride;
    }

    private MemorySegment window(int slot) {
        return windows.page(slot);
    }

    /// Causal convolution and SiLU of a step. An item is a stretch of channels of one sequence,
    /// which alone reads and writes that part of the window.
    @SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
    static final class Convolution {
        private static final int CHUNK = 32 * L;

        private final Workers workers;
        private final Workers.Task task = this::chunk;
        private DeltaSlots slots;
        private StepBatch batch;
        private long dst;
        private long dstStride;
        private long src;
        private long srcStride;
        private float[] taps = new float[0];
        private int chunks;

        Convolution(Workers workers) {
            this.workers = workers;
        }

        void run(HostBuffer to, HostBuffer projected, Values weight, DeltaSlots at, StepBatch b) {
            slots = at;
            batch = b;
            taps = weight.columns();
            dst = to.data().address();
            dstStride = 4L * to.cols();
            src = projected.data().address();
            srcStride = 4L * projected.cols();
            int channels = at.shape.channels();
            chunks = (channels + CHUNK - 1) / CHUNK;
            workers.run(task, b.sequences() * chunks, 8L * b.rows() * channels);
        }

        private void chunk(int item, int worker) {
            int sequence = item / chunks;
            int from = item % chunks * CHUNK;
            int to = Math.min(slots.shape.channels(), from + CHUNK);
            int rows = batch.rowCount(sequence);
            int row = batch.rowStart(sequence);
            long window = slots.window(batch.slot(sequence)).address();
            for (int t = 0; t < rows; t++) {
                row(window, row, t, from, to);
            }
            shift(window, row, rows, from, to);
        }

        /// Address of the column that is `t` rows from the sequence's first; negative rows are in
        /// the window.
        private long column(long window, int row, int t) {
            int past = slots.shape.convWidth() - 1;
            return t < 0
                    ? window + 4L * (past + t) * slots.shape.channels()
                    : src + (row + t) * srcStride;
        }

        private void row(long window, int row, int t, int from, int to) {
            int width = slots.shape.convWidth();
            int channels = slots.shape.channels();
            long out = dst + (row + t) * dstStride;
            int c = from;
            for (; c + L <= to; c += L) {
                FloatVector sum = FloatVector.zero(Lanes.F);
                for (int j = 0; j < width; j++) {
                    FloatVector p = load(column(window, row, t - width + 1 + j) + 4L * c);
                    sum = p.fma(FloatVector.fromArray(Lanes.F, taps, j * channels + c), sum);
                }
                store(sum.mul(Lanes.sigmoid(sum)), out + 4L * c);
            }
            for (; c < to; c++) {
                float sum = 0;
                for (int j = 0; j < width; j++) {
                    float p = Lanes.get(column(window, row, t - width + 1 + j) + 4L * c);
                    sum = Math.fma(p, taps[j * channels + c], sum);
                }
                Lanes.set(out + 4L * c, sum * Lanes.sigmoid(sum));
            }
        }

        /// The last `convWidth − 1` columns of window and rows become the window. Oldest first, so
        /// a column is read before it is overwritten.
        private void shift(long window, int row, int rows, int from, int to) {
            int past = slots.shape.convWidth() - 1;
            for (int j = 0; j < past; j++) {
                long source = column(window, row, rows - past + j) + 4L * from;
                long target = window + 4L * ((long) j * slots.shape.channels() + from);
                MemorySegment.copy(Lanes.ALL, source, Lanes.ALL, target, 4L * (to - from));
            }
        }
    }
}
