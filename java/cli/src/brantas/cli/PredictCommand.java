package brantas.cli;

import brantas.Inspection;
import brantas.Prediction;
import brantas.Prediction.Kernel;
import brantas.Prediction.Lengths;
import brantas.Prediction.Speed;
import brantas.Prediction.Target;
import brantas.settings.BrantasException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Speed on a GPU that need not be here, kernel by kernel. The planning is [Prediction]'s.
@Command(description = "Predicts speed on a GPU that need not be here.")
final class PredictCommand implements Callable<Integer> {
    private final Streams io;

    @Option(
            names = "--model",
            paramLabel = "SIZE",
            required = true,
            description = "A known size such as 9B or 35B-A3B, or a checkpoint's folder.")
    String model = "";

    @Option(
            names = "--gpu",
            paramLabel = "GPU",
            required = true,
            description = "h100, h200, 4090, 5090, a100, 3090, l40s or pro6000.")
    String gpu = "";

    @Option(
            names = "--context",
            paramLabel = "N",
            description = "Positions of each sequence that decodes; default: ${DEFAULT-VALUE}.")
    int context = Lengths.DEFAULT.context();

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Sequences that decode together; default: ${DEFAULT-VALUE}.")
    int batch = Lengths.DEFAULT.batch();

    @Option(
            names = "--prompt",
            paramLabel = "N",
            description = "Tokens of a prompt; default: ${DEFAULT-VALUE}.")
    int prompt = Lengths.DEFAULT.prompt();

    @Option(
            names = "--chunk",
            paramLabel = "N",
            description = "Tokens of the prompt in one step; default: ${DEFAULT-VALUE}.")
    int chunk = Lengths.DEFAULT.chunk();

    @Option(names = "--assumptions", description = "Lists every figure and where it comes from.")
    boolean assumptions;

    @Option(names = "--json", description = "Prints one JSON object instead of tables.")
    boolean json;

    PredictCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        Prediction p = predict();
        if (json) {
            io.line(Json.write(object(p)));
            return 0;
        }
        summary(p);
        table(p, "decode", "one step", p.hostMicros());
        table(p, "prefill", "a prompt of " + prompt, 0);
        goals(p.goals());
        if (assumptions) {
            io.line("");
            io.line("assumptions");
            p.assumptions().forEach(line -> io.line("  " + line));
        }
        return 0;
    }

    private Prediction predict() {
        Lengths lengths = new Lengths(context, batch, prompt, chunk);
        if (Inspection.sizes().contains(model)) {
            return Prediction.ofSize(model, gpu, lengths);
        }
        Path folder = Path.of(model);
        if (Files.isDirectory(folder)) {
            return Prediction.of(folder, gpu, lengths);
        }
        throw new BrantasException(
                "--model is '"
                        + model
                        + "', neither a folder nor a known size: choose one of "
                        + String.join(", ", Inspection.sizes())
                        + ".");
    }

    private void summary(Prediction p) {
        io.line(
                String.format(
                        Locale.ROOT,
                        "%s in %s on %s, predicted",
                        p.model(),
                        p.weights(),
                        p.gpuTitle()));
        String sequences = batch == 1 ? "one sequence" : batch + " sequences";
        speed("decode", p.decode(), "%s at %d positions".formatted(sequences, context));
        speed("prefill", p.prefill(), "%d tokens, %d a step".formatted(prompt, chunk));
        io.line(
                String.format(
                        Locale.ROOT,
                        "  bytes per token     %s MB",
                        number(p.bytesPerToken() * 1e-6)));
        io.line(
                String.format(
                        Locale.ROOT, "  bytes read          %s MB", number(p.bytesRead() * 1e-6)));
        io.line(String.format(Locale.ROOT, "  launches per token  %d", p.launchesPerToken()));
        io.line(
                String.format(
                        Locale.ROOT,
                        "  cycles per chunk    %s of the delta rule",
                        number(p.serialCyclesPerChunk())));
        io.line(
                String.format(
                        Locale.ROOT,
                        "  memory              %s GB of %s GB%s",
                        number(p.memory().needed() * 1e-9),
                        number(p.memory().available() * 1e-9),
                        p.memory().fits()
                                ? ""
                                : ": does not fit, so the speeds are those of its bandwidth and clock only"));
    }

    private void speed(String name, Speed speed, String what) {
        io.line(
                String.format(
                        Locale.ROOT,
                        "  %-19s %s tok/s, %.0f %% of the floor of %s (%s)",
                        name,
                        number(speed.tokensPerSecond()),
                        100 * speed.fraction(),
                        number(speed.floor()),
                        what));
    }

    private void table(Prediction p, String phase, String what, double host) {
        List<Kernel> kernels =
                p.kernels().stream().filter(kernel -> kernel.phase().equals(phase)).toList();
        double all = host + kernels.stream().mapToDouble(Kernel::microseconds).sum();
        io.line("");
        io.line(
                String.format(
                        Locale.ROOT, "%-17s %-25s calls        µs  share  floor", phase, what));
        for (Kernel k : kernels) {
            io.line(
                    String.format(
                            Locale.ROOT,
                            "%-17s %-25s %5d %9s  %4.1f%%   %3.0f%%%s",
                            k.name(),
                            k.purpose(),
                            k.calls(),
                            number(k.microseconds()),
                            100 * k.microseconds() / all,
                            100 * k.floorFraction(),
                            k.belowTarget() ? "  " + k.reason() : ""));
        }
        if (host > 0) {
            io.line(
                    String.format(
                            Locale.ROOT,
                            "%-43s %5d %9s  %4.1f%%",
                            "(host)",
                            1,
                            number(host),
                            100 * host / all));
        }
        io.line(String.format(Locale.ROOT, "%-43s %5s %9s", "sum", "", number(all)));
    }

    private void goals(List<Target> goals) {
        if (goals.isEmpty()) {
            return;
        }
        io.line("");
        io.line("goals");
        for (Target t : goals) {
            io.line(
                    String.format(
                            Locale.ROOT,
                            "  %-6s %-38s %-15s predicted %s (%s)",
                            t.reached() ? "good" : "missed",
                            t.measure(),
                            t.wanted(),
                            number(t.predicted()),
                            t.what()));
        }
    }

    private static String number(double value) {
        double size = Math.abs(value);
        String format = size >= 100 ? "%,.0f" : size >= 10 ? "%.1f" : "%.2f";
        return String.format(Locale.ROOT, format, value);
    }

    private static Map<String, @Nullable Object> object(Prediction p) {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        all.put("model", p.model());
        all.put("gpu", p.gpu());
        all.put("gpu_title", p.gpuTitle());
        all.put("weights", p.weights());
        all.put("context", p.lengths().context());
        all.put("batch", p.lengths().batch());
        all.put("prompt", p.lengths().prompt());
        all.put("chunk", p.lengths().chunk());
        all.put("bytes_per_token", p.bytesPerToken());
        all.put("bytes_read", p.bytesRead());
        all.put("floor_tokens_per_second", p.decode().floor());
        all.put("decode_tokens_per_second", p.decode().tokensPerSecond());
        all.put("prefill_floor_tokens_per_second", p.prefill().floor());
        all.put("prefill_tokens_per_second", p.prefill().tokensPerSecond());
        all.put("launches_per_token", p.launchesPerToken());
        all.put("host_microseconds", p.hostMicros());
        all.put("serial_cycles_per_chunk", p.serialCyclesPerChunk());
        all.put("memory_bytes", p.memory().needed());
        all.put("fits", p.memory().fits());
        all.put("kernels", p.kernels().stream().map(PredictCommand::kernel).toList());
        all.put("goals", p.goals().stream().map(PredictCommand::goal).toList());
        all.put("assumptions", p.assumptions());
        return all;
    }

    private static Map<String, @Nullable Object> kernel(Kernel k) {
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("phase", k.phase());
        row.put("name", k.name());
        row.put("purpose", k.purpose());
        row.put("calls", k.calls());
        row.put("microseconds", k.microseconds());
        row.put("bytes", k.bytes());
        row.put("flops", k.flops());
        row.put("floor_fraction", k.floorFraction());
        row.put("below_target", k.belowTarget());
        row.put("reason", k.belowTarget() ? k.reason() : null);
        return row;
    }

    private static Map<String, @Nullable Object> goal(Target t) {
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("what", t.what());
        row.put("measure", t.measure());
        row.put("wanted", t.wanted());
        row.put("predicted", t.predicted());
        row.put("reached", t.reached());
        return row;
    }
}
