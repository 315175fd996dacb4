package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.UNIT;
import static brantas.simd.Lanes.even;
import static brantas.simd.Lanes.odd;
import static brantas.simd.Lanes.pairs;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// Row-by-row products for rows that are alone in their sequence: lanes run along `k`, weights are
/// streamed once as bf16 pairs. Every output is summed the same way in every kernel here — one
/// accumulator for even and one for odd columns, then halving — so that a row gives the same bits
/// alone and beside others. One object per thread; it carries the strides of the product at hand.
final class Dot {
    /// Weight rows that meet all rows before the next ones are read.
    private static final int GROUP = 8;

    private int k;
    private long weightStride;
    private int xStride;
    private float[] in = new float[0];
    private long dstStride;
    private boolean add;
    private final float[] sums = new float[8 * L];
    private final float[] totals = new float[Math.max(8, L)];
    private float[] wide = new float[0];

    /// Sets the strides.
    ///
    /// @param x permuted rows, one every `w.inPadded()` values
    /// @param dstRow bytes from output row to output row
    /// @param add whether outputs are added to `dst`
    void shape(Matrix w, float[] x, long dstRow, boolean add) {
        this.k = w.inPadded();
        this.in = x;
        this.weightStride = 2L * w.in();
        this.xStride = k;
        this.dstStride = dstRow;
        this.add = add;
    }

    /// `dst[r][n] = W[n] · x[r]` for the weight rows of a block.
    ///
    /// @param x index of the first permuted row
    /// @param dst address of the output of weight row 0
    void block(Matrix.Part part, int from, int to, int x, int rows, long dst) {
        if (!part.direct()) {
            widened(part, from, to, x, rows, dst);
            return;
        }
        int n = from;
        long w = part.address() + (from - part.from()) * weightStride;
        for (; n < to; n += GROUP, w += GROUP * weightStride) {
            group(w, Math.min(GROUP, to - n), x, rows, dst + 4L * n);
        }
    }

    /// Some weight rows, few enough to stay in cache. The first rows meet the weights one row after
    /// another: a single stream is what memory delivers fastest. Further rows find them in cache.
    private void group(long w, int count, int x, int rows, long dst) {
        int r = rows >= 4 ? 4 : rows;
        for (int n = 0; n < count; n++) {
            first(w + n * weightStride, x, r, dst + 4L * n);
        }
        for (; r + 4 <= rows; r += 4) {
            int n = 0;
            for (; n + 2 <= count; n += 2) {
                two4(w + n * weightStride, x + r * xStride, dst + r * dstStride + 4L * n);
            }
            for (; n < count; n++) {
                one4(w + n * weightStride, x + r * xStride, dst + r * dstStride + 4L * n);
            }
        }
        for (int n = 0; r < rows && n < count; n++) {
            first(w + n * weightStride, x + r * xStride, rows - r, dst + r * dstStride + 4L * n);
        }
    }

    /// One weight row, up to four rows.
    private void first(long w, int x, int rows, long dst) {
        switch (rows) {
            case 1 -> one1(w, x, dst);
            case 2 -> one2(w, x, dst);
            case 3 -> {
                one2(w, x, dst);
                one1(w, x + 2 * xStride, dst + 2 * dstStride);
            }
            default -> one4(w, x, dst);
        }
    }

    /// Puts total `i` to output column `i % columns` of row `i / columns`. Kernels hand their
    /// accumulators over in an array: passed to a method they would be boxed.
    private void put(long dst, int rows, int columns) {
        for (int r = 0; r < rows; r++) {
            long to = dst + r * dstStride;
            for (int n = 0; n < columns; n++) {
                put(to + 4L * n, totals[Lanes.sumLane(r * columns + n)]);
            }
        }
    }

    private void put(long to, float value) {
        Lanes.set(to, add ? Lanes.get(to) + value : value);
    }

    /// One weight row, four rows.
    private void one4(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F), b = a, c = a, d = a;
        FloatVector e = a, f = a, g = a, h = a;
        int y = x + xStride;
        int z = y + xStride;
        int u = z + xStride;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            FloatVector w0 = even(p);
            a = w0.fma(FloatVector.fromArray(F, in, x + i), a);
            b = w0.fma(FloatVector.fromArray(F, in, y + i), b);
            c = w0.fma(FloatVector.fromArray(F, in, z + i), c);
            d = w0.fma(FloatVector.fromArray(F, in, u + i), d);
            FloatVector w1 = odd(p);
            e = w1.fma(FloatVector.fromArray(F, in, x + i + L), e);
            f = w1.fma(FloatVector.fromArray(F, in, y + i + L), f);
            g = w1.fma(FloatVector.fromArray(F, in, z + i + L), g);
            h = w1.fma(FloatVector.fromArray(F, in, u + i + L), h);
        }
        a.add(e).intoArray(sums, 0);
        b.add(f).intoArray(sums, L);
        c.add(g).intoArray(sums, 2 * L);
        d.add(h).intoArray(sums, 3 * L);
        Lanes.sums4(sums, totals);
        put(dst, 4, 1);
    }

    /// One weight row, two rows.
    private void one2(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F);
        FloatVector b = a;
        FloatVector e = a;
        FloatVector f = a;
        int y = x + xStride;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            FloatVector w0 = even(p);
            a = w0.fma(FloatVector.fromArray(F, in, x + i), a);
            b = w0.fma(FloatVector.fromArray(F, in, y + i), b);
            FloatVector w1 = odd(p);
            e = w1.fma(FloatVector.fromArray(F, in, x + i + L), e);
            f = w1.fma(FloatVector.fromArray(F, in, y + i + L), f);
        }
        a.add(e).intoArray(sums, 0);
        b.add(f).intoArray(sums, L);
        Lanes.sums4(sums, totals);
        put(dst, 2, 1);
    }

    /// Two weight rows, four rows.
    private void two4(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F), b = a, c = a, d = a;
        FloatVector e = a, f = a, g = a, h = a;
        FloatVector a1 = a, b1 = a, c1 = a, d1 = a;
        FloatVector e1 = a, f1 = a, g1 = a, h1 = a;
        long v = w + weightStride;
        int y = x + xStride;
        int z = y + xStride;
        int u = z + xStride;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            IntVector q = pairs(v + 2L * i);
            FloatVector w0 = even(p);
            FloatVector v0 = even(q);
            FloatVector x0 = FloatVector.fromArray(F, in, x + i);
            a = w0.fma(x0, a);
            a1 = v0.fma(x0, a1);
            FloatVector y0 = FloatVector.fromArray(F, in, y + i);
            b = w0.fma(y0, b);
            b1 = v0.fma(y0, b1);
            FloatVector z0 = FloatVector.fromArray(F, in, z + i);
            c = w0.fma(z0, c);
            c1 = v0.fma(z0, c1);
            FloatVector u0 = FloatVector.fromArray(F, in, u + i);
            d = w0.fma(u0, d);
            d1 = v0.fma(u0, d1);
            FloatVector w1 = odd(p);
            FloatVector v1 = odd(q);
            FloatVector x1 = FloatVector.fromArray(F, in, x + i + L);
            e = w1.fma(x1, e);
            e1 = v1.fma(x1, e1);
            FloatVector y1 = FloatVector.fromArray(F, in, y + i + L);
            f = w1.fma(y1, f);
            f1 = v1.fma(y1, f1);
            FloatVector z1 = FloatVector.fromArray(F, in, z + i + L);
            g = w1.fma(z1, g);
            g1 = v1.fma(z1, g1);
            FloatVector u1 = FloatVector.fromArray(F, in, u + i + L);
            h = w1.fma(u1, h);
            h1 = v1.fma(u1, h1);
        }
        a.add(e).intoArray(sums, 0);
        a1.add(e1).intoArray(sums, L);
        b.add(f).intoArray(sums, 2 * L);
        b1.add(f1).intoArray(sums, 3 * L);
        c.add(g).intoArray(sums, 4 * L);
        c1.add(g1).intoArray(sums, 5 * L);
        d.add(h).intoArray(sums, 6 * L);
        d1.add(h1).intoArray(sums, 7 * L);
        Lanes.sums8(sums, totals);
        put(dst, 4, 2);
    }

    /// One weight row, one row.
    private void one1(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F);
        FloatVector e = a;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            a = even(p).fma(FloatVector.fromArray(F, in, x + i), a);
            e = odd(p).fma(FloatVector.fromArray(F, in, x + i + L), e);
        }
        put(dst, Lanes.sum(a.add(e)));
    }

    /// Weights that are not bf16, or whose rows do not end with a unit: widened first.
    private void widened(Matrix.Part part, int from, int to, int x, int rows, long dst) {
        if (wide.length < k) {
            wide = new float[k];
        }
        for (int n = from; n < to; n++) {
            Matrix.widen(part, n, 0, k, wide, 0);
            for (int r = 0; r < rows; r++) {
                floats(x + r * xStride, dst + r * dstStride + 4L * n);
            }
        }
    }

    private void floats(int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F);
        FloatVector e = a;
        float[] w = wide;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            a = FloatVector.fromArray(F, w, i).fma(FloatVector.fromArray(F, in, x + i), a);
            e = FloatVector.fromArray(F, w, i + L).fma(FloatVector.fromArray(F, in, x + i + L), e);
        }
        put(dst, Lanes.sum(a.add(e)));
    }
}
