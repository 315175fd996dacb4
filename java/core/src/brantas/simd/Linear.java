package brantas.simd;

import static brantas.simd.Lanes.UNIT;

import brantas.op.RowSpan;
import brantas.tensor.HostBuffer;

/// `LinearOps`: single rows by [Dot], the others by [Gemm]. Which of the two is chosen by the span
/// alone. One parallel region per kernel, however many parts the weight has.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Linear {
    private static final int PACK_COLUMNS = 8 * UNIT;

    private final Workers workers;
    private final Dot[] dots;
    private final Gemm[] gemms;
    private final Gemm.Panels panels = new Gemm.Panels();
    private final Workers.Task permute = this::permuteRow;
    private final Workers.Task dot = this::dotBlock;
    private final Workers.Task pack = this::packPanel;
    private final Workers.Task multiply = this::multiplyBlock;

    private Matrix weight;
    private boolean add;
    private int columns;
    private long x;
    private long xStride;
    private long dst;
    private long dstStride;
    private int rows;
    private float[] permuted = new float[0];
    private int first;
    private int packItems;

    Linear(Workers workers) {
        this.workers = workers;
        dots = new Dot[workers.threads()];
        gemms = new Gemm[workers.threads()];
        for (int i = 0; i < dots.length; i++) {
            dots[i] = new Dot();
            gemms[i] = new Gemm();
        }
    }

    /// Scratch of a worker, for ops that multiply blocks of their own.
    Dot dot(int worker) {
        return dots[worker];
    }

    /// Scratch of a worker, for ops that multiply blocks of their own.
    Gemm gemm(int worker) {
        return gemms[worker];
    }

    /// `dst[row] = w · x[row]`, or `+=`.
    void linear(HostBuffer to, HostBuffer from, Matrix w, RowSpan span, boolean accumulate) {
        check(to, from, w, span);
        weight = w;
        add = accumulate;
        columns = w.in();
        xStride = 4L * from.cols();
        dstStride = 4L * to.cols();
        if (span.singles() > 0) {
            rows = span.singles();
            x = from.data().address();
            dst = to.data().address();
            singles(from.rows());
        }
        if (span.rows() > span.singles()) {
            rows = span.rows() - span.singles();
            x = from.data().address() + from.offset(span.singles());
            dst = to.data().address() + to.offset(span.singles());
            several(from.rows());
        }
    }

    private static void check(HostBuffer to, HostBuffer from, Matrix w, RowSpan span) {
        if (from.cols() < w.in() || to.cols() < w.out()) {
            throw new IllegalArgumentException(to + " = " + w + " · " + from);
        }
        if (span.rows() > from.rows() || span.rows() > to.rows()) {
            throw new IllegalArgumentException(span + " of " + to + " and " + from);
        }
    }

    private void singles(int capacity) {
        permuted = Lanes.room(permuted, (long) capacity * weight.inPadded());
        workers.run(permute, rows, (long) rows * columns);
        for (Dot d : dots) {
            d.shape(weight, permuted, dstStride, add);
        }
        workers.run(dot, weight.blocks(), (long) weight.out() * columns * rows);
    }

    private void permuteRow(int row, int worker) {
        Lanes.permute(x + row * xStride, columns, permuted, row * weight.inPadded());
    }

    private void dotBlock(int item, int worker) {
        Matrix.Block b = weight.block(item);
        dots[worker].block(b.part(), b.from(), b.to(), 0, rows, dst);
    }

    private void several(int capacity) {
        for (first = 0; first < rows; first += Gemm.TOKENS) {
            int count = Math.min(Gemm.TOKENS, rows - first);
            panels.shape(Math.min(Gemm.TOKENS, capacity), count, columns);
            for (int t = 0; t < count; t++) {
                panels.row(t, x + (first + t) * xStride);
            }
            packItems = (weight.inPadded() + PACK_COLUMNS - 1) / PACK_COLUMNS;
            workers.run(pack, panels.blocks() * packItems, (long) count * columns);
            int blocks = (weight.out() + Gemm.BLOCK - 1) / Gemm.BLOCK;
            workers.run(multiply, blocks, (long) weight.out() * columns * count);
        }
    }

    private void packPanel(int item, int worker) {
        int from = item % packItems * PACK_COLUMNS;
        panels.pack(item / packItems, from, from + PACK_COLUMNS);
    }

    private void multiplyBlock(int item, int worker) {
        Gemm gemm = gemms[worker];
        int from = item * Gemm.BLOCK;
        int to = Math.min(weight.out(), from + Gemm.BLOCK);
        gemm.clear(to - from, panels.tokens());
        gemm.multiply(weight, from, to, 0, panels);
        for (int t = 0; t < panels.tokens(); t++) {
            gemm.column(t, to - from, dst + (first + t) * dstStride + 4L * from, add);
        }
    }
}
