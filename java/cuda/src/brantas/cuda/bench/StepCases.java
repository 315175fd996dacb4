package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.AttendChunk;
import brantas.cuda.launch.AttendStep;
import brantas.cuda.launch.DeltaOperands;
import brantas.cuda.launch.DeltaStep;
import brantas.cuda.launch.Matrix;
import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.spi.KernelLab.Model;
import java.util.ArrayList;
import java.util.List;

/// What single rows do with their sequence's memory: a step of the delta rule, and attention over
/// the cache. States and caches take turns.
final class StepCases {
    private static final double DIM = 128;

    private StepCases() {}

    /// The launches of a decode step of one sequence, and batches and contexts of published tables.
    static List<KernelCase> decode(Model model, Lengths lengths) {
        AttentionShape attention = model.shapes().attention();
        DeltaShape delta = model.shapes().delta();
        List<KernelCase> all = new ArrayList<>();
        all.add(delta(delta, 1));
        for (int batch : lengths.batches()) {
            all.add(delta(delta, batch).inTable("GDN decode"));
        }
        all.add(AttentionCases.store("decode", attention, 1, lengths.context()));
        all.add(attend(attention, lengths.context()));
        all.add(attend(attention, lengths.longContext()).inTable("attention decode"));
        return all;
    }

    private static KernelCase delta(DeltaShape shape, int rows) {
        double state = 4 * DIM * DIM * shape.valueHeads();
        double window = 8.0 * shape.channels();
        double row = 2.0 * (shape.projected() + shape.valueWidth());
        double parameters = 16.0 * shape.channels() + 8.0 * shape.valueHeads();
        return new KernelCase(
                "decode",
                "delta_step",
                "convolution, delta rule",
                rows + " rows, " + shape.valueHeads() + " value heads",
                parameters + rows * (2 * state + 2 * window + row),
                rows * shape.valueHeads() * 7 * DIM * DIM,
                (long) (rows * state),
                (bench, copies) -> {
                    DeviceMemory[] states = new DeviceMemory[copies];
                    for (int i = 0; i < copies; i++) {
                        states[i] = bench.room("states", (long) (rows * state));
                    }
                    Matrix projected = bench.noise("projected", rows, shape.projected(), 1);
                    DeviceMemory out = bench.room("answers", 2L * rows * shape.valueWidth());
                    Matrix dst = Workbench.matrix(out, rows, shape.valueWidth());
                    DeviceMemory windows = bench.room("windows", (long) (rows * window));
                    DeltaStep.Convolution convolution =
                            new DeltaStep.Convolution(
                                    bench.floats("taps", 4 * shape.channels(), 0.5).address(),
                                    windows.address());
                    long[] parts = DeltaCases.parameters(bench, shape);
                    long step = bench.singles(rows, 8);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .deltaStep()
                                            .launch(
                                                    bench.stream(),
                                                    new DeltaOperands(
                                                            shape,
                                                            dst,
                                                            projected,
                                                            projected,
                                                            parts[0],
                                                            parts[1],
                                                            states[i].address()),
                                                    convolution,
                                                    step,
                                                    Rows.of(0, rows)),
                            List.of(out, states[0], windows));
                });
    }

    private static KernelCase attend(AttentionShape shape, int context) {
        double kv = 4.0 * context * shape.kvHeads() * shape.headDim();
        return new KernelCase(
                "decode",
                "attend_step",
                "attention",
                "1 row, " + context + " positions, " + shape.heads() + " on " + shape.kvHeads(),
                kv + 6.0 * shape.width(),
                4.0 * shape.width() * context,
                (long) kv,
                (bench, copies) -> {
                    AttentionCases.Cache cache =
                            AttentionCases.Cache.of(bench, shape, copies, 1, context);
                    Matrix q = bench.noise("queries", 1, shape.width(), 1);
                    Matrix projected = bench.noise("projected", 1, shape.projected(), 1);
                    DeviceMemory out = bench.room("attention out", 2L * shape.width());
                    Matrix dst = Workbench.matrix(out, 1, shape.width());
                    int splits = AttendStep.mostSplits(context);
                    long room = AttendStep.Partials.bytes(shape, 1, splits);
                    long counters = AttendStep.Partials.arrivalBytes(shape, 1);
                    AttendStep.Partials partials =
                            new AttendStep.Partials(
                                    bench.room("partials", room).address(),
                                    bench.room("arrivals", counters).address(),
                                    1,
                                    splits);
                    long step = bench.singles(1, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .attendStep()
                                            .launch(
                                                    bench.stream(),
                                                    new AttendChunk.Operands(dst, q, projected),
                                                    cache.pages(i),
                                                    shape,
                                                    step,
                                                    partials),
                            List.of(out));
                });
    }
}
