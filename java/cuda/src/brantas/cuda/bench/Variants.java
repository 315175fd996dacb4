package brantas.cuda.bench;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemv;
import brantas.cuda.launch.LaunchTable;
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
import java.util.stream.IntStream;

/// Variants of dense products side by side at a model's shapes, and what a launch table would say
/// of them for this device. A line is judged by how much longer than the best variant it takes,
/// over all shapes.
final class Variants {
    /// Name of a finding whose text is a line of the table.
    static final String LINE = "line";

    private static final List<Integer> TOGETHER = List.of(8, 16, 32);
    private static final List<Integer> BLOCKS = List.of(2, 4, 8, 16, 32);
    private static final List<Integer> SIDES = List.of(64, 128);
    private static final List<Integer> FEWEST = List.of(0, 1, 2, 4);
    private static final List<Integer> ROWS = List.of(65, 128, 256, 512, 1_024, 4_096);

    private final Workbench bench;
    private final Module module;
    private final DeviceInfo info;
    private final Set<Size> sizes;
    private final List<Finding> findings = new ArrayList<>();

    private Variants(Workbench bench, Module module, Model model) {
        this.bench = bench;
        this.module = module;
        this.info = bench.device().info();
        this.sizes = sizes(model);
    }

    /// A weight.
    private record Size(int outputs, int depth) {}

    /// A line's choice.
    private record Setting(int variant, int blocks) {}

    static List<Finding> of(Workbench bench, Module module, Model model) {
        Variants variants = new Variants(bench, module, model);
        variants.gemv();
        variants.gemm();
        return variants.findings;
    }

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

    private LaunchTable table(String family, Setting s) {
        String other = family.equals("gemv") ? "gemm any 1- 64 0" : "gemv any 1- 8 8";
        String own = "%s any 1- %d %d".formatted(family, s.variant(), s.blocks());
        return LaunchTable.parse(own + "\n" + other);
    }

    /// So many rows by a weight with each setting, in microseconds.
    private Map<Setting, Double> times(String family, Size size, int rows, List<Setting> settings) {
        Map<Setting, Double> times = new LinkedHashMap<>();
        try {
            Matrix x = bench.noise("x", rows, size.depth(), 1);
            boolean few = family.equals("gemv") && !bench.emulated();
            long weight = 2L * size.outputs() * size.depth();
            long wanted = Math.ceilDiv(2 * Peaks.of(info.name()).cacheBytes(), weight);
            int copies = few ? (int) Math.min(64, wanted) : 1;
            Matrix[] w = LinearCases.weights(bench, copies, size.outputs(), size.depth());
            DeviceMemory out = bench.room("products", 2L * rows * size.outputs());
            Matrix dst = Workbench.matrix(out, rows, size.outputs());
            for (Setting s : settings) {
                times.put(s, time(family, s, dst, x, w));
            }
        } finally {
            bench.clear();
        }
        Map<String, Double> numbers = new LinkedHashMap<>();
        times.forEach((s, micros) -> numbers.put(s.variant() + "/" + s.blocks(), micros));
        String name =
                String.format(
                        Locale.ROOT,
                        "%s %d rows, %d to %d",
                        family,
                        rows,
                        size.depth(),
                        size.outputs());
        Setting best = settings.getFirst();
        for (Setting s : settings) {
            best = times.getOrDefault(s, 0.0) < times.getOrDefault(best, 0.0) ? s : best;
        }
        String text = "variant " + best.variant() + ", blocks " + best.blocks();
        findings.add(new Finding(name, true, text, numbers));
        return times;
    }

    private double time(String family, Setting s, Matrix dst, Matrix x, Matrix[] w) {
        LaunchTable table = table(family, s);
        Rows rows = Rows.of(0, x.rows());
        Timing.Effort effort = bench.emulated() ? Timing.Effort.TOKEN : Timing.Effort.FULL;
        if (family.equals("gemv")) {
            Gemv gemv = new Gemv(module, info, table);
            return Timing.of(
                            bench,
                            i -> gemv.launch(bench.stream(), Gemm.Result.BF16, dst, x, w[i], rows),
                            w.length,
                            effort)
                    .median();
        }
        Gemm gemm = new Gemm(module, info, table);
        return Timing.of(
                        bench,
                        i -> gemm.launch(bench.stream(), Gemm.Result.BF16, dst, x, w[i], rows),
                        w.length,
                        effort)
                .median();
    }

    private void gemv() {
        List<Integer> blocks = bench.emulated() ? List.of(8) : BLOCKS;
        int from = 1;
        for (int rows : TOGETHER) {
            List<Setting> settings = new ArrayList<>();
            for (int together : TOGETHER) {
                blocks.forEach(b -> settings.add(new Setting(together, b)));
            }
            Map<Setting, Double> excess = new LinkedHashMap<>();
            for (Size size : sizes) {
                for (int count : IntStream.of(from, rows).distinct().toArray()) {
                    add(excess, times("gemv", size, count, settings));
                }
            }
            String range = from + "-" + (rows == TOGETHER.getLast() ? "" : rows);
            line("gemv", range, least(excess));
            from = rows + 1;
        }
    }

    private void gemm() {
        List<Setting> sides = SIDES.stream().map(side -> new Setting(side, 0)).toList();
        List<Integer> counts = bench.emulated() ? List.of(65) : ROWS;
        Map<Setting, Double> excess = new LinkedHashMap<>();
        for (Size size : sizes) {
            for (int rows : counts) {
                Map<Setting, Double> times = times("gemm", size, rows, sides);
                double small = times.getOrDefault(sides.getFirst(), 0.0);
                double large = times.getOrDefault(sides.getLast(), 0.0);
                int side = SIDES.getLast();
                long tiles = (long) Math.ceilDiv(rows, side) * Math.ceilDiv(size.outputs(), side);
                Map<Setting, Double> chosen = new LinkedHashMap<>();
                for (int fewest : FEWEST) {
                    boolean enough = tiles >= (long) fewest * info.multiprocessors();
                    chosen.put(new Setting(side, fewest), enough ? large : small);
                }
                add(excess, chosen);
            }
        }
        line("gemm", "1-64", new Setting(SIDES.getFirst(), 0));
        line("gemm", "65-", least(excess));
    }

    /// Adds how much longer than the fastest each setting takes.
    private static void add(Map<Setting, Double> excess, Map<Setting, Double> times) {
        double best = times.values().stream().mapToDouble(t -> t).min().orElse(1);
        times.forEach((s, micros) -> excess.merge(s, micros / best - 1, Double::sum));
    }

    private static Setting least(Map<Setting, Double> excess) {
        return excess.entrySet().stream()
                .min(Map.Entry.comparingByValue())
                .map(Map.Entry::getKey)
                .orElseThrow();
    }

    private void line(String family, String rows, Setting s) {
        String text =
                String.format(
                        Locale.ROOT,
                        "%-9s %-11s %-6s %-8d %d",
                        family,
                        info.capability(),
                        rows,
                        s.variant(),
                        s.blocks());
        findings.add(new Finding(LINE, true, text, Map.of()));
    }
}
