package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.Matrix;
import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.List;

/// Matrix products of one row, most with the norm in front: the launches of a decode step that read
/// the model's weights. Weights take turns.
final class GemvCases {
    private static final float EPS = 1e-6f;

    private GemvCases() {}

    /// The launches of a decode step of one sequence.
    static List<KernelCase> decode(Model model, Lengths lengths) {
        int hidden = model.hidden();
        DeltaShape delta = model.shapes().delta();
        AttentionShape attention = model.shapes().attention();
        int vocabulary = model.shapes().vocabulary();
        List<KernelCase> all = new ArrayList<>();
        all.add(normed("delta in", delta.projected(), hidden));
        all.add(gated(delta, hidden));
        all.add(normed("attention in", attention.projected(), hidden));
        all.add(add("attention out", hidden, attention.width()));
        if (model.inner() > 0) {
            all.add(swiGlu(2 * model.inner(), hidden));
            all.add(add("down", hidden, model.inner()));
        }
        KernelCase head = logits(vocabulary, hidden, lengths.context());
        all.add(head);
        all.add(head.inTable("LM head"));
        return all;
    }

    /// A product launched with the copy of the weights that it is told.
    private interface Product {
        void launch(Matrix dst, Matrix weight);
    }

    /// What a product needs beside weights and room for its results.
    private interface Inputs {
        Product on(Workbench bench);
    }

    private static KernelCase product(
            String kernel, String purpose, int outputs, int depth, int columns, Inputs inputs) {
        long weights = 2L * outputs * depth;
        boolean wide = kernel.endsWith("f32");
        return new KernelCase(
                "decode",
                kernel,
                purpose,
                "1 row, " + depth + " to " + outputs,
                weights + 2.0 * (depth + outputs),
                2.0 * outputs * depth,
                weights,
                (bench, copies) -> {
                    Product product = inputs.on(bench);
                    Matrix[] w = LinearCases.weights(bench, copies, outputs, depth);
                    DeviceMemory out = bench.room("products", (wide ? 4L : 2L) * columns);
                    Matrix dst = Workbench.matrix(out, 1, columns);
                    return new Run(i -> product.launch(dst, w[i]), List.of(out));
                });
    }

    private static Gemv.Normed row(Workbench bench, int depth) {
        return new Gemv.Normed(
                bench.noise("x", 1, depth, 1), bench.floats("norm", depth, 0.5).address(), EPS);
    }

    private static Gemv gemv(Workbench bench) {
        return bench.launchers().gemv();
    }

    private static KernelCase normed(String purpose, int outputs, int depth) {
        return product(
                "gemv_norm_bf16",
                purpose,
                outputs,
                depth,
                outputs,
                bench -> {
                    Gemv.Normed x = row(bench, depth);
                    return (dst, w) -> gemv(bench).normed(bench.stream(), dst, x, w, Rows.of(0, 1));
                });
    }

    private static KernelCase swiGlu(int outputs, int depth) {
        return product(
                "gemv_norm_swiglu",
                "gate, up",
                outputs,
                depth,
                outputs / 2,
                bench -> {
                    Gemv.Normed x = row(bench, depth);
                    return (dst, w) ->
                            gemv(bench).normedSwiGlu(bench.stream(), dst, x, w, Rows.of(0, 1));
                });
    }

    private static KernelCase logits(int outputs, int depth, int context) {
        return product(
                "gemv_norm_f32",
                "head",
                outputs,
                depth,
                outputs,
                bench -> {
                    Gemv.Normed x = row(bench, depth);
                    long step = bench.singles(1, context);
                    return (dst, w) ->
                            gemv(bench).logits(bench.stream(), dst, x, w, step, Rows.of(0, 1));
                });
    }

    private static KernelCase add(String purpose, int outputs, int depth) {
        return product(
                "gemv_add",
                purpose,
                outputs,
                depth,
                outputs,
                bench -> {
                    Matrix x = bench.noise("x", 1, depth, 1);
                    return (dst, w) ->
                            gemv(bench)
                                    .launch(bench.stream(), Result.ADD, dst, x, w, Rows.of(0, 1));
                });
    }

    private static KernelCase gated(DeltaShape shape, int hidden) {
        return product(
                "gemv_gated_add",
                "delta out",
                hidden,
                shape.valueWidth(),
                hidden,
                bench -> {
                    Gemv.Gated x =
                            new Gemv.Gated(
                                    bench.noise("answers", 1, shape.valueWidth(), 1),
                                    bench.noise("projected", 1, shape.projected(), 1),
                                    bench.floats("norm", shape.valueDim(), 1).address(),
                                    shape);
                    return (dst, w) -> gemv(bench).gated(bench.stream(), dst, x, w, Rows.of(0, 1));
                });
    }
}
