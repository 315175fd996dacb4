package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Matrix;
import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Matrix products of many rows. Weights take turns; activations are the same each time.
final class LinearCases {
    private LinearCases() {}

    /// The products of a prompt's step, and a square one.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        int hidden = model.hidden();
        DeltaShape delta = model.shapes().delta();
        AttentionShape attention = model.shapes().attention();
        Linear linear = new Linear("prefill", lengths.prompt());
        List<KernelCase> all = new ArrayList<>();
        all.add(linear.gemm("delta in", Result.BF16, delta.projected(), hidden));
        all.add(linear.gemm("delta out", Result.ADD, hidden, delta.valueWidth()));
        all.add(linear.gemm("attention in", Result.BF16, attention.projected(), hidden));
        all.add(linear.gemm("attention out", Result.ADD, hidden, attention.width()));
        if (model.inner() > 0) {
            all.add(linear.gemm("gate, up", Result.SWIGLU, 2 * model.inner(), hidden));
            all.add(linear.gemm("down", Result.ADD, hidden, model.inner()));
        }
        int side = lengths.square();
        Linear square = new Linear("table", side);
        all.add(square.gemm("dense product", Result.BF16, side, side));
        return all;
    }

    /// Products of so many rows.
    private record Linear(String phase, int rows) {
        KernelCase gemm(String purpose, Result result, int outputs, int depth) {
            long weights = 2L * outputs * depth;
            int columns = result == Result.SWIGLU ? outputs / 2 : outputs;
            double written = (result == Result.ADD ? 4.0 : 2.0) * rows * columns;
            return new KernelCase(
                    phase,
                    "gemm_" + result.name().toLowerCase(Locale.ROOT),
                    purpose,
                    rows + " rows, " + depth + " to " + outputs,
                    weights + 2.0 * rows * depth + written,
                    2.0 * rows * outputs * depth,
                    weights,
                    (bench, copies) -> {
                        Matrix x = bench.noise("x", rows, depth, 1);
                        DeviceMemory out = bench.room("products", 2L * rows * columns);
                        Matrix dst = Workbench.matrix(out, rows, columns);
                        Matrix[] w = weights(bench, copies, outputs, depth);
                        Rows all = Rows.of(0, rows);
                        return new Run(
                                i ->
                                        bench.launchers()
                                                .gemm()
                                                .launch(bench.stream(), result, dst, x, w[i], all),
                                List.of(out));
                    });
        }
    }

    /// Copies of a weight matrix.
    static Matrix[] weights(Workbench bench, int copies, int outputs, int depth) {
        Matrix[] all = new Matrix[copies];
        for (int i = 0; i < copies; i++) {
            all[i] = bench.noise("weights", outputs, depth, 1 / Math.sqrt(depth));
        }
        return all;
    }
}
