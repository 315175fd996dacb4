package brantas.simd;

import static brantas.simd.Lanes.PANEL;
import static brantas.simd.Lanes.UNIT;

import brantas.op.RowSpan;
import brantas.tensor.HostBuffer;

/// `LinearOps`: single rows by [Dot], the others by [Gemm]. Which of the two is chosen by the span
/// alone. One parallel region per kernel, however many parts the weight has.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Linear implements AutoCloseable {
    private static final int PACK_COLUMNS = 8 * UNIT;

    private final Workers workers;
    private final Dot[] dots;
    private final Gemm[] gemms;
    private final Lanes.Scratch permuted = new Lanes.Scratch();
    private final Lanes.Scratch panels = new Lanes.Scratch();
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
    private long packed;
    private int packItems;
    private int tokenBlocks;
    private long[] tokens = new long[0];

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
        packed = permuted.reserve(4L * capacity * weight.inPadded());
        workers.run(permute, rows, (long) rows * columns);
        for (Dot d : dots) {
            d.shape(weight, 4L * weight.inPadded(), dstStride, add);
        }
        workers.run(dot, weight.blocks(), (long) weight.out() * columns * rows);
    }

    private void permuteRow(int row, int worker) {
        Lanes.permute(x + row * xStride, columns, packed + 4L * row * weight.inPadded());
    }

    private void dotBlock(int item, int worker) {
        Matrix.Block b = weight.block(item);
        dots[worker].block(b.part(), b.from(), b.to(), packed, rows, dst);
    }

    private void several(int capacity) {
        packed = panels.reserve(Gemm.panelBytes(capacity, columns));
        int blocks = (rows + PANEL - 1) / PANEL;
        if (tokens.length < rows) {
            tokens = new long[capacity];
        }
        for (int t = 0; t < rows; t++) {
            tokens[t] = x + t * xStride;
        }
        packItems = (columns + PACK_COLUMNS - 1) / PACK_COLUMNS;
        workers.run(pack, blocks * packItems, (long) rows * columns);
        tokenBlocks = (rows + Gemm.TOKENS - 1) / Gemm.TOKENS;
        int weightBlocks = (weight.out() + Gemm.BLOCK - 1) / Gemm.BLOCK;
        workers.run(multiply, weightBlocks * tokenBlocks, (long) weight.out() * columns * rows);
    }

    private void packPanel(int item, int worker) {
        int token = item / packItems * PANEL;
        int from = item % packItems * PACK_COLUMNS;
        int to = Math.min(columns, from + PACK_COLUMNS);
        long panel = packed + 4L * token * weight.inPadded();
        int count = Math.min(PANEL, rows - token);
        Gemm.pack(panel, tokens, token, count, from, to);
    }

    private void multiplyBlock(int item, int worker) {
        Gemm gemm = gemms[worker];
        int from = item / tokenBlocks * Gemm.BLOCK;
        int to = Math.min(weight.out(), from + Gemm.BLOCK);
        int token = item % tokenBlocks * Gemm.TOKENS;
        int count = Math.min(Gemm.TOKENS, rows - token);
        gemm.clear(to - from, count);
        gemm.multiply(weight, from, to, 0, packed + 4L * token * weight.inPadded(), count);
        for (int t = 0; t < count; t++) {
            gemm.column(t, to - from, dst + (token + t) * dstStride + 4L * from, add);
        }
    }

    @Override
    public void close() {
        permuted.close();
        panels.close();
    }
}
