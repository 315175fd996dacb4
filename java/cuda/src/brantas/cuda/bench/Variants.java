package brantas.cuda.bench;

import brantas.cuda.bench.Timing.Effort;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Matrix;
import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.spi.KernelLab.Finding;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/// Variants that a launch policy chooses from, side by side at the shapes where it chooses: what a
/// launch table for this device would say.
final class Variants {
    /// More than the launcher can fill with large tiles, so that it takes small ones.
    private static final int HUGE = 1 << 30;

    private static final List<Integer> ROWS = List.of(96, 128, 256, 512, 1_024, 2_048, 4_096);

    private Variants() {}

    static List<Finding> of(Workbench bench, Module module, Model model) {
        List<Finding> all = new ArrayList<>();
        Gemm large = new Gemm(module, 1);
        Gemm small = new Gemm(module, HUGE);
        List<Integer> rows = bench.emulated() ? List.of(96) : ROWS;
        for (Size size : sizes(model)) {
            for (int count : rows) {
                all.add(gemm(bench, List.of(large, small), size, count));
            }
        }
        return all;
    }

    private record Size(int outputs, int depth) {}

    private static Set<Size> sizes(Model model) {
        DeltaShape delta = model.shapes().delta();
        AttentionShape attention = model.shapes().attention();
        Set<Size> all = new LinkedHashSet<>();
        all.add(new Size(delta.projected(), model.hidden()));
        all.add(new Size(model.hidden(), delta.valueWidth()));
        all.add(new Size(attention.projected(), model.hidden()));
        all.add(new Size(model.hidden(), attention.width()));
        if (model.inner() > 0) {
            all.add(new Size(2 * model.inner(), model.hidden()));
            all.add(new Size(model.hidden(), model.inner()));
        }
        return all;
    }

    private static Finding gemm(Workbench bench, List<Gemm> variants, Size size, int rows) {
        try {
            Matrix x = bench.noise("x", rows, size.depth(), 1);
            Matrix w = LinearCases.weights(bench, 1, size.outputs(), size.depth())[0];
            Matrix dst =
                    Workbench.matrix(
                            bench.room("products", 2L * rows * size.outputs()),
                            rows,
                            size.outputs());
            Effort effort = bench.emulated() ? Effort.TOKEN : Effort.FULL;
            Map<String, Double> numbers = new LinkedHashMap<>();
            String best = "";
            double least = Double.MAX_VALUE;
            for (int v = 0; v < variants.size(); v++) {
                Gemm gemm = variants.get(v);
                Timing timing =
                        Timing.of(
                                bench,
                                i ->
                                        gemm.launch(
                                                bench.stream(),
                                                Gemm.Result.BF16,
                                                dst,
                                                x,
                                                w,
                                                Rows.of(0, rows)),
                                1,
                                effort);
                String name = v == 0 ? "gemm_bf16_128" : "gemm_bf16_64";
                numbers.put(name, timing.median());
                if (timing.median() < least) {
                    least = timing.median();
                    best = name;
                }
            }
            String shape =
                    String.format(
                            Locale.ROOT,
                            "gemm_bf16 %d rows, %d to %d",
                            rows,
                            size.depth(),
                            size.outputs());
            return new Finding(shape, true, best, numbers);
        } finally {
            bench.clear();
        }
    }
}
