package brantas.simd;

import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;
import static brantas.simd.Lanes.UNIT;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.RowSpan;
import brantas.op.Weight;
import brantas.tensor.HostBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// `ExpertOps.experts`. Rows are sorted by expert, so that an expert's weights are read once a
/// pass; single rows and the others stay apart, as everywhere. Each slot's output is kept and the
/// slots are added in order. The shared expert is a dense feed-forward of [Linear].
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Experts implements AutoCloseable {
    /// The matrices: gate and up of an expert stacked.
    static final class Weights implements Weight {
        private final Matrix[] up;
        private final Matrix[] down;
        private final long bytes;

        /// @param tensors the shared expert last
        Weights(ExpertTensors tensors) {
            int count = tensors.gate().size();
            up = new Matrix[count];
            List<Matrix> last = new ArrayList<>();
            long size = 0;
            for (int e = 0; e < count; e++) {
                up[e] = new Matrix(List.of(tensors.gate().get(e), tensors.up().get(e)));
                Matrix d = new Matrix(List.of(tensors.down().get(e)));
                last.add(d);
                size += up[e].bytes() + d.bytes();
            }
            down = last.toArray(Matrix[]::new);
            bytes = size;
        }

        @Override
        public String name() {
            return up[0].name();
        }

        @Override
        public long bytes() {
            return bytes;
        }
    }

    private static final int SINGLES = 64;
    private static final int SEVERAL = 512;

    /// Rows of an expert that share one reading of its weights.
    private static final int TOKENS = 2 * PANEL;

    private static final int HALF = Gemm.BLOCK / 2;

    private final Workers workers;
    private final Linear linear;
    private final Norms norms;
    private final Lanes.Scratch outputs = new Lanes.Scratch();
    private final Lanes.Scratch pairs = new Lanes.Scratch();
    private final Gemm.Panels[] inputs;
    private final Gemm.Panels[] inners;
    private final Workers.Task gather = this::gatherOne;
    private final Workers.Task up = this::upBlock;
    private final Workers.Task activate = this::activateOne;
    private final Workers.Task down = this::downBlock;
    private final Workers.Task several = this::severalBlock;
    private final Workers.Task combine = this::combineRow;

    private HostBuffer dst;
    private HostBuffer x;
    private Router.Choice choice;
    private Weights weights;
    private int hidden;
    private int innerDim;
    private int perToken;
    private int base;
    private int[] start = new int[0];
    private int[] rowOf = new int[0];
    private int[] placeOf = new int[0];
    private int[] active = new int[0];
    private int[] blockExpert = new int[0];
    private int[] blockFrom = new int[0];
    private long[] addresses = new long[0];
    private int blocks;
    private long out;
    private long mid;
    private float[] gathered = new float[0];
    private float[] activated = new float[0];

    Experts(Workers workers, Linear linear, Norms norms) {
        this.workers = workers;
        this.linear = linear;
        this.norms = norms;
        this.inputs = new Gemm.Panels[workers.threads()];
        this.inners = new Gemm.Panels[workers.threads()];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = new Gemm.Panels();
            inners[i] = new Gemm.Panels();
        }
    }

    void run(HostBuffer to, HostBuffer from, Router.Choice c, Weights w, RowSpan span) {
        dst = to;
        x = from;
        choice = c;
        weights = w;
        ExpertShape shape = c.shape();
        hidden = c.hidden();
        innerDim = shape.inner();
        perToken = shape.perToken();
        int shared = shape.experts();
        linear.linear(c.sharedUp(), from, w.up[shared], span, false);
        norms.swiGlu(c.sharedInner(), c.sharedUp(), span);
        linear.linear(c.sharedOut(), c.sharedInner(), w.down[shared], span, false);
        for (int row = 0; row < span.singles(); row += SINGLES) {
            sort(row, Math.min(SINGLES, span.singles() - row));
            singles(Math.min(SINGLES, span.singles() - row));
        }
        for (int row = span.singles(); row < span.rows(); row += SEVERAL) {
            sort(row, Math.min(SEVERAL, span.rows() - row));
            several(Math.min(SEVERAL, span.rows() - row));
        }
    }

    /// Orders the (row, slot) pairs of a pass by expert; `placeOf` says where a pair went.
    private void sort(int first, int rows) {
        base = first;
        int experts = choice.shape().experts();
        int pairs = rows * perToken;
        if (start.length < experts + 1 || rowOf.length < pairs) {
            start = new int[experts + 1];
            active = new int[experts];
            rowOf = new int[pairs];
            placeOf = new int[pairs];
            addresses = new long[pairs];
            blockExpert = new int[pairs];
            blockFrom = new int[pairs];
        }
        Arrays.fill(start, 0);
        for (int p = 0; p < pairs; p++) {
            start[choice.expert(first + p / perToken, p % perToken) + 1]++;
        }
        for (int e = 0; e < experts; e++) {
            start[e + 1] += start[e];
        }
        for (int p = 0; p < pairs; p++) {
            int row = first + p / perToken;
            int place = start[choice.expert(row, p % perToken)]++;
            placeOf[p] = place;
            rowOf[place] = row;
            addresses[place] = x.data().address() + x.offset(row);
        }
        System.arraycopy(start, 0, start, 1, experts);
        start[0] = 0;
        out = outputs.reserve(4L * pairs * hidden);
    }

    private int count(int expert) {
        return start[expert + 1] - start[expert];
    }

    private void singles(int rows) {
        int count = rows * perToken;
        int actives = 0;
        for (int e = 0; e < choice.shape().experts(); e++) {
            if (count(e) > 0) {
                active[actives++] = e;
            }
        }
        gathered = Lanes.room(gathered, (long) count * Lanes.pad(hidden, UNIT));
        activated = Lanes.room(activated, (long) count * Lanes.pad(innerDim, UNIT));
        mid = pairs.reserve(8L * count * innerDim);
        long work = (long) count * hidden * innerDim;
        workers.run(gather, count, (long) count * hidden);
        workers.run(up, actives * weights.up[0].blocks(), 2 * work);
        workers.run(activate, count, 4L * count * innerDim);
        workers.run(down, actives * weights.down[0].blocks(), work);
        workers.run(combine, rows, (long) count * hidden);
    }

    private void gatherOne(int place, int worker) {
        Lanes.permute(addresses[place], hidden, gathered, place * Lanes.pad(hidden, UNIT));
    }

    private void upBlock(int item, int worker) {
        int perExpert = weights.up[0].blocks();
        int e = active[item / perExpert];
        Matrix w = weights.up[e];
        Matrix.Block b = w.block(item % perExpert);
        Dot dot = linear.dot(worker);
        dot.shape(w, gathered, 8L * innerDim, false);
        long to = mid + 8L * innerDim * start[e];
        dot.block(b.part(), b.from(), b.to(), start[e] * w.inPadded(), count(e), to);
    }

    private void activateOne(int place, int worker) {
        long gate = mid + 8L * innerDim * place;
        Norms.silu(gate, gate + 4L * innerDim, gate, innerDim);
        Lanes.permute(gate, innerDim, activated, place * Lanes.pad(innerDim, UNIT));
    }

    private void downBlock(int item, int worker) {
        int perExpert = weights.down[0].blocks();
        int e = active[item / perExpert];
        Matrix w = weights.down[e];
        Matrix.Block b = w.block(item % perExpert);
        Dot dot = linear.dot(worker);
        dot.shape(w, activated, 4L * hidden, false);
        long to = out + 4L * hidden * start[e];
        dot.block(b.part(), b.from(), b.to(), start[e] * w.inPadded(), count(e), to);
    }

    private void several(int rows) {
        blocks = 0;
        for (int e = 0; e < choice.shape().experts(); e++) {
            for (int from = start[e]; from < start[e + 1]; from += TOKENS) {
                blockExpert[blocks] = e;
                blockFrom[blocks++] = from;
            }
        }
        long count = (long) rows * perToken;
        workers.run(several, blocks, 3 * count * hidden * innerDim);
        workers.run(combine, rows, count * hidden);
    }

    private void severalBlock(int item, int worker) {
        int e = blockExpert[item];
        int from = blockFrom[item];
        int tokens = Math.min(TOKENS, start[e + 1] - from);
        Gemm.Panels input = inputs[worker].shape(TOKENS, tokens, hidden);
        Gemm.Panels inner = inners[worker].shape(TOKENS, tokens, innerDim);
        Gemm gemm = linear.gemm(worker);
        for (int t = 0; t < tokens; t++) {
            input.row(t, addresses[from + t]);
        }
        for (int b = 0; b < input.blocks(); b++) {
            input.pack(b, 0, Lanes.pad(hidden, UNIT));
        }
        for (int i = 0; i < innerDim; i += HALF) {
            int n = Math.min(HALF, innerDim - i);
            gemm.clear(Gemm.BLOCK, tokens);
            gemm.multiply(weights.up[e], i, i + n, 0, input);
            gemm.multiply(weights.up[e], innerDim + i, innerDim + i + n, HALF, input);
            for (int r = 0; r < n; r++) {
                gemm.silu(r, HALF + r, inner, i + r);
            }
        }
        for (int i = innerDim; i < Lanes.pad(innerDim, UNIT); i++) {
            for (int b = 0; b < inner.blocks(); b++) {
                int at = inner.at(b, i);
                Arrays.fill(inner.values(), at, at + PANEL, 0f);
            }
        }
        for (int n = 0; n < hidden; n += Gemm.BLOCK) {
            int to = Math.min(hidden, n + Gemm.BLOCK);
            gemm.clear(to - n, tokens);
            gemm.multiply(weights.down[e], n, to, 0, inner);
            for (int t = 0; t < tokens; t++) {
                gemm.column(t, to - n, out + 4L * ((long) (from + t) * hidden + n), false);
            }
        }
    }

    private void combineRow(int index, int worker) {
        int row = base + index;
        long to = dst.data().address() + dst.offset(row);
        HostBuffer shared = choice.sharedOut();
        long last = shared.data().address() + shared.offset(row);
        int c = 0;
        for (; c + L <= hidden; c += L) {
            FloatVector sum = FloatVector.zero(Lanes.F);
            for (int s = 0; s < perToken; s++) {
                FloatVector w = FloatVector.broadcast(Lanes.F, choice.weight(row, s));
                sum = load(slotOutput(index, s) + 4L * c).fma(w, sum);
            }
            FloatVector gate = FloatVector.broadcast(Lanes.F, choice.sharedGate(row));
            sum = load(last + 4L * c).fma(gate, sum);
            store(load(to + 4L * c).add(sum), to + 4L * c);
        }
        for (; c < hidden; c++) {
            float sum = 0;
            for (int s = 0; s < perToken; s++) {
                float y = Lanes.get(slotOutput(index, s) + 4L * c);
                sum = Math.fma(y, choice.weight(row, s), sum);
            }
            sum = Math.fma(Lanes.get(last + 4L * c), choice.sharedGate(row), sum);
            Lanes.set(to + 4L * c, Lanes.get(to + 4L * c) + sum);
        }
    }

    private long slotOutput(int index, int slot) {
        return out + 4L * placeOf[index * perToken + slot] * hidden;
    }

    @Override
    public void close() {
        outputs.close();
        pairs.close();
    }
}
