package brantas.plain;

import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.Routing;
import brantas.op.Weight;
import brantas.tensor.Bf16;
import brantas.tensor.HostBuffer;
import java.util.List;
import java.util.stream.IntStream;

/// Sparse mixture of experts, row after row, slot after slot, fp64 (spec 5.2).
final class Experts {
    private Experts() {}

    /// The matrices of a layer: routed experts, then the shared one.
    record Set(
            ExpertShape shape,
            List<Matrix> gate,
            List<Matrix> up,
            List<Matrix> down,
            boolean rounded)
            implements Weight {
        static Set of(ExpertTensors t, ExpertShape shape, boolean rounded) {
            return new Set(
                    shape,
                    t.gate().stream().map(m -> Matrix.of(List.of(m))).toList(),
                    t.up().stream().map(m -> Matrix.of(List.of(m))).toList(),
                    t.down().stream().map(m -> Matrix.of(List.of(m))).toList(),
                    rounded);
        }

        @Override
        public String name() {
            return gate.get(0).name();
        }

        @Override
        public long bytes() {
            long sum = 0;
            for (int e = 0; e < gate.size(); e++) {
                sum += gate.get(e).bytes() + up.get(e).bytes() + down.get(e).bytes();
            }
            return sum;
        }
    }

    /// Chosen experts, their weights and the shared expert's gate, `[rows, perToken]` and `[rows]`.
    record Choice(ExpertShape shape, int[][] expert, double[][] weight, double[] shared)
            implements Routing {
        static Choice of(ExpertShape shape, int rows) {
            int k = shape.perToken();
            return new Choice(shape, new int[rows][k], new double[rows][k], new double[rows]);
        }

        @Override
        public int rows() {
            return expert.length;
        }
    }

    static void route(Choice dst, HostBuffer x, Matrix router, int rows) {
        int n = dst.shape().experts();
        double[][] in = Linear.rows(x, rows, router.cols());
        double[][] logits = new double[rows][n + 1];
        double[] weights = new double[router.cols()];
        for (int e = 0; e <= n; e++) {
            router.row(e, weights);
            for (int r = 0; r < rows; r++) {
                logits[r][e] = Linear.dot(weights, in[r]);
            }
        }
        for (int r = 0; r < rows; r++) {
            choose(dst.expert()[r], dst.weight()[r], logits[r], n);
            dst.shared()[r] = Scalar.sigmoid(logits[r][n]);
        }
    }

    /// Top-k of the probabilities, the lower index first among equals; renormalising is the softmax
    /// over the chosen.
    private static void choose(int[] expert, double[] weight, double[] logits, int n) {
        boolean[] used = new boolean[n];
        double sum = 0;
        for (int slot = 0; slot < expert.length; slot++) {
            int best = -1;
            for (int e = 0; e < n; e++) {
                if (!used[e] && (best < 0 || logits[e] > logits[best])) {
                    best = e;
                }
            }
            used[best] = true;
            expert[slot] = best;
            weight[slot] = Math.exp(logits[best] - logits[expert[0]]);
            sum += weight[slot];
        }
        for (int slot = 0; slot < weight.length; slot++) {
            weight[slot] /= sum;
        }
    }

    static void apply(HostBuffer dst, HostBuffer x, Choice choice, Set set, int rows) {
        double[][] in = Linear.rows(x, rows, set.gate().get(0).cols());
        IntStream.range(0, rows)
                .parallel()
                .forEach(r -> {
                    double[] sum = new double[in[r].length];
                    for (int slot = 0; slot < choice.shape().perToken(); slot++) {
                        add(sum, set, choice.expert()[r][slot], in[r], choice.weight()[r][slot]);
                    }
                    add(sum, set, choice.shape().experts(), in[r], choice.shared()[r]);
                    for (int i = 0; i < sum.length; i++) {
                        dst.set(r, i, dst.get(r, i) + sum[i]);
                    }
                });
    }

    private static void add(double[] sum, Set set, int expert, double[] x, double weight) {
        Matrix gate = set.gate().get(expert);
        Matrix up = set.up().get(expert);
        Matrix down = set.down().get(expert);
        double[] line = new double[Math.max(gate.cols(), down.cols())];
        double[] inner = new double[gate.rows()];
        for (int i = 0; i < inner.length; i++) {
            gate.row(i, line);
            double g = Linear.dot(line, x);
            up.row(i, line);
            double v = Scalar.silu(g) * Linear.dot(line, x);
            inner[i] = set.rounded() ? Bf16.round((float) v) : v;
        }
        for (int i = 0; i < sum.length; i++) {
            down.row(i, line);
            sum[i] += weight * Linear.dot(line, inner);
        }
    }
}
