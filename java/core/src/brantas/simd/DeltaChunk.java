package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.IOTA;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The delta rule in chunks of 64 rows (spec 4.5) for one key head and its value heads. The writes
/// `u` come from forward substitution of `(I + A) u = β (v − e^c S₀ᵀk)`, never from a product form
/// of the inverse; everything else is a product of [Tile] with lanes along the value columns. The
/// grid of chunks starts at the sequence's first row of the step. One object per thread.
@SuppressWarnings("NullAway.Init") // bound by each call before its region runs
final class DeltaChunk {
    private static final int C = 64;
    private static final int ROWS = Lanes.pad(C, Tile.ROWS);

    private final Tile tile = new Tile();
    private final float[] kk = new float[ROWS * C];
    private final float[] qk = new float[ROWS * C];
    private final float[] lower = new float[ROWS * C];
    private final float[] weights = new float[ROWS * C];
    private final float[] sumHigh = new float[C];
    private final float[] sumLow = new float[C];
    private final float[] since = new float[C];
    private final float[] until = new float[C];
    private final float[] beta = new float[C];
    private float[] q = new float[0];
    private float[] k = new float[0];
    private float[] kAcross = new float[0];
    private float[] x = new float[0];
    private float[] out = new float[0];
    private float[] u = new float[0];
    private float[] s0 = new float[0];

    private DeltaScan scan;
    private DeltaSlots slots;
    private int keyDim;
    private int stride;
    private int count;

    /// Sizes the scratch for the shape at hand.
    void bind(DeltaScan owner, DeltaSlots state) {
        scan = owner;
        slots = state;
        keyDim = state.shape().keyDim();
        stride = state.stride();
        int keyRows = Lanes.pad(keyDim, Tile.ROWS);
        if (q.length != ROWS * keyDim || x.length != ROWS * stride) {
            q = new float[ROWS * keyDim];
            k = new float[ROWS * keyDim];
            kAcross = new float[keyRows * C];
            x = new float[ROWS * stride];
            out = new float[ROWS * stride];
            u = new float[C * stride];
            s0 = new float[keyRows * stride];
        }
    }

    /// Runs `rows` rows of a sequence through the value heads of a key head.
    void sequence(int slot, int keyHead, int first, int rows) {
        int group = slots.shape().group();
        for (int from = 0; from < rows; from += C) {
            count = Math.min(C, rows - from);
            shared(first + from, keyHead);
            for (int h = keyHead * group; h < (keyHead + 1) * group; h++) {
                gates(first + from, h);
                head(first + from, h, slots.state(slot, h));
            }
        }
    }

    /// Normalised queries and keys of the chunk, and their products with the keys.
    private void shared(int row, int keyHead) {
        float scale = (float) (1 / Math.sqrt(keyDim));
        Arrays.fill(kAcross, 0f);
        for (int t = 0; t < count; t++) {
            long from = scan.query(row + t, keyHead);
            float unit = DeltaScan.unit(from, keyDim) * scale;
            for (int i = 0; i < keyDim; i++) {
                q[t * keyDim + i] = Lanes.get(from + 4L * i) * unit;
            }
            from = scan.key(row + t, keyHead);
            unit = DeltaScan.unit(from, keyDim);
            for (int i = 0; i < keyDim; i++) {
                float value = Lanes.get(from + 4L * i) * unit;
                k[t * keyDim + i] = value;
                kAcross[i * C + t] = value;
            }
        }
        Arrays.fill(kk, 0f);
        Arrays.fill(qk, 0f);
        int vectors = Attend.vectors(count);
        tile.right(kAcross, C).depth(keyDim);
        tile.left(k, keyDim).result(kk, C).multiply(count, vectors, 0, 0, 0);
        tile.left(q, keyDim).result(qk, C).multiply(count, vectors, 0, 0, 0);
    }

    /// Cumulative decay of a value head in two floats each, so that differences stay exact, and
    /// what follows from it: `lower = −β (KKᵀ ⊙ D)` below the diagonal, `weights = QKᵀ ⊙ D`.
    private void gates(int row, int head) {
        double sum = 0;
        for (int t = 0; t < count; t++) {
            sum += scan.decay(row + t, head);
            beta[t] = scan.beta(row + t, head);
            sumHigh[t] = (float) sum;
            sumLow[t] = (float) (sum - sumHigh[t]);
            since[t] = (float) Math.exp(sum);
        }
        for (int t = 0; t < count; t++) {
            until[t] = (float) Math.exp(sum - ((double) sumHigh[t] + sumLow[t]));
        }
        for (int t = 0; t < count; t++) {
            for (int s = 0; s < C; s += L) {
                decayed(t, s);
            }
        }
    }

    private void decayed(int t, int s) {
        FloatVector high = FloatVector.fromArray(F, sumHigh, s).neg().add(sumHigh[t]);
        FloatVector low = FloatVector.fromArray(F, sumLow, s).neg().add(sumLow[t]);
        // Masked before exp (spec 4.9): differences above the diagonal are positive.
        FloatVector d = Lanes.exp(high.add(low).min(0f));
        int at = t * C + s;
        FloatVector p = FloatVector.fromArray(F, qk, at).mul(d);
        p.blend(0f, IOTA.compare(VectorOperators.GT, t - s)).intoArray(weights, at);
        FloatVector a = FloatVector.fromArray(F, kk, at).mul(d).mul(-beta[t]);
        a.blend(0f, IOTA.compare(VectorOperators.GE, t - s)).intoArray(lower, at);
    }

    private void head(int row, int head, long state) {
        int vectors = stride / L;
        Arrays.fill(x, 0f);
        Arrays.fill(out, 0f);
        Lanes.copy(state, s0, keyDim * stride);
        tile.right(s0, stride).depth(keyDim);
        tile.left(k, keyDim).result(x, stride).multiply(count, vectors, 0, 0, 0);
        tile.left(q, keyDim).result(out, stride).multiply(count, vectors, 0, 0, 0);
        for (int t = 0; t < count; t++) {
            target(t, scan.value(row + t, head));
        }
        solve();
        tile.left(weights, C).right(u, stride).result(out, stride);
        for (int t = 0; t < count; t += Tile.ROWS) {
            int to = Math.min(count, t + Tile.ROWS);
            tile.depth(to).multiply(to - t, vectors, t * C, 0, t * stride);
        }
        int valueDim = slots.shape().valueDim();
        for (int t = 0; t < count; t++) {
            copyOut(t * stride, scan.output(row + t, head), valueDim);
        }
        carry(state);
    }

    /// Row `t` of `x` becomes `β (v − e^c S₀ᵀk)`, row `t` of `out` `e^c S₀ᵀq`.
    private void target(int t, long value) {
        int valueDim = slots.shape().valueDim();
        int whole = F.loopBound(valueDim);
        int at = t * stride;
        float decay = since[t];
        for (int j = 0; j < stride; j += L) {
            FloatVector.fromArray(F, out, at + j).mul(decay).intoArray(out, at + j);
        }
        for (int j = 0; j < whole; j += L) {
            FloatVector seen = FloatVector.fromArray(F, x, at + j).mul(decay);
            load(value + 4L * j).sub(seen).mul(beta[t]).intoArray(x, at + j);
        }
        for (int j = whole; j < valueDim; j++) {
            x[at + j] = (Lanes.get(value + 4L * j) - x[at + j] * decay) * beta[t];
        }
    }

    /// Forward substitution by blocks of rows; `u` receives the solution.
    private void solve() {
        for (int from = 0; from < count; from += Tile.ROWS) {
            int to = Math.min(count, from + Tile.ROWS);
            if (from > 0) {
                tile.left(lower, C).right(u, stride).result(x, stride).depth(from);
                tile.multiply(to - from, stride / L, from * C, 0, from * stride);
            }
            for (int j = 0; j < stride; j += L) {
                substitute(from, to, j);
            }
        }
    }

    private void substitute(int from, int to, int j) {
        for (int t = from; t < to; t++) {
            FloatVector v = FloatVector.fromArray(F, x, t * stride + j);
            for (int s = from; s < t; s++) {
                FloatVector a = FloatVector.broadcast(F, lower[t * C + s]);
                v = a.fma(FloatVector.fromArray(F, u, s * stride + j), v);
            }
            v.intoArray(u, t * stride + j);
        }
    }

    private void copyOut(int from, long to, int n) {
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += L) {
            store(FloatVector.fromArray(F, out, from + j), to + 4L * j);
        }
        for (int j = whole; j < n; j++) {
            Lanes.set(to + 4L * j, out[from + j]);
        }
    }

    /// `S = e^{c_C} S₀ + Kᵀ (e^{c_C − c} u)`.
    private void carry(long state) {
        for (int t = 0; t < count; t++) {
            for (int j = t * stride; j < (t + 1) * stride; j += L) {
                FloatVector.fromArray(F, u, j).mul(until[t]).intoArray(u, j);
            }
        }
        float decay = since[count - 1];
        for (int i = 0; i < keyDim * stride; i += L) {
            FloatVector.fromArray(F, s0, i).mul(decay).intoArray(s0, i);
        }
        tile.left(kAcross, C).right(u, stride).result(s0, stride).depth(count);
        tile.multiply(keyDim, stride / L, 0, 0, 0);
        for (int i = 0; i < keyDim * stride; i += L) {
            store(DeltaScan.flush(FloatVector.fromArray(F, s0, i)), state + 4L * i);
        }
    }
}
