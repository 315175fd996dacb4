package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;

import jdk.incubator.vector.FloatVector;

/// The matrix-product kernels: `C += A · B` on small blocks that lie in cache, lanes along the
/// columns of B, so that nothing is reduced across lanes. Each element is a chain of fused
/// multiply-adds along `k` from zero, then added to C: the same bits in every kernel, wherever the
/// element falls in a tile. One object per thread; fields hold the operands, because a kernel needs
/// more of them than a method should take.
final class Tile {
    /// Rows of A and C are read and written in groups of this many: blocks need that much slack.
    static final int ROWS = 12;

    private float[] a = new float[0];
    private int lda;
    private float[] b = new float[0];
    private int ldb;
    private float[] c = new float[0];
    private int ldc;
    private int kc;

    /// The left operand `[m, k]`.
    ///
    /// @param stride values from row to row
    Tile left(float[] values, int stride) {
        a = values;
        lda = stride;
        return this;
    }

    /// The right operand `[k, columns]`.
    ///
    /// @param stride values from row to row
    Tile right(float[] values, int stride) {
        b = values;
        ldb = stride;
        return this;
    }

    /// The result `[m, columns]`.
    ///
    /// @param stride values from row to row
    Tile result(float[] values, int stride) {
        c = values;
        ldc = stride;
        return this;
    }

    /// Inner dimension.
    Tile depth(int k) {
        kc = k;
        return this;
    }

    /// Adds the product of `m` rows and `vectors` vectors of columns.
    ///
    /// @param ao index of the left operand's first value
    /// @param bo index of the right operand's first value
    /// @param co index of the result's first value
    void multiply(int m, int vectors, int ao, int bo, int co) {
        int j = 0;
        for (; j + 4 <= vectors; j += 4) {
            for (int i = 0; i < m; i += 6) {
                six4(ao + i * lda, bo + j * L, co + i * ldc + j * L);
            }
        }
        for (; j + 2 <= vectors; j += 2) {
            for (int i = 0; i < m; i += 12) {
                twelve2(ao + i * lda, bo + j * L, co + i * ldc + j * L);
            }
        }
        for (int i = 0; j < vectors && i < m; i += 12) {
            twelve1(ao + i * lda, bo + j * L, co + i * ldc + j * L);
        }
    }

    /// Six rows, four vectors: the main kernel, all 24 accumulators in registers.
    private void six4(int ao, int bo, int co) {
        float[] x = a;
        int s = lda;
        float[] y = b;
        int bs = ldb;
        int end = kc;
        FloatVector a0 = FloatVector.zero(F),
                a1 = a0,
                a2 = a0,
                a3 = a0,
                b0 = a0,
                b1 = a0,
                b2 = a0,
                b3 = a0;
        FloatVector c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
        FloatVector e0 = a0, e1 = a0, e2 = a0, e3 = a0, f0 = a0, f1 = a0, f2 = a0, f3 = a0;
        int p = bo;
        for (int k = ao; k < ao + end; k++, p += bs) {
            FloatVector v0 = FloatVector.fromArray(F, y, p);
            FloatVector v1 = FloatVector.fromArray(F, y, p + 1 * L);
            FloatVector v2 = FloatVector.fromArray(F, y, p + 2 * L);
            FloatVector v3 = FloatVector.fromArray(F, y, p + 3 * L);
            FloatVector w0 = FloatVector.broadcast(F, x[k]);
            a0 = w0.fma(v0, a0);
            a1 = w0.fma(v1, a1);
            a2 = w0.fma(v2, a2);
            a3 = w0.fma(v3, a3);
            FloatVector w1 = FloatVector.broadcast(F, x[k + s]);
            b0 = w1.fma(v0, b0);
            b1 = w1.fma(v1, b1);
            b2 = w1.fma(v2, b2);
            b3 = w1.fma(v3, b3);
            FloatVector w2 = FloatVector.broadcast(F, x[k + 2 * s]);
            c0 = w2.fma(v0, c0);
            c1 = w2.fma(v1, c1);
            c2 = w2.fma(v2, c2);
            c3 = w2.fma(v3, c3);
            FloatVector w3 = FloatVector.broadcast(F, x[k + 3 * s]);
            d0 = w3.fma(v0, d0);
            d1 = w3.fma(v1, d1);
            d2 = w3.fma(v2, d2);
            d3 = w3.fma(v3, d3);
            FloatVector w4 = FloatVector.broadcast(F, x[k + 4 * s]);
            e0 = w4.fma(v0, e0);
            e1 = w4.fma(v1, e1);
            e2 = w4.fma(v2, e2);
            e3 = w4.fma(v3, e3);
            FloatVector w5 = FloatVector.broadcast(F, x[k + 5 * s]);
            f0 = w5.fma(v0, f0);
            f1 = w5.fma(v1, f1);
            f2 = w5.fma(v2, f2);
            f3 = w5.fma(v3, f3);
        }
        float[] z = c;
        int r0 = co;
        a0.add(FloatVector.fromArray(F, z, r0)).intoArray(z, r0);
        a1.add(FloatVector.fromArray(F, z, r0 + L)).intoArray(z, r0 + L);
        a2.add(FloatVector.fromArray(F, z, r0 + 2 * L)).intoArray(z, r0 + 2 * L);
        a3.add(FloatVector.fromArray(F, z, r0 + 3 * L)).intoArray(z, r0 + 3 * L);
        int r1 = co + ldc;
        b0.add(FloatVector.fromArray(F, z, r1)).intoArray(z, r1);
        b1.add(FloatVector.fromArray(F, z, r1 + L)).intoArray(z, r1 + L);
        b2.add(FloatVector.fromArray(F, z, r1 + 2 * L)).intoArray(z, r1 + 2 * L);
        b3.add(FloatVector.fromArray(F, z, r1 + 3 * L)).intoArray(z, r1 + 3 * L);
        int r2 = co + 2 * ldc;
        c0.add(FloatVector.fromArray(F, z, r2)).intoArray(z, r2);
        c1.add(FloatVector.fromArray(F, z, r2 + L)).intoArray(z, r2 + L);
        c2.add(FloatVector.fromArray(F, z, r2 + 2 * L)).intoArray(z, r2 + 2 * L);
        c3.add(FloatVector.fromArray(F, z, r2 + 3 * L)).intoArray(z, r2 + 3 * L);
        int r3 = co + 3 * ldc;
        d0.add(FloatVector.fromArray(F, z, r3)).intoArray(z, r3);
        d1.add(FloatVector.fromArray(F, z, r3 + L)).intoArray(z, r3 + L);
        d2.add(FloatVector.fromArray(F, z, r3 + 2 * L)).intoArray(z, r3 + 2 * L);
        d3.add(FloatVector.fromArray(F, z, r3 + 3 * L)).intoArray(z, r3 + 3 * L);
        int r4 = co + 4 * ldc;
        e0.add(FloatVector.fromArray(F, z, r4)).intoArray(z, r4);
        e1.add(FloatVector.fromArray(F, z, r4 + L)).intoArray(z, r4 + L);
        e2.add(FloatVector.fromArray(F, z, r4 + 2 * L)).intoArray(z, r4 + 2 * L);
        e3.add(FloatVector.fromArray(F, z, r4 + 3 * L)).intoArray(z, r4 + 3 * L);
        int r5 = co + 5 * ldc;
        f0.add(FloatVector.fromArray(F, z, r5)).intoArray(z, r5);
        f1.add(FloatVector.fromArray(F, z, r5 + L)).intoArray(z, r5 + L);
        f2.add(FloatVector.fromArray(F, z, r5 + 2 * L)).intoArray(z, r5 + 2 * L);
        f3.add(FloatVector.fromArray(F, z, r5 + 3 * L)).intoArray(z, r5 + 3 * L);
    }

    /// Twelve rows, two vectors.
    private void twelve2(int ao, int bo, int co) {
        float[] x = a;
        int s = lda;
        float[] y = b;
        int bs = ldb;
        int end = kc;
        FloatVector a0 = FloatVector.zero(F),
                a1 = a0,
                b0 = a0,
                b1 = a0,
                c0 = a0,
                c1 = a0,
                d0 = a0,
                d1 = a0;
        FloatVector e0 = a0, e1 = a0, f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0;
        FloatVector i0 = a0, i1 = a0, j0 = a0, j1 = a0, k0 = a0, k1 = a0, l0 = a0, l1 = a0;
        int p = bo;
        for (int k = ao; k < ao + end; k++, p += bs) {
            FloatVector v0 = FloatVector.fromArray(F, y, p);
            FloatVector v1 = FloatVector.fromArray(F, y, p + 1 * L);
            FloatVector w0 = FloatVector.broadcast(F, x[k]);
            a0 = w0.fma(v0, a0);
            a1 = w0.fma(v1, a1);
            FloatVector w1 = FloatVector.broadcast(F, x[k + s]);
            b0 = w1.fma(v0, b0);
            b1 = w1.fma(v1, b1);
            FloatVector w2 = FloatVector.broadcast(F, x[k + 2 * s]);
            c0 = w2.fma(v0, c0);
            c1 = w2.fma(v1, c1);
            FloatVector w3 = FloatVector.broadcast(F, x[k + 3 * s]);
            d0 = w3.fma(v0, d0);
            d1 = w3.fma(v1, d1);
            FloatVector w4 = FloatVector.broadcast(F, x[k + 4 * s]);
            e0 = w4.fma(v0, e0);
            e1 = w4.fma(v1, e1);
            FloatVector w5 = FloatVector.broadcast(F, x[k + 5 * s]);
            f0 = w5.fma(v0, f0);
            f1 = w5.fma(v1, f1);
            FloatVector w6 = FloatVector.broadcast(F, x[k + 6 * s]);
            g0 = w6.fma(v0, g0);
            g1 = w6.fma(v1, g1);
            FloatVector w7 = FloatVector.broadcast(F, x[k + 7 * s]);
            h0 = w7.fma(v0, h0);
            h1 = w7.fma(v1, h1);
            FloatVector w8 = FloatVector.broadcast(F, x[k + 8 * s]);
            i0 = w8.fma(v0, i0);
            i1 = w8.fma(v1, i1);
            FloatVector w9 = FloatVector.broadcast(F, x[k + 9 * s]);
            j0 = w9.fma(v0, j0);
            j1 = w9.fma(v1, j1);
            FloatVector w10 = FloatVector.broadcast(F, x[k + 10 * s]);
            k0 = w10.fma(v0, k0);
            k1 = w10.fma(v1, k1);
            FloatVector w11 = FloatVector.broadcast(F, x[k + 11 * s]);
            l0 = w11.fma(v0, l0);
            l1 = w11.fma(v1, l1);
        }
        float[] z = c;
        int r0 = co;
        a0.add(FloatVector.fromArray(F, z, r0)).intoArray(z, r0);
        a1.add(FloatVector.fromArray(F, z, r0 + L)).intoArray(z, r0 + L);
        int r1 = co + ldc;
        b0.add(FloatVector.fromArray(F, z, r1)).intoArray(z, r1);
        b1.add(FloatVector.fromArray(F, z, r1 + L)).intoArray(z, r1 + L);
        int r2 = co + 2 * ldc;
        c0.add(FloatVector.fromArray(F, z, r2)).intoArray(z, r2);
        c1.add(FloatVector.fromArray(F, z, r2 + L)).intoArray(z, r2 + L);
        int r3 = co + 3 * ldc;
        d0.add(FloatVector.fromArray(F, z, r3)).intoArray(z, r3);
        d1.add(FloatVector.fromArray(F, z, r3 + L)).intoArray(z, r3 + L);
        int r4 = co + 4 * ldc;
        e0.add(FloatVector.fromArray(F, z, r4)).intoArray(z, r4);
        e1.add(FloatVector.fromArray(F, z, r4 + L)).intoArray(z, r4 + L);
        int r5 = co + 5 * ldc;
        f0.add(FloatVector.fromArray(F, z, r5)).intoArray(z, r5);
        f1.add(FloatVector.fromArray(F, z, r5 + L)).intoArray(z, r5 + L);
        int r6 = co + 6 * ldc;
        g0.add(FloatVector.fromArray(F, z, r6)).intoArray(z, r6);
        g1.add(FloatVector.fromArray(F, z, r6 + L)).intoArray(z, r6 + L);
        int r7 = co + 7 * ldc;
        h0.add(FloatVector.fromArray(F, z, r7)).intoArray(z, r7);
        h1.add(FloatVector.fromArray(F, z, r7 + L)).intoArray(z, r7 + L);
        int r8 = co + 8 * ldc;
        i0.add(FloatVector.fromArray(F, z, r8)).intoArray(z, r8);
        i1.add(FloatVector.fromArray(F, z, r8 + L)).intoArray(z, r8 + L);
        int r9 = co + 9 * ldc;
        j0.add(FloatVector.fromArray(F, z, r9)).intoArray(z, r9);
        j1.add(FloatVector.fromArray(F, z, r9 + L)).intoArray(z, r9 + L);
        int r10 = co + 10 * ldc;
        k0.add(FloatVector.fromArray(F, z, r10)).intoArray(z, r10);
        k1.add(FloatVector.fromArray(F, z, r10 + L)).intoArray(z, r10 + L);
        int r11 = co + 11 * ldc;
        l0.add(FloatVector.fromArray(F, z, r11)).intoArray(z, r11);
        l1.add(FloatVector.fromArray(F, z, r11 + L)).intoArray(z, r11 + L);
    }

    /// Twelve rows, one vector.
    private void twelve1(int ao, int bo, int co) {
        float[] x = a;
        int s = lda;
        float[] y = b;
        int bs = ldb;
        int end = kc;
        FloatVector a0 = FloatVector.zero(F),
                b0 = a0,
                c0 = a0,
                d0 = a0,
                e0 = a0,
                f0 = a0,
                g0 = a0,
                h0 = a0;
        FloatVector i0 = a0, j0 = a0, k0 = a0, l0 = a0;
        int p = bo;
        for (int k = ao; k < ao + end; k++, p += bs) {
            FloatVector v0 = FloatVector.fromArray(F, y, p);
            FloatVector w0 = FloatVector.broadcast(F, x[k]);
            a0 = w0.fma(v0, a0);
            FloatVector w1 = FloatVector.broadcast(F, x[k + s]);
            b0 = w1.fma(v0, b0);
            FloatVector w2 = FloatVector.broadcast(F, x[k + 2 * s]);
            c0 = w2.fma(v0, c0);
            FloatVector w3 = FloatVector.broadcast(F, x[k + 3 * s]);
            d0 = w3.fma(v0, d0);
            FloatVector w4 = FloatVector.broadcast(F, x[k + 4 * s]);
            e0 = w4.fma(v0, e0);
            FloatVector w5 = FloatVector.broadcast(F, x[k + 5 * s]);
            f0 = w5.fma(v0, f0);
            FloatVector w6 = FloatVector.broadcast(F, x[k + 6 * s]);
            g0 = w6.fma(v0, g0);
            FloatVector w7 = FloatVector.broadcast(F, x[k + 7 * s]);
            h0 = w7.fma(v0, h0);
            FloatVector w8 = FloatVector.broadcast(F, x[k + 8 * s]);
            i0 = w8.fma(v0, i0);
            FloatVector w9 = FloatVector.broadcast(F, x[k + 9 * s]);
            j0 = w9.fma(v0, j0);
            FloatVector w10 = FloatVector.broadcast(F, x[k + 10 * s]);
            k0 = w10.fma(v0, k0);
            FloatVector w11 = FloatVector.broadcast(F, x[k + 11 * s]);
            l0 = w11.fma(v0, l0);
        }
        float[] z = c;
        int r0 = co;
        a0.add(FloatVector.fromArray(F, z, r0)).intoArray(z, r0);
        int r1 = co + ldc;
        b0.add(FloatVector.fromArray(F, z, r1)).intoArray(z, r1);
        int r2 = co + 2 * ldc;
        c0.add(FloatVector.fromArray(F, z, r2)).intoArray(z, r2);
        int r3 = co + 3 * ldc;
        d0.add(FloatVector.fromArray(F, z, r3)).intoArray(z, r3);
        int r4 = co + 4 * ldc;
        e0.add(FloatVector.fromArray(F, z, r4)).intoArray(z, r4);
        int r5 = co + 5 * ldc;
        f0.add(FloatVector.fromArray(F, z, r5)).intoArray(z, r5);
        int r6 = co + 6 * ldc;
        g0.add(FloatVector.fromArray(F, z, r6)).intoArray(z, r6);
        int r7 = co + 7 * ldc;
        h0.add(FloatVector.fromArray(F, z, r7)).intoArray(z, r7);
        int r8 = co + 8 * ldc;
        i0.add(FloatVector.fromArray(F, z, r8)).intoArray(z, r8);
        int r9 = co + 9 * ldc;
        j0.add(FloatVector.fromArray(F, z, r9)).intoArray(z, r9);
        int r10 = co + 10 * ldc;
        k0.add(FloatVector.fromArray(F, z, r10)).intoArray(z, r10);
        int r11 = co + 11 * ldc;
        l0.add(FloatVector.fromArray(F, z, r11)).intoArray(z, r11);
    }
}
