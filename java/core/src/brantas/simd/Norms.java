package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import brantas.op.DeltaShape;
import brantas.op.RowSpan;
import brantas.tensor.HostBuffer;
import jdk.incubator.vector.FloatVector;

/// `NormOps` and the gated norm of the delta rule: one row after another, the sum of squares in a
/// fixed order.
final class Norms {
    private static final int CHUNK = 64 * L;

    private final Workers workers;
    private final Workers.Task norm = this::normRow;
    private final Workers.Task activate = this::activateChunk;
    private final Workers.Task gate = this::gateRow;

    private long dst;
    private long src;
    private long other;
    private long dstStride;
    private long srcStride;
    private long otherStride;
    private int columns;
    private int chunks;
    private float eps;
    private float[] weight = new float[0];

    Norms(Workers workers) {
        this.workers = workers;
    }

    void rmsNorm(HostBuffer to, HostBuffer x, Values w, float epsilon, RowSpan rows) {
        bind(to, x, x);
        columns = x.cols();
        weight = w.values();
        eps = epsilon;
        workers.run(norm, rows.rows(), (long) rows.rows() * columns);
    }

    void swiGlu(HostBuffer to, HostBuffer gateUp, RowSpan rows) {
        bind(to, gateUp, gateUp);
        columns = to.cols();
        chunks = (columns + CHUNK - 1) / CHUNK;
        workers.run(activate, rows.rows() * chunks, 4L * rows.rows() * columns);
    }

    void gatedNorm(
            HostBuffer to,
            HostBuffer o,
            HostBuffer projected,
            Values w,
            DeltaShape shape,
            RowSpan rows) {
        bind(to, o, projected);
        other += 4L * shape.z();
        columns = shape.valueDim();
        chunks = shape.valueHeads();
        weight = w.values();
        eps = shape.eps();
        workers.run(gate, rows.rows(), 4L * rows.rows() * shape.valueWidth());
    }

    private void bind(HostBuffer to, HostBuffer from, HostBuffer second) {
        dst = to.data().address();
        dstStride = 4L * to.cols();
        src = from.data().address();
        srcStride = 4L * from.cols();
        other = second.data().address();
        otherStride = 4L * second.cols();
    }

    private void normRow(int row, int worker) {
        zeroCentred(src + row * srcStride, dst + row * dstStride, weight, columns, eps);
    }

    /// `to = x · rsqrt(mean(x²) + eps) · (1 + w)` for `n` values.
    static void zeroCentred(long x, long to, float[] w, int n, float eps) {
        float scale = (float) (1 / Math.sqrt(sumOfSquares(x, n) / n + eps));
        int whole = F.loopBound(n);
        for (int i = 0; i < whole; i += L) {
            FloatVector gain = FloatVector.fromArray(F, w, i).add(1f);
            store(load(x + 4L * i).mul(scale).mul(gain), to + 4L * i);
        }
        for (int i = whole; i < n; i++) {
            Lanes.set(to + 4L * i, Lanes.get(x + 4L * i) * scale * (1f + w[i]));
        }
    }

    /// Two accumulators, their sum by halving, then the columns behind the last vector.
    static float sumOfSquares(long x, int n) {
        FloatVector a = FloatVector.zero(F);
        FloatVector b = a;
        int whole = F.loopBound(n);
        int i = 0;
        for (; i + 2 * L <= whole; i += 2 * L) {
            FloatVector p = load(x + 4L * i);
            FloatVector q = load(x + 4L * (i + L));
            a = p.fma(p, a);
            b = q.fma(q, b);
        }
        if (i < whole) {
            FloatVector p = load(x + 4L * i);
            a = p.fma(p, a);
        }
        float sum = Lanes.sum(a.add(b));
        for (i = whole; i < n; i++) {
            float v = Lanes.get(x + 4L * i);
            sum = Math.fma(v, v, sum);
        }
        return sum;
    }

    private void activateChunk(int item, int worker) {
        int row = item / chunks;
        int from = item % chunks * CHUNK;
        int to = Math.min(columns, from + CHUNK);
        long g = src + row * srcStride + 4L * from;
        silu(g, g + 4L * columns, dst + row * dstStride + 4L * from, to - from);
    }

    /// `to = SiLU(gate) · up` for `n` values; `to` may be `gate`.
    static void silu(long gate, long up, long to, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            FloatVector g = load(gate + 4L * i);
            FloatVector silu = g.mul(Lanes.sigmoid(g));
            store(silu.mul(load(up + 4L * i)), to + 4L * i);
        }
        for (; i < n; i++) {
            float g = Lanes.get(gate + 4L * i);
            Lanes.set(to + 4L * i, g * Lanes.sigmoid(g) * Lanes.get(up + 4L * i));
        }
    }

    private void gateRow(int row, int worker) {
        for (int h = 0; h < chunks; h++) {
            long column = 4L * h * columns;
            long o = src + row * srcStride + column;
            long z = other + row * otherStride + column;
            gateHead(o, z, dst + row * dstStride + column);
        }
    }

    private void gateHead(long o, long z, long to) {
        int n = columns;
        float scale = (float) (1 / Math.sqrt(sumOfSquares(o, n) / n + eps));
        int whole = F.loopBound(n);
        for (int i = 0; i < whole; i += L) {
            FloatVector gateValue = load(z + 4L * i);
            FloatVector silu = gateValue.mul(Lanes.sigmoid(gateValue));
            FloatVector normed = load(o + 4L * i).mul(scale);
            store(normed.mul(FloatVector.fromArray(F, weight, i)).mul(silu), to + 4L * i);
        }
        for (int i = whole; i < n; i++) {
            float gateValue = Lanes.get(z + 4L * i);
            float silu = gateValue * Lanes.sigmoid(gateValue);
            Lanes.set(to + 4L * i, Lanes.get(o + 4L * i) * scale * weight[i] * silu);
        }
    }
}
