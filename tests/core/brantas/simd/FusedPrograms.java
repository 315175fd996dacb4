package brantas.simd;

import static brantas.simd.Program.tensor;

import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.GatedNorm;
import brantas.op.Norm;
import brantas.op.Routing;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// The ops that join others as [Program]s. Each also runs as the composition that defines it.
public final class FusedPrograms {
    private static final float EPS = 1e-6f;

    private FusedPrograms() {}

    /// An op over a batch, on tensors drawn from `random`.
    private interface Op {
        Buffer run(Backend ops, SplittableRandom random, List<Program.Seq> step, Program program);
    }

    private static Program program(String name, long seed, Op op) {
        return new Program(name, seed) {
            @Override
            public Map<Integer, float[]> run(Backend ops, List<Seq> sequences) {
                List<Seq> step = ordered(sequences);
                Buffer result = op.run(ops, new SplittableRandom(seed), step, this);
                return output(ops, result, batch(step), step);
            }
        };
    }

    private static Norm norm(Backend ops, SplittableRandom random, int hidden) {
        return new Norm(ops.vector(tensor(random, DType.BF16, 1, hidden)), EPS);
    }

    private static Weight matrix(Backend ops, SplittableRandom random, int out, int in) {
        return ops.matrix(List.of(tensor(random, DType.BF16, 1, out, in)));
    }

    /// Norm and product.
    ///
    /// @param joined whether as one op
    public static Program normLinear(long seed, int hidden, int out, boolean joined) {
        return program(
                name("normLinear " + hidden + " " + out, joined),
                seed,
                (ops, random, step, program) -> {
                    Norm norm = norm(ops, random, hidden);
                    Weight weight = matrix(ops, random, out, hidden);
                    StepBatch batch = Program.batch(step);
                    Buffer x = program.input(ops, batch, step, hidden, 0);
                    Buffer normed = ops.buffer("normed", batch.rows(), hidden);
                    Buffer y = ops.buffer("y", batch.rows(), out);
                    ops.begin(batch);
                    if (joined) {
                        ops.normLinear(y, x, norm, normed, weight, batch.span());
                    } else {
                        ops.rmsNorm(normed, x, norm, batch.span());
                        ops.linear(y, normed, weight, batch.span());
                    }
                    return y;
                });
    }

    /// Norm and the first half of a feed-forward.
    ///
    /// @param joined whether as one op
    public static Program normSwiGlu(long seed, int hidden, int inner, boolean joined) {
        return program(
                name("normSwiGlu " + hidden + " " + inner, joined),
                seed,
                (ops, random, step, program) -> {
                    Norm norm = norm(ops, random, hidden);
                    HostTensor gate = tensor(random, DType.BF16, 1, inner, hidden);
                    HostTensor up = tensor(random, DType.BF16, 1, inner, hidden);
                    Weight weight = ops.gateUp(gate, up);
                    StepBatch batch = Program.batch(step);
                    Buffer x = program.input(ops, batch, step, hidden, 0);
                    Buffer normed = ops.buffer("normed", batch.rows(), hidden);
                    Buffer y = ops.buffer("y", batch.rows(), inner);
                    ops.begin(batch);
                    if (joined) {
                        ops.normSwiGlu(y, x, norm, normed, weight, batch.span());
                    } else {
                        ops.rmsNorm(normed, x, norm, batch.span());
                        ops.swiGlu(y, normed, weight, batch.span());
                    }
                    return y;
                });
    }

    /// Gated norm and the product back into the residual stream.
    ///
    /// @param joined whether as one op
    public static Program gatedLinearAdd(long seed, DeltaShape shape, int hidden, boolean joined) {
        return program(
                name("gatedLinearAdd " + shape + " " + hidden, joined),
                seed,
                (ops, random, step, program) -> {
                    HostTensor gains = tensor(random, DType.F32, 1, shape.valueDim());
                    GatedNorm norm = new GatedNorm(ops.vector(gains), shape);
                    Weight weight = matrix(ops, random, hidden, shape.valueWidth());
                    StepBatch batch = Program.batch(step);
                    Buffer o = program.input(ops, batch, step, shape.valueWidth(), 0);
                    Buffer projected = program.input(ops, batch, step, shape.projected(), 1);
                    Buffer y = program.input(ops, batch, step, hidden, 2);
                    ops.begin(batch);
                    if (joined) {
                        ops.gatedLinearAdd(y, o, projected, norm, weight, batch.span());
                    } else {
                        ops.gatedNorm(o, o, projected, norm, batch.span());
                        ops.linearAdd(y, o, weight, batch.span());
                    }
                    return y;
                });
    }

    /// Norm, router and experts.
    ///
    /// @param joined whether the first two are one op
    public static Program normRoute(long seed, ExpertShape shape, int hidden, boolean joined) {
        return program(
                name("normRoute " + shape + " " + hidden, joined),
                seed,
                (ops, random, step, program) -> {
                    Weight experts = ops.experts(experts(random, shape, hidden), shape);
                    Norm norm = norm(ops, random, hidden);
                    Weight router = matrix(ops, random, shape.experts() + 1, hidden);
                    StepBatch batch = Program.batch(step);
                    Buffer x = program.input(ops, batch, step, hidden, 0);
                    Buffer y = program.input(ops, batch, step, hidden, 1);
                    Buffer normed = ops.buffer("normed", batch.rows(), hidden);
                    Routing routing = ops.routing(shape, hidden, batch.rows());
                    ops.begin(batch);
                    if (joined) {
                        ops.normRoute(routing, x, norm, normed, router, batch.span());
                    } else {
                        ops.rmsNorm(normed, x, norm, batch.span());
                        ops.route(routing, normed, router, batch.span());
                    }
                    ops.experts(y, normed, routing, experts, batch.span());
                    return y;
                });
    }

    private static ExpertTensors experts(SplittableRandom random, ExpertShape shape, int hidden) {
        List<HostTensor> gate = new ArrayList<>();
        List<HostTensor> up = new ArrayList<>();
        List<HostTensor> down = new ArrayList<>();
        for (int e = 0; e <= shape.experts(); e++) {
            int inner = e < shape.experts() ? shape.inner() : shape.sharedInner();
            gate.add(tensor(random, DType.BF16, 0.3, inner, hidden));
            up.add(tensor(random, DType.BF16, 0.3, inner, hidden));
            down.add(tensor(random, DType.BF16, 0.3, hidden, inner));
        }
        return new ExpertTensors(gate, up, down);
    }

    /// Rows gathered, normed and multiplied with the head.
    ///
    /// @param joined whether as one op
    public static Program logits(long seed, int hidden, int vocabulary, boolean joined) {
        return program(
                name("logits " + hidden + " " + vocabulary, joined),
                seed,
                (ops, random, step, program) -> {
                    Norm norm = norm(ops, random, hidden);
                    Weight head = matrix(ops, random, vocabulary, hidden);
                    StepBatch batch = Program.batch(step);
                    Buffer x = program.input(ops, batch, step, hidden, 0);
                    Buffer normed = ops.buffer("normed", batch.rows(), hidden);
                    Buffer y = ops.floats("logits", batch.rows(), vocabulary);
                    ops.begin(batch);
                    if (joined) {
                        ops.logits(y, x, norm, normed, head, batch);
                    } else {
                        ops.gatherOutputs(normed, x, batch);
                        ops.rmsNorm(normed, normed, norm, batch.outputSpan());
                        ops.linear(y, normed, head, batch.outputSpan());
                    }
                    return y;
                });
    }

    private static String name(String op, boolean joined) {
        return joined ? op : op + " in parts";
    }
}
