package brantas.plain;

import brantas.op.DeltaShape;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import java.util.stream.IntStream;

/// The gated delta rule, row by row as the recurrence is written (spec 4.3, 4.4), fp64 inside and
/// fp32 state between steps. The chunked form lives in the fast backends and is compared with this
/// one.
final class Delta {
    private Delta() {}

    static void convolve(
            HostBuffer dst, HostBuffer projected, Matrix weight, State state, StepBatch batch) {
        int taps = state.shape.convWidth();
        for (int s = 0; s < batch.sequences(); s++) {
            int first = batch.rowStart(s);
            int count = batch.rowCount(s);
            int slot = batch.slot(s);
            for (int c = 0; c < state.shape.channels(); c++) {
                float[] line = new float[taps - 1 + count];
                for (int i = 0; i < taps - 1; i++) {
                    line[i] = state.tap(slot, i, c);
                }
                for (int t = 0; t < count; t++) {
                    line[taps - 1 + t] = projected.get(first + t, c);
                }
                for (int t = 0; t < count; t++) {
                    double sum = 0;
                    for (int j = 0; j < taps; j++) {
                        sum += (double) weight.at(c * taps + j) * line[t + j];
                    }
                    dst.set(first + t, c, Scalar.silu(sum));
                }
                for (int i = 0; i < taps - 1; i++) {
                    state.setTap(slot, i, c, line[count + i]);
                }
            }
        }
    }

    static void scan(
            HostBuffer dst,
            HostBuffer convolved,
            HostBuffer projected,
            Gates gates,
            State state,
            StepBatch batch) {
        Operands operands = new Operands(dst, convolved, projected, gates, state, batch);
        int heads = state.shape.valueHeads();
        IntStream.range(0, batch.sequences() * heads)
                .parallel()
                .forEach(i -> head(operands, i / heads, i % heads));
    }

    private record Operands(
            HostBuffer dst,
            HostBuffer convolved,
            HostBuffer projected,
            Gates gates,
            State state,
            StepBatch batch) {}

    private static void head(Operands op, int sequence, int h) {
        State state = op.state();
        StepBatch batch = op.batch();
        DeltaShape shape = state.shape;
        int keyFrom = h / shape.group() * shape.keyDim();
        int valueFrom = 2 * shape.keyWidth() + h * shape.valueDim();
        double[][] s = state.load(batch.slot(sequence), h);
        for (int t = 0; t < batch.rowCount(sequence); t++) {
            int row = batch.rowStart(sequence) + t;
            double[] q = unit(op.convolved(), row, keyFrom, shape.keyDim());
            double[] k = unit(op.convolved(), row, shape.keyWidth() + keyFrom, shape.keyDim());
            double beta = Scalar.sigmoid(op.projected().get(row, shape.b() + h));
            double decay = Math.exp(op.gates().log(h, op.projected().get(row, shape.a() + h)));
            double[] v = values(op.convolved(), row, valueFrom, shape.valueDim());
            step(s, k, v, decay, beta);
            double scale = 1 / Math.sqrt(shape.keyDim());
            for (int j = 0; j < shape.valueDim(); j++) {
                double o = 0;
                for (int i = 0; i < shape.keyDim(); i++) {
                    o += s[i][j] * q[i] * scale;
                }
                op.dst().set(row, h * shape.valueDim() + j, o);
            }
        }
        state.store(batch.slot(sequence), h, s);
    }

    /// Decay, predict, write: `S ← αS + k (β(v − αSᵀk))ᵀ`.
    private static void step(double[][] s, double[] k, double[] v, double decay, double beta) {
        for (int j = 0; j < s[0].length; j++) {
            double predicted = 0;
            for (int i = 0; i < k.length; i++) {
                s[i][j] *= decay;
                predicted += s[i][j] * k[i];
            }
            double u = beta * (v[j] - predicted);
            for (int i = 0; i < k.length; i++) {
                s[i][j] += k[i] * u;
            }
        }
    }

    private static double[] values(HostBuffer x, int row, int from, int n) {
        double[] v = new double[n];
        for (int i = 0; i < n; i++) {
            v[i] = x.get(row, from + i);
        }
        return v;
    }

    private static double[] unit(HostBuffer x, int row, int from, int n) {
        double[] v = values(x, row, from, n);
        double sum = Linear.dot(v, v);
        double scale = 1 / Math.sqrt(sum + DeltaShape.L2_EPS);
        for (int i = 0; i < n; i++) {
            v[i] *= scale;
        }
        return v;
    }

    /// The log-decay of a head: `−exp(A_log) · softplus(a + dt_bias)`.
    record Gates(Matrix aLog, Matrix dtBias) {
        double log(int h, double a) {
            return -Math.exp(aLog.at(h)) * Scalar.softplus(a + dtBias.at(h));
        }
    }
}
