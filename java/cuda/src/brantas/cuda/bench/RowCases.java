package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Matrix;
import brantas.cuda.launch.Rotations;
import brantas.cuda.launch.Sample;
import brantas.op.StepBatch;
import brantas.settings.Sampling;
import brantas.spi.KernelLab.Model;
import java.util.Arrays;
import java.util.List;

/// What happens to rows at the ends of a step: embedding, rotations, norms, and drawing.
final class RowCases {
    /// As chat models are sampled.
    private static final Sampling CHAT = new Sampling(0.7, 0.8, 20, 0, 1.5, 0, 1, 1);

    /// Embedding rows that are there: ids of the steps are below it.
    private static final int VOCABULARY = 64;

    private RowCases() {}

    /// The launches of a decode step of one sequence.
    static List<KernelCase> decode(Model model, Lengths lengths) {
        return List.of(
                embed("decode", model, 1, lengths.context()),
                rotations("decode", model, 1, lengths.context()),
                countTokens(model, lengths.context()),
                sample("decode", model, lengths.context()),
                sample("table", model, lengths.context()));
    }

    /// The launches of a prompt's step.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        int rows = lengths.prompt();
        return List.of(
                embed("prefill", model, rows, rows),
                rotations("prefill", model, rows, rows),
                norm(model, rows, "before the mixer"),
                norm(model, rows, "before the feed-forward"));
    }

    private static long step(Workbench bench, int rows, int context) {
        return rows == context ? bench.prompt(rows) : bench.singles(rows, context);
    }

    private static KernelCase embed(String phase, Model model, int rows, int context) {
        return new KernelCase(
                phase,
                "embed",
                "embedding",
                rows + " rows of " + model.hidden(),
                4.0 * rows * model.hidden(),
                0,
                2L * VOCABULARY * model.hidden(),
                (bench, copies) -> {
                    Matrix[] tables =
                            LinearCases.weights(bench, copies, VOCABULARY, model.hidden());
                    DeviceMemory out = bench.room("hidden", 2L * rows * model.hidden());
                    Matrix dst = Workbench.matrix(out, rows, model.hidden());
                    long faults = bench.room("faults", 16).address();
                    long step = step(bench, rows, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .embed()
                                            .launch(
                                                    bench.stream(),
                                                    dst,
                                                    tables[i],
                                                    step,
                                                    faults,
                                                    Rows.of(0, rows)),
                            List.of(out));
                });
    }

    private static KernelCase rotations(String phase, Model model, int rows, int context) {
        int rotary = model.shapes().attention().rotaryDim();
        return new KernelCase(
                phase,
                "rotations",
                "cosines and sines",
                rows + " rows of " + rotary,
                4.0 * rows * rotary,
                20.0 * rows * rotary,
                KernelCase.ONE_COPY,
                (bench, copies) -> {
                    DeviceMemory out = bench.room("rotations", 4L * rows * rotary);
                    Matrix dst = new Matrix(out.address(), rows, rotary, rotary);
                    Rotations.Turns turns =
                            new Rotations.Turns(
                                    bench.floats("frequencies", rotary / 2, 1).address(),
                                    bench.ints("axes", new int[rotary / 2]).address(),
                                    rotary / 2,
                                    1);
                    long step = step(bench, rows, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .rotations()
                                            .launch(
                                                    bench.stream(),
                                                    dst,
                                                    turns,
                                                    step,
                                                    Rows.of(0, rows)),
                            List.of(out));
                });
    }

    private static KernelCase norm(Model model, int rows, String purpose) {
        return new KernelCase(
                "prefill",
                "rms_norm",
                purpose,
                rows + " rows of " + model.hidden(),
                4.0 * rows * model.hidden(),
                4.0 * rows * model.hidden(),
                2L * rows * model.hidden(),
                (bench, copies) -> {
                    Matrix[] x = LinearCases.weights(bench, copies, rows, model.hidden());
                    DeviceMemory out = bench.room("normed", 2L * rows * model.hidden());
                    Matrix dst = Workbench.matrix(out, rows, model.hidden());
                    long weight = bench.floats("norm", model.hidden(), 0.5).address();
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .norm()
                                            .launch(
                                                    bench.stream(),
                                                    dst,
                                                    x[i],
                                                    weight,
                                                    Rows.of(0, rows),
                                                    1e-6f),
                            List.of(out));
                });
    }

    /// A step of one row whose token is counted, and which draws as chats do.
    private static long drawing(Workbench bench, int context) {
        StepBatch batch = new StepBatch(1, 1, 1);
        batch.clear();
        batch.addSequence(context - 1, 0);
        batch.countTokens(1);
        batch.addPage(0);
        batch.addRow(1, context - 1, context - 1, context - 1, true);
        batch.draw(CHAT, context);
        return bench.upload(batch);
    }

    private static KernelCase countTokens(Model model, int context) {
        int vocabulary = model.shapes().vocabulary();
        return new KernelCase(
                "decode",
                "count_tokens",
                "penalties",
                "1 row",
                16,
                0,
                KernelCase.ONE_COPY,
                (bench, copies) -> {
                    DeviceMemory out = bench.room("counts", 4L * vocabulary);
                    Matrix counts = new Matrix(out.address(), 1, vocabulary, vocabulary);
                    long step = drawing(bench, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .countTokens()
                                            .launch(bench.stream(), counts, step, Rows.of(0, 1)),
                            List.of(out));
                });
    }

    private static KernelCase sample(String phase, Model model, int context) {
        int vocabulary = model.shapes().vocabulary();
        return new KernelCase(
                phase,
                "sample",
                phase.equals("table") ? "sampling" : "draw",
                "1 row of " + vocabulary + ", top-k 20, top-p 0.8",
                4.0 * vocabulary,
                0,
                4L * vocabulary,
                (bench, copies) -> {
                    Matrix[] logits = new Matrix[copies];
                    for (int i = 0; i < copies; i++) {
                        long at = bench.floats("logits", vocabulary, 8).address();
                        logits[i] = new Matrix(at, 1, vocabulary, vocabulary);
                    }
                    int[] all = new int[Math.ceilDiv(vocabulary, 32)];
                    Arrays.fill(all, -1);
                    if (vocabulary % 32 != 0) {
                        all[all.length - 1] = (1 << vocabulary % 32) - 1;
                    }
                    DeviceMemory out = bench.room("ids", 16);
                    long counts = bench.room("counts", 4L * vocabulary).address();
                    Sample.Places places =
                            new Sample.Places(
                                    out.address(),
                                    bench.ints("allowed", all).address(),
                                    new Matrix(counts, 1, vocabulary, vocabulary),
                                    bench.room("faults", 16).address());
                    long step = drawing(bench, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .sample()
                                            .launch(bench.stream(), places, logits[i], step, 1),
                            List.of(out));
                });
    }
}
