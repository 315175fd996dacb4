package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.ExpertGemm.Experts;
import brantas.cuda.launch.ExpertGemv.Choice;
import brantas.cuda.launch.Matrix;
import brantas.cuda.launch.Route;
import brantas.op.ExpertShape;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/// The router, and the experts of single rows. Each launch in turn chooses other experts, so that
/// their weights are not in the cache; the shared expert is always the same.
final class ChoiceCases {
    private ChoiceCases() {}

    /// The launches of a decode step of one sequence; none without experts.
    static List<KernelCase> decode(Model model) {
        List<KernelCase> all = new ArrayList<>();
        model.shapes()
                .experts()
                .ifPresent(shape -> {
                    KernelCase route = route("decode", shape, model.hidden(), 1);
                    all.add(route);
                    all.add(route.inTable("router"));
                    all.addAll(new Single(shape, model.hidden()).cases());
                });
        return all;
    }

    /// The router of a prompt's step.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        return model.shapes()
                .experts()
                .map(shape -> List.of(route("prefill", shape, model.hidden(), lengths.prompt())))
                .orElse(List.of());
    }

    /// One row is normed first, more are normed already.
    private static KernelCase route(String phase, ExpertShape shape, int hidden, int rows) {
        long router = 2L * hidden * (shape.experts() + 1);
        boolean single = rows == 1;
        return new KernelCase(
                phase,
                single ? "route" : "route_normed",
                single ? "norm, router, choice" : "router, choice",
                rows + " rows of " + hidden + ", " + shape.experts() + " experts",
                router + (single ? 4.0 : 2.0) * rows * hidden,
                2.0 * rows * hidden * (shape.experts() + 1),
                router,
                (bench, copies) -> {
                    Matrix[] w = LinearCases.weights(bench, copies, shape.experts() + 1, hidden);
                    Matrix x = bench.noise("x", rows, hidden, 1);
                    int slots = shape.perToken();
                    DeviceMemory ids = bench.room("ids", 4L * rows * slots);
                    DeviceMemory scales = bench.room("scales", 4L * rows * slots);
                    DeviceMemory gates = bench.room("gates", 4L * rows);
                    Choice choice =
                            new Choice(ids.address(), scales.address(), gates.address(), slots);
                    Route.Workspace work =
                            new Route.Workspace(
                                    bench.room(
                                                    "logits",
                                                    Route.Workspace.logitBytes(
                                                            shape.experts(), rows))
                                            .address(),
                                    bench.room("arrivals", Route.Workspace.arrivalBytes(rows))
                                            .address());
                    DeviceMemory normed = bench.room("normed", 2L * rows * hidden);
                    Route.Unnormed from =
                            new Route.Unnormed(
                                    x,
                                    bench.floats("norm", hidden, 0.5).address(),
                                    1e-6f,
                                    Workbench.matrix(normed, rows, hidden));
                    Route launcher = bench.launchers().route();
                    Rows all = Rows.of(0, rows);
                    return new Run(
                            i -> {
                                if (single) {
                                    launcher.launch(bench.stream(), choice, from, w[i], work, all);
                                } else {
                                    launcher.launch(bench.stream(), choice, x, w[i], work, all);
                                }
                            },
                            List.of(ids, scales, gates));
                });
    }

    /// The experts of one row.
    private record Single(ExpertShape shape, int hidden) {
        private static final String UP = "expert_gemv_up";
        private static final String DOWN = "expert_gemv_down";

        List<KernelCase> cases() {
            double used = (double) shape.perToken() * shape.inner() + shape.sharedInner();
            int widest = Math.max(shape.inner(), shape.sharedInner());
            double inner = 2.0 * (shape.perToken() + 1) * widest;
            double upBytes = 4 * used * hidden + 2.0 * hidden + inner;
            double downBytes = 2 * used * hidden + 4.0 * hidden + inner;
            double upFlops = 4 * used * hidden;
            return List.of(
                    built("decode", UP, "gate, up", upBytes, upFlops, Layer::up),
                    built(
                            "decode",
                            DOWN,
                            "down, weighted sum",
                            downBytes,
                            upFlops / 2,
                            Layer::down),
                    built(
                            "table",
                            UP + "+" + DOWN,
                            "expert decode",
                            upBytes + downBytes,
                            1.5 * upFlops,
                            (layer, i) -> {
                                layer.up(i);
                                layer.down(i);
                            }));
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
                    "1 row, " + shape.perToken() + " of " + shape.experts() + " experts",
                    bytes,
                    flops,
                    6L * shape.perToken() * shape.inner() * hidden,
                    (bench, copies) -> {
                        Layer layer = Layer.of(bench, shape, hidden, copies);
                        layer.up(0);
                        return new Run(i -> launch.accept(layer, i), layer.results());
                    });
        }
    }

    private record Layer(
            Workbench bench,
            Experts experts,
            Matrix x,
            DeviceMemory inner,
            DeviceMemory hidden,
            List<Choice> choices) {
        static Layer of(Workbench bench, ExpertShape shape, int hidden, int copies) {
            int slots = shape.perToken();
            int widest = Math.max(shape.inner(), shape.sharedInner());
            long scales = bench.floats("scales", slots, 0.2).address();
            long gates = bench.floats("gates", 1, 0.5).address();
            List<Choice> choices = new ArrayList<>();
            for (int i = 0; i < copies; i++) {
                int[] ids = bench.choices(1, slots, shape.experts());
                long at = bench.ints("choices", ids).address();
                choices.add(new Choice(at, scales, gates, slots));
            }
            return new Layer(
                    bench,
                    ExpertCases.experts(bench, shape, hidden),
                    bench.noise("x", 1, hidden, 1),
                    bench.room("inner", 2L * (slots + 1) * widest),
                    bench.room("hidden", 2L * hidden),
                    choices);
        }

        List<DeviceMemory> results() {
            return List.of(inner, hidden);
        }

        private Matrix innerRows() {
            int products = choices.getFirst().slots() + 1;
            return Workbench.matrix(inner, products, experts.innerCols());
        }

        void up(int copy) {
            bench.launchers()
                    .expertGemv()
                    .up(bench.stream(), innerRows(), x, experts, choices.get(copy), Rows.of(0, 1));
        }

        void down(int copy) {
            bench.launchers()
                    .expertGemv()
                    .down(
                            bench.stream(),
                            Workbench.matrix(hidden, 1, x.cols()),
                            innerRows(),
                            experts,
                            choices.get(copy),
                            Rows.of(0, 1));
        }
    }
}
