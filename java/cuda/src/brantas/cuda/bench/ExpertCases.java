package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.ExpertGemm;
import brantas.cuda.launch.ExpertGemm.Experts;
import brantas.cuda.launch.ExpertGemm.Order;
import brantas.cuda.launch.ExpertGemv.Choice;
import brantas.cuda.launch.Matrix;
import brantas.op.ExpertShape;
import brantas.spi.KernelLab.Model;
import java.util.List;
import java.util.function.BiConsumer;

/// The mixture of experts for the rows of a prompt: order, grouped products, weighted sum. Rows go
/// to experts at random; all of a layer's experts together are larger than any cache.
final class ExpertCases {
    private ExpertCases() {}

    /// The launches of a prompt's step; none without experts.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        return model.shapes()
                .experts()
                .map(shape -> new Prompt(shape, model.hidden(), lengths.prompt()).cases())
                .orElse(List.of());
    }

    /// A layer's experts of noise.
    static Experts experts(Workbench bench, ExpertShape shape, int hidden) {
        int inner = shape.inner();
        int shared = shape.sharedInner();
        Matrix up = stacked(bench, shape.experts(), 2 * inner, hidden);
        Matrix down = stacked(bench, shape.experts(), hidden, inner);
        return new Experts(
                shape.experts(),
                up,
                down,
                stacked(bench, 1, 2 * shared, hidden),
                stacked(bench, 1, hidden, shared));
    }

    private static Matrix stacked(Workbench bench, int count, int rows, int cols) {
        Matrix all = bench.noise("experts", count * rows, cols, 1 / Math.sqrt(cols));
        return new Matrix(all.address(), rows, cols, all.stride());
    }

    /// How many experts so many rows touch, if they choose at random.
    static double touched(ExpertShape shape, int rows) {
        double miss = 1 - shape.perToken() / (double) shape.experts();
        return shape.experts() * (1 - Math.pow(miss, rows));
    }

    /// So many rows.
    private record Prompt(ExpertShape shape, int hidden, int rows) {
        private static final String UP = "expert_gemm_up";
        private static final String DOWN = "expert_gemm_down";

        List<KernelCase> cases() {
            double assignments = (double) rows * shape.perToken();
            double inner = assignments * shape.inner() + (double) rows * shape.sharedInner();
            double weights =
                    2 * hidden * (touched(shape, rows) * shape.inner() + shape.sharedInner());
            double out = 4 * (assignments + rows) * hidden;
            double upBytes = 2 * weights + 2 * ((double) rows * hidden + inner);
            double downBytes = weights + 2 * inner + out;
            double upFlops = 4 * inner * hidden;
            KernelCase up = built("prefill", UP, "gate, up", upBytes, upFlops, Layer::up);
            KernelCase down = built("prefill", DOWN, "down", downBytes, upFlops / 2, Layer::down);
            KernelCase both =
                    built(
                            "table",
                            UP + "+" + DOWN,
                            "grouped GEMM",
                            upBytes + downBytes,
                            1.5 * upFlops,
                            (layer, i) -> {
                                layer.up(i);
                                layer.down(i);
                            });
            double ordering = 12.0 * rows * (shape.perToken() + 1);
            KernelCase order =
                    built(
                            "prefill",
                            "expert_order",
                            "order by expert",
                            ordering,
                            0,
                            (layer, i) -> layer.sort());
            double combining = out + 4.0 * rows * hidden;
            KernelCase combine =
                    built(
                            "prefill",
                            "expert_combine",
                            "weighted sum",
                            combining,
                            2 * (assignments + rows) * hidden,
                            (layer, i) -> layer.combine());
            return List.of(order, up, down, combine, both);
        }

        private KernelCase built(
                String phase,
                String kernel,
                String purpose,
                double bytes,
                double flops,
                BiConsumer<Layer, Integer> launch) {
            return new KernelCase(
                    phase,
                    kernel,
                    purpose,
                    rows + " rows, " + shape.perToken() + " of " + shape.experts() + " experts",
                    bytes,
                    flops,
                    KernelCase.ONE_COPY,
                    (bench, copies) -> {
                        Layer layer = Layer.of(bench, shape, hidden, rows);
                        layer.sort();
                        layer.up(0);
                        return new Run(i -> launch.accept(layer, i), layer.results());
                    });
        }
    }

    /// A layer with everything its launches need.
    private record Layer(
            Workbench bench,
            Experts experts,
            Matrix x,
            DeviceMemory inner,
            DeviceMemory out,
            DeviceMemory hidden,
            DeviceMemory ids,
            Order order,
            Choice choice) {
        static Layer of(Workbench bench, ExpertShape shape, int hidden, int rows) {
            int slots = shape.perToken();
            int height = ExpertGemm.tileRows(rows, slots, shape.experts());
            int tiles = ExpertGemm.tiles(rows, slots, shape.experts(), height);
            int products = Math.multiplyExact(rows, slots + 1);
            DeviceMemory ids = bench.ints("choices", bench.choices(rows, slots, shape.experts()));
            Order order =
                    new Order(
                            bench.room("order", 4L * products).address(),
                            bench.room("tiles", 16L * tiles).address(),
                            bench.room("tile count", 16).address(),
                            height,
                            slots,
                            Rows.of(0, rows));
            Choice choice =
                    new Choice(
                            ids.address(),
                            bench.floats("scales", rows * slots, 0.1).address(),
                            bench.floats("gates", rows, 0.5).address(),
                            slots);
            int widest = Math.max(shape.inner(), shape.sharedInner());
            return new Layer(
                    bench,
                    ExpertCases.experts(bench, shape, hidden),
                    bench.noise("x", rows, hidden, 1),
                    bench.room("inner", 2L * products * widest),
                    bench.room("out", 4L * products * hidden),
                    bench.room("hidden", 2L * rows * hidden),
                    ids,
                    order,
                    choice);
        }

        List<DeviceMemory> results() {
            return List.of(inner, out, hidden);
        }

        private int products() {
            return order.rows().count() * (order.slots() + 1);
        }

        private Matrix innerRows() {
            return Workbench.matrix(inner, products(), experts.innerCols());
        }

        private Matrix outRows() {
            return Workbench.matrix(out, products(), x.cols());
        }

        void sort() {
            bench.launchers().order().launch(bench.stream(), order, ids.address(), experts.count());
        }

        void up(int copy) {
            bench.launchers().expertGemm().up(bench.stream(), innerRows(), x, experts, order);
        }

        void down(int copy) {
            bench.launchers()
                    .expertGemm()
                    .down(bench.stream(), outRows(), innerRows(), experts, order);
        }

        void combine() {
            Matrix dst = Workbench.matrix(hidden, order.rows().count(), x.cols());
            bench.launchers()
                    .combine()
                    .launch(bench.stream(), dst, outRows(), choice, order.rows());
        }
    }
}
