package brantas.simd;

import brantas.op.AttentionNorms;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.DeltaState;
import brantas.op.DeltaWeights;
import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.GatedNorm;
import brantas.op.KvCache;
import brantas.op.Norm;
import brantas.op.Rope;
import brantas.op.Routing;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.tensor.Bf16;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// The ops as [Program]s.
public final class Programs {
    private Programs() {}

    /// A product with stacked parts of some type; `add` starts from other values.
    public static Program linear(
            String name, long seed, DType type, boolean add, int in, int... out) {
        return new Program(name + " " + type + " " + in, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                List<HostTensor> parts = new ArrayList<>();
                int rows = 0;
                for (int n : out) {
                    parts.add(tensor(random, type, 1, n, in));
                    rows += n;
                }
                Weight w = ops.matrix(parts);
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = input(ops, batch, step, in, 0);
                Buffer y = input(ops, batch, step, rows, 1);
                ops.begin(batch);
                if (add) {
                    ops.linearAdd(y, x, w, batch.span());
                } else {
                    ops.linear(y, x, w, batch.span());
                }
                return output(ops, y, batch, step);
            }
        };
    }

    /// A product whose sums stay fp32.
    public static Program logits(long seed, int in, int out) {
        return new Program("logits " + in + " " + out, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                HostTensor head = tensor(new SplittableRandom(seed), DType.BF16, 1, out, in);
                Weight w = ops.matrix(List.of(head));
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = input(ops, batch, step, in, 0);
                Buffer y = ops.floats("logits", Math.max(1, batch.rows()), out);
                ops.begin(batch);
                ops.linear(y, x, w, batch.span());
                return output(ops, y, batch, step);
            }
        };
    }

    public static Program norm(long seed, int cols) {
        return new Program("rmsNorm " + cols, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                HostTensor t = tensor(new SplittableRandom(seed), DType.BF16, 1, cols);
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = input(ops, batch, step, cols, 0);
                ops.rmsNorm(x, x, new Norm(ops.vector(t), 1e-6f), batch.span());
                return output(ops, x, batch, step);
            }
        };
    }

    /// Gates are spread over ±12 or so.
    public static Program swiGlu(long seed, int in, int inner) {
        return new Program("swiGlu " + in + " " + inner, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                double scale = 20 / Math.sqrt(in);
                HostTensor gate = tensor(random, DType.BF16, scale, inner, in);
                HostTensor up = tensor(random, DType.BF16, scale, inner, in);
                Weight w = ops.gateUp(gate, up);
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = input(ops, batch, step, in, 0);
                Buffer y = ops.buffer("y", batch.rows(), inner);
                ops.begin(batch);
                ops.swiGlu(y, x, w, batch.span());
                return output(ops, y, batch, step);
            }
        };
    }

    public static Program embed(long seed, DType type, int cols) {
        return new Program("embed and gather " + type + " " + cols, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                Weight table =
                        ops.matrix(
                                List.of(
                                        tensor(random, type, 1, 5, cols),
                                        tensor(random, type, 1, 6, cols)));
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = ops.buffer("x", batch.rows(), cols);
                Buffer y = ops.buffer("y", batch.rows(), cols);
                ops.begin(batch);
                ops.embed(x, table, batch);
                ops.gatherOutputs(y, x, batch);
                return output(ops, y, batch, step);
            }
        };
    }

    public static Program gatedNorm(long seed, DeltaShape shape) {
        return new Program("gatedNorm " + shape, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                HostTensor t = tensor(new SplittableRandom(seed), DType.F32, 1, shape.valueDim());
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer o = input(ops, batch, step, shape.valueWidth(), 0);
                Buffer p = input(ops, batch, step, shape.projected(), 1);
                ops.gatedNorm(o, o, p, new GatedNorm(ops.vector(t), shape), batch.span());
                return output(ops, o, batch, step);
            }
        };
    }

    public static Program attention(long seed, AttentionShape shape, int pageSize) {
        return new Program("attention " + shape + " pages of " + pageSize, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                Weight q = ops.vector(tensor(random, DType.BF16, 1, shape.headDim()));
                Weight k = ops.vector(tensor(random, DType.BF16, 1, shape.headDim()));
                KvCache cache = ops.kvCache(shape, pageSize, 16 * PAGES);
                int pairs = shape.rotaryDim() / 2;
                float[] frequencies = new float[pairs];
                int[] axis = new int[pairs];
                for (int j = 0; j < pairs; j++) {
                    frequencies[j] = (float) Math.pow(10_000, -(double) j / pairs);
                    axis[j] = j % 3;
                }
                Rope rope = new Rope(frequencies, axis, 1.1f);
                step(ops, first(sequences), new AttentionNorms(q, k), cache, rope);
                return step(ops, ordered(sequences), new AttentionNorms(q, k), cache, rope);
            }

            private Map<Integer, float[]> step(
                    Backend ops, List<Seq> step, AttentionNorms norms, KvCache cache, Rope rope) {
                StepBatch batch = batch(step);
                Buffer p = input(ops, batch, step, shape.projected(), 0);
                Buffer turns = ops.floats("turns", batch.rows(), shape.rotaryDim());
                Buffer q = ops.buffer("q", batch.rows(), shape.width());
                Buffer y = ops.buffer("y", batch.rows(), shape.width());
                ops.begin(batch);
                ops.rotations(turns, rope, batch);
                ops.storeKv(q, p, norms, turns, cache, batch);
                ops.attend(y, q, p, cache, batch);
                return output(ops, y, batch, step);
            }
        };
    }

    /// Convolution and delta rule, on keys that a test may bend: then the convolution lets each
    /// token through as it is.
    public static Program delta(long seed, DeltaShape shape, DeltaInput bend) {
        return new Program("delta " + shape + " " + bend, seed) {
            @Override
            float[] row(Seq s, int position, int cols, int salt) {
                float[] values = super.row(s, position, cols, salt);
                return bend.apply(shape, values, super.row(s, -1, cols, salt));
            }

            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                Weight aLog = ops.vector(tensor(random, DType.F32, 1, shape.valueHeads()));
                Weight bias = ops.vector(tensor(random, DType.BF16, 1, shape.valueHeads()));
                Weight conv = ops.vector(bend.taps(shape, random));
                DeltaState state = ops.deltaState(shape, 16);
                DeltaWeights weights = new DeltaWeights(conv, aLog, bias);
                step(ops, first(sequences), weights, state);
                return step(ops, ordered(sequences), weights, state);
            }

            private Map<Integer, float[]> step(
                    Backend ops, List<Seq> step, DeltaWeights weights, DeltaState state) {
                StepBatch batch = batch(step);
                Buffer p = input(ops, batch, step, shape.projected(), 0);
                Buffer c = ops.buffer("convolved", batch.rows(), shape.channels());
                Buffer y = ops.buffer("y", batch.rows(), shape.valueWidth());
                ops.begin(batch);
                ops.delta(y, c, p, weights, state, batch);
                return output(ops, y, batch, step);
            }
        };
    }

    /// What to do with the random rows of the delta rule.
    public enum DeltaInput {
        RANDOM,
        CORRELATED,
        STRONG_DECAY;

        /// @param values projected columns of a row
        /// @param common the same columns of a row all rows share
        float[] apply(DeltaShape shape, float[] values, float[] common) {
            if (this == RANDOM) {
                return values;
            }
            // SiLU lets keys of one sign through nearly as they are.
            for (int i = shape.keyWidth(); i < 2 * shape.keyWidth(); i++) {
                values[i] = 2 + common[i] + 0.2f * values[i];
            }
            for (int h = 0; h < shape.valueHeads(); h++) {
                values[shape.b() + h] = 8;
                boolean strong = this == STRONG_DECAY && values[shape.a() + h] > 0;
                values[shape.a() + h] = strong ? 50 : -9;
            }
            return values;
        }

        /// The convolution's weights.
        HostTensor taps(DeltaShape shape, SplittableRandom random) {
            HostTensor taps =
                    Program.tensor(random, DType.BF16, 1, shape.channels(), 1, shape.convWidth());
            for (int i = 0; this != RANDOM && i < shape.channels() * shape.convWidth(); i++) {
                boolean last = i % shape.convWidth() == shape.convWidth() - 1;
                taps.data().set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, Bf16.of(last ? 1 : 0));
            }
            return taps;
        }
    }

    public static Program experts(long seed, DType type, ExpertShape shape, int hidden) {
        return experts("experts", seed, type, shape, hidden, 0);
    }

    /// Every row chooses the first `perToken` experts, whatever else is in it.
    public static Program crowdedExperts(long seed, ExpertShape shape, int hidden) {
        return experts("crowded experts", seed, DType.BF16, shape, hidden, 100);
    }

    /// @param pull of the first experts on every row's first column, which is then 1
    private static Program experts(
            String name, long seed, DType type, ExpertShape shape, int hidden, float pull) {
        return new Program(name + " " + type + " " + shape + " " + hidden, seed) {
            @Override
            float[] row(Seq s, int position, int cols, int salt) {
                float[] values = super.row(s, position, cols, salt);
                values[0] = pull == 0 ? values[0] : 1;
                return values;
            }

            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                SplittableRandom random = new SplittableRandom(seed);
                List<HostTensor> gate = new ArrayList<>();
                List<HostTensor> up = new ArrayList<>();
                List<HostTensor> down = new ArrayList<>();
                for (int e = 0; e <= shape.experts(); e++) {
                    int inner = e < shape.experts() ? shape.inner() : shape.sharedInner();
                    gate.add(tensor(random, type, 0.3, inner, hidden));
                    up.add(tensor(random, type, 0.3, inner, hidden));
                    down.add(tensor(random, type, 0.3, hidden, inner));
                }
                Weight w = ops.experts(new ExpertTensors(gate, up, down), shape);
                Weight r = ops.matrix(List.of(router(random, shape, hidden, pull)));
                List<Seq> step = ordered(sequences);
                StepBatch batch = batch(step);
                Buffer x = input(ops, batch, step, hidden, 0);
                Buffer y = input(ops, batch, step, hidden, 1);
                Routing routing = ops.routing(shape, hidden, Math.max(1, batch.rows()));
                ops.begin(batch);
                ops.route(routing, x, r, batch.span());
                ops.experts(y, x, routing, w, batch.span());
                return output(ops, y, batch, step);
            }
        };
    }

    private static HostTensor router(
            SplittableRandom random, ExpertShape shape, int hidden, float pull) {
        HostTensor router = Program.tensor(random, DType.BF16, 1, shape.experts() + 1, hidden);
        for (int e = 0; e < shape.perToken() && pull != 0; e++) {
            router.data()
                    .set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * e * hidden, Bf16.of(pull - 2 * e));
        }
        return router;
    }
}
