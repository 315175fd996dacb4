package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Convolve;
import brantas.cuda.launch.DeltaOperands;
import brantas.cuda.launch.DeltaWorkspace;
import brantas.cuda.launch.GatedNorm;
import brantas.cuda.launch.Matrix;
import brantas.op.DeltaShape;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.List;

/// The gated delta rule over prompts: convolution, both halves of the chunked form, and the norm
/// behind it. Inputs of a prompt are larger than the cache by themselves.
final class DeltaCases {
    private static final double DIM = 128;

    private DeltaCases() {}

    /// The launches of a prompt's step, and prompts of other lengths in both halves together.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        Prompt prompt = new Prompt(model.shapes().delta(), lengths.prompt());
        List<KernelCase> all = new ArrayList<>();
        all.add(prompt.convolve());
        all.add(prompt.half(true));
        all.add(prompt.half(false));
        all.add(prompt.gatedNorm());
        for (int rows : lengths.scans()) {
            all.add(new Prompt(model.shapes().delta(), rows).whole());
        }
        return all;
    }

    /// One sequence of so many rows.
    private record Prompt(DeltaShape shape, int rows) {
        private String words() {
            return "1×" + rows + ", " + shape.valueHeads() + " value heads";
        }

        KernelCase convolve() {
            double bytes = 4.0 * rows * shape.channels();
            return new KernelCase(
                    "prefill",
                    "convolve_chunk",
                    "convolution",
                    words(),
                    bytes,
                    8.0 * rows * shape.channels(),
                    2L * rows * shape.projected(),
                    (bench, copies) -> {
                        Matrix[] from = projected(bench, copies);
                        DeviceMemory out = bench.room("convolved", 2L * rows * shape.channels());
                        Matrix to = Workbench.matrix(out, rows, shape.channels());
                        long weight = bench.floats("taps", 4 * shape.channels(), 0.5).address();
                        DeviceMemory window = bench.room("window", 8L * shape.channels());
                        long step = bench.prompt(rows);
                        int tiles = Math.ceilDiv(rows, Convolve.TILE);
                        return new Run(
                                i ->
                                        bench.launchers()
                                                .convolve()
                                                .launch(
                                                        bench.stream(),
                                                        new Convolve.Operands(
                                                                to,
                                                                from[i],
                                                                weight,
                                                                window.address()),
                                                        step,
                                                        tiles),
                                List.of(out, window));
                    });
        }

        /// @param first whether it is the first half
        KernelCase half(boolean first) {
            double keys = 4.0 * rows * shape.keyWidth();
            double values = 4.0 * rows * shape.valueWidth() + 2 * stateBytes();
            double bytes = first ? 2 * keys + 4.0 * rows * shape.valueHeads() : keys + values;
            double flops =
                    first
                            ? 4.0 * rows * shape.keyHeads() * 64 * DIM
                            : rows * (double) shape.valueHeads() * (6 * DIM * DIM + 8 * 64 * DIM);
            return new KernelCase(
                    "prefill",
                    first ? "delta_prepare" : "delta_scan",
                    first ? "delta rule, chunks" : "delta rule, sequence",
                    words(),
                    bytes,
                    flops,
                    first ? 2L * rows * shape.projected() : KernelCase.ONE_COPY,
                    (bench, copies) -> {
                        Halves halves = halves(bench, copies);
                        halves.prepare(0);
                        return first
                                ? new Run(halves::prepare, List.of(halves.room))
                                : new Run(i -> halves.scan(0), List.of(halves.out, halves.state));
                    });
        }

        KernelCase whole() {
            double bytes =
                    2.0 * rows * (shape.channels() + 2.0 * shape.valueWidth() + shape.valueHeads())
                            + 2 * stateBytes();
            double flops = rows * (double) shape.valueHeads() * (6 * DIM * DIM + 8 * 64 * DIM);
            return new KernelCase(
                    "table",
                    "delta_prepare+delta_scan",
                    "GDN prefill",
                    words(),
                    bytes,
                    flops,
                    2L * rows * shape.projected(),
                    (bench, copies) -> {
                        Halves halves = halves(bench, copies);
                        return new Run(
                                i -> {
                                    halves.prepare(i);
                                    halves.scan(i);
                                },
                                List.of(halves.out, halves.state));
                    });
        }

        KernelCase gatedNorm() {
            return new KernelCase(
                    "prefill",
                    "gated_norm",
                    "delta out",
                    words(),
                    6.0 * rows * shape.valueWidth(),
                    6.0 * rows * shape.valueWidth(),
                    2L * rows * shape.projected(),
                    (bench, copies) -> {
                        Matrix[] from = projected(bench, copies);
                        Matrix o = bench.noise("answers", rows, shape.valueWidth(), 1);
                        DeviceMemory out = bench.room("normed", 2L * rows * shape.valueWidth());
                        Matrix to = Workbench.matrix(out, rows, shape.valueWidth());
                        long weight = bench.floats("norm", shape.valueDim(), 1).address();
                        return new Run(
                                i ->
                                        bench.launchers()
                                                .gatedNorm()
                                                .launch(
                                                        bench.stream(),
                                                        new GatedNorm.Operands(
                                                                to, o, from[i], weight),
                                                        shape,
                                                        Rows.of(0, rows)),
                                List.of(out));
                    });
        }

        private double stateBytes() {
            return 4 * DIM * DIM * shape.valueHeads();
        }

        private Matrix[] projected(Workbench bench, int copies) {
            Matrix[] all = new Matrix[copies];
            for (int i = 0; i < copies; i++) {
                all[i] = bench.noise("projected", rows, shape.projected(), 1);
            }
            return all;
        }

        private Halves halves(Workbench bench, int copies) {
            long bytes = DeltaWorkspace.bytes(bench.launchers().form(), shape, rows, 1);
            return new Halves(
                    bench,
                    shape,
                    rows,
                    bench.prompt(rows),
                    projected(bench, copies),
                    bench.noise("convolved", rows, shape.channels(), 1),
                    bench.room("chunks", bytes),
                    bench.room("answers", 2L * rows * shape.valueWidth()),
                    bench.room("state", (long) stateBytes()),
                    parameters(bench, shape));
        }
    }

    /// A_log and dt_bias.
    static long[] parameters(Workbench bench, DeltaShape shape) {
        return new long[] {
            bench.floats("A_log", shape.valueHeads(), 1).address(),
            bench.floats("dt_bias", shape.valueHeads(), 1).address()
        };
    }

    private record Halves(
            Workbench bench,
            DeltaShape shape,
            int rows,
            long step,
            Matrix[] projected,
            Matrix convolved,
            DeviceMemory room,
            DeviceMemory out,
            DeviceMemory state,
            long[] parameters) {
        private DeltaOperands operands(int copy) {
            return new DeltaOperands(
                    shape,
                    Workbench.matrix(out, rows, shape.valueWidth()),
                    convolved,
                    projected[copy],
                    parameters[0],
                    parameters[1],
                    state.address());
        }

        private DeltaWorkspace workspace() {
            return new DeltaWorkspace(room.address(), bench.launchers().form(), shape, rows, 1);
        }

        void prepare(int copy) {
            bench.launchers()
                    .prepare()
                    .launch(bench.stream(), operands(copy), step, workspace(), rows, 1);
        }

        void scan(int copy) {
            bench.launchers().scan().launch(bench.stream(), operands(copy), step, workspace(), 1);
        }
    }
}
