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
/// accumulator, the even columns of a unit, then the odd ones, at the end halving — so that a row
/// gives the same bits alone and beside others. One object per thread; it carries the strides of
/// the product at hand.
final class Dot {
    /// Weight rows that meet all rows before the next ones are read.
    private static final int GROUP = 8;

    /// Length up to which a weight row counts as short.
    private static final int SHORT = 2048;

    private int k;
    private long weightStride;
    private int xStride;
    private float[] in = new float[0];
    private long dstStride;
    private boolean add;
    private long ahead;
    private int aheadStep;
    // Eight accumulators, and one for loads whose only purpose is to be made.
    private final float[] sums = new float[9 * L];
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
        if (wide.length < k) {
            wide = new float[k];
        }
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
        long w = part.address() + (from - part.from()) * weightStride;
        long last = w + (to - from - 1) * weightStride;
        // Measured: short weight rows gain from groups only when more rows share them.
        int least = k <= SHORT ? 6 : 4;
        for (int n = from; n < to; n += GROUP, w += GROUP * weightStride) {
            int count = Math.min(GROUP, to - n);
            if (rows < least || count < GROUP) {
                few(w, count, x, rows, dst + 4L * n);
            } else {
                // One row more than is read, so that no load reaches past the weights.
                boolean more = last - w >= 2 * GROUP * weightStride;
                ahead = more ? w + GROUP * weightStride : w;
                aheadStep = more ? 8 * UNIT / (rows / 2) / 4 * 4 : 0;
                many(w, x, rows, dst + 4L * n);
            }
        }
    }

    /// Few rows or few weights: each weight row is read once from memory, as part of one stream,
    /// which is what memory delivers fastest.
    private void few(long w, int count, int x, int rows, long dst) {
        for (int n = 0; n < count; n++) {
            long row = w + n * weightStride;
            int r = 0;
            for (; r + 2 <= rows; r += 2) {
                one2(row, x + r * xStride, dst + r * dstStride + 4L * n);
            }
            if (r < rows) {
                one1(row, x + r * xStride, dst + r * dstStride + 4L * n);
            }
        }
    }

    /// A group of weight rows and at least four rows, while the next weights are being read.
    private void many(long w, int x, int rows, long dst) {
        int r = 0;
        for (; r + 2 <= rows; r += 2) {
            for (int n = 0; n < GROUP; n += 4) {
                four2(w + n * weightStride, x + r * xStride, dst + r * dstStride + 4L * n);
                ahead += (long) aheadStep * (k / UNIT);
            }
        }
        if (r < rows) {
            few(w, GROUP, x + r * xStride, rows - r, dst + r * dstStride);
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

    /// One weight row, two rows.
    private void one2(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F);
        FloatVector b = a;
        int y = x + xStride;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            FloatVector even = even(p);
            FloatVector odd = odd(p);
            a = even.fma(FloatVector.fromArray(F, in, x + i), a);
            b = even.fma(FloatVector.fromArray(F, in, y + i), b);
            a = odd.fma(FloatVector.fromArray(F, in, x + i + L), a);
            b = odd.fma(FloatVector.fromArray(F, in, y + i + L), b);
        }
        a.intoArray(sums, 0);
        b.intoArray(sums, L);
        Lanes.sums4(sums, totals);
        put(dst, 2, 1);
    }

    /// Four weight rows, two rows: few loads for each product. Reads ahead, so that the next
    /// weights are in cache when their turn comes.
    private void four2(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a0 = FloatVector.zero(F), a1 = a0;
        FloatVector b0 = a0, b1 = a0;
        FloatVector c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        int y = x + xStride;
        long w1 = w + weightStride;
        long w2 = w1 + weightStride;
        long w3 = w2 + weightStride;
        int end = k;
        long next = ahead;
        int step = aheadStep;
        IntVector any = pairs(next);
        for (int i = 0; i < end; i += UNIT, next += step) {
            any = any.or(pairs(next));
            FloatVector x0 = FloatVector.fromArray(F, in, x + i);
            FloatVector y0 = FloatVector.fromArray(F, in, y + i);
            FloatVector x1 = FloatVector.fromArray(F, in, x + i + L);
            FloatVector y1 = FloatVector.fromArray(F, in, y + i + L);
            IntVector p = pairs(w + 2L * i);
            FloatVector even = even(p);
            FloatVector odd = odd(p);
            a0 = even.fma(x0, a0);
            a1 = even.fma(y0, a1);
            a0 = odd.fma(x1, a0);
            a1 = odd.fma(y1, a1);
            p = pairs(w1 + 2L * i);
            even = even(p);
            odd = odd(p);
            b0 = even.fma(x0, b0);
            b1 = even.fma(y0, b1);
            b0 = odd.fma(x1, b0);
            b1 = odd.fma(y1, b1);
            p = pairs(w2 + 2L * i);
            even = even(p);
            odd = odd(p);
            c0 = even.fma(x0, c0);
            c1 = even.fma(y0, c1);
            c0 = odd.fma(x1, c0);
            c1 = odd.fma(y1, c1);
            p = pairs(w3 + 2L * i);
            even = even(p);
            odd = odd(p);
            d0 = even.fma(x0, d0);
            d1 = even.fma(y0, d1);
            d0 = odd.fma(x1, d0);
            d1 = odd.fma(y1, d1);
        }
        any.reinterpretAsFloats().intoArray(sums, 8 * L);
        a0.intoArray(sums, 0 * L);
        b0.intoArray(sums, 1 * L);
        c0.intoArray(sums, 2 * L);
        d0.intoArray(sums, 3 * L);
        a1.intoArray(sums, 4 * L);
        b1.intoArray(sums, 5 * L);
        c1.intoArray(sums, 6 * L);
        d1.intoArray(sums, 7 * L);
        Lanes.sums8(sums, totals);
        put(dst, 2, 4);
    }

    /// One weight row, one row.
    private void one1(long w, int x, long dst) {
        float[] in = this.in;
        FloatVector a = FloatVector.zero(F);
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            IntVector p = pairs(w + 2L * i);
            a = even(p).fma(FloatVector.fromArray(F, in, x + i), a);
            a = odd(p).fma(FloatVector.fromArray(F, in, x + i + L), a);
        }
        put(dst, Lanes.sum(a));
    }

    /// Weights that are not bf16, or whose rows do not end with a unit: widened first.
    private void widened(Matrix.Part part, int from, int to, int x, int rows, long dst) {
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
        float[] w = wide;
        int end = k;
        for (int i = 0; i < end; i += UNIT) {
            a = FloatVector.fromArray(F, w, i).fma(FloatVector.fromArray(F, in, x + i), a);
            a = FloatVector.fromArray(F, w, i + L).fma(FloatVector.fromArray(F, in, x + i + L), a);
        }
        put(dst, Lanes.sum(a));
    }
}
