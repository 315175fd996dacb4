package brantas.cli;

import brantas.Benchmark;
import brantas.Benchmark.Result;
import brantas.Benchmark.Spread;
import brantas.GpuLab;
import brantas.StepTrace;
import brantas.cli.gpu.ChromeTrace;
import brantas.cli.gpu.ChromeTrace.Sum;
import brantas.cli.gpu.KernelTable;
import brantas.settings.BrantasException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Speed on this machine, beside the machine's own limits. The measuring is [Benchmark]'s.
@Command(description = "Measures speed.")
final class BenchCommand implements Callable<Integer> {
    private final Streams io;

    @Mixin ModelOptions model = new ModelOptions();

    @Option(
            names = "--prompt-tokens",
            paramLabel = "N",
            description = "Length of a prompt; default: ${DEFAULT-VALUE}.")
    int promptTokens = 512;

    @Option(
            names = "--generate",
            paramLabel = "N",
            description = "Tokens after it; default: ${DEFAULT-VALUE}.")
    int generate = 64;

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Sequences at once; default: ${DEFAULT-VALUE}.")
    int batch = 1;

    @Option(
            names = "--repeat",
            paramLabel = "N",
            description = "Measured runs; default: ${DEFAULT-VALUE}.")
    int repeat = 5;

    @Option(
            names = "--random",
            paramLabel = "SIZE",
            description = "A known size such as 0.8B with random weights.")
    @Nullable String random;

    @Option(
            names = "--profile",
            paramLabel = "FILE",
            description =
                    "Times a prompt's step and a decode step piece by piece instead, on a GPU, and writes them for chrome://tracing or Perfetto.")
    @Nullable Path profile;

    @Option(
            names = "--kernels",
            description =
                    "Measures the kernels of a GPU one by one instead, at the shapes of --model SIZE, a known size; default: 35B-A3B.")
    boolean kernels;

    @Option(names = "--json", description = "Prints one JSON object instead of a table.")
    boolean json;

    BenchCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        if (random != null && model.model != null) {
            throw new BrantasException("--random and --model exclude each other: give one.");
        }
        if (profile != null) {
            return trace(profile);
        }
        if (kernels) {
            return kernels();
        }
        Benchmark benchmark = new Benchmark(promptTokens, generate, batch, repeat);
        Result result =
                random != null
                        ? benchmark.runRandom(random, model.options(io))
                        : benchmark.run(model.folder(), model.options(io));
        Map<String, @Nullable Object> rows = rows(result);
        if (json) {
            io.line(Json.write(rows));
        } else {
            rows.forEach((name, value) ->
                    io.line(String.format(Locale.ROOT, "%-34s %s", name, shown(value))));
        }
        return 0;
    }

    private int kernels() {
        if (!model.backend.equals("auto") && !model.backend.equals("cuda")) {
            throw new BrantasException(
                    "--kernels measures the kernels of a GPU and the backend is "
                            + model.backend
                            + ": use --backend cuda.");
        }
        String size = model.model == null ? KernelTable.MODEL : model.model.toString();
        try (GpuLab lab = GpuLab.open(model.options(io))) {
            KernelTable table = KernelTable.measure(lab, size, json ? line -> {} : io::line);
            if (json) {
                io.line(Json.write(table.json()));
            }
        }
        return 0;
    }

    private int trace(Path file) {
        StepTrace trace =
                random != null
                        ? StepTrace.ofRandom(random, model.options(io), promptTokens)
                        : StepTrace.of(model.folder(), model.options(io), promptTokens);
        Json.write(file, ChromeTrace.of(trace));
        String meaning = trace.emulated() ? " (emulated: times mean nothing)" : "";
        io.line("device        " + trace.device() + meaning);
        sum("decode step", Sum.of(trace.decode()));
        sum("prefill step", Sum.of(trace.prefill()));
        io.line("trace         " + file);
        return 0;
    }

    private void sum(String step, Sum sum) {
        io.line(
                String.format(
                        Locale.ROOT,
                        "%-13s %d kernels, %.1f µs busy, %.1f µs gaps, %.1f µs host",
                        step,
                        sum.kernels(),
                        sum.busy(),
                        sum.gaps(),
                        sum.host()));
    }

    private Map<String, @Nullable Object> rows(Result r) {
        Map<String, @Nullable Object> rows = new LinkedHashMap<>();
        rows.put("model", r.model());
        rows.put("backend", r.backend());
        rows.put("threads", r.threads());
        rows.put("prompt_tokens", promptTokens);
        rows.put("generate", generate);
        rows.put("batch", batch);
        rows.put("repeat", repeat);
        put(rows, "prefill_tokens_per_second", r.prefill(), 1);
        put(rows, "decode_tokens_per_second", r.decode(), 1);
        put(rows, "time_to_first_token_ms", r.firstTokenMillis(), 1);
        rows.put("load_seconds", r.loadSeconds());
        rows.put("peak_rss_bytes", r.peakRssBytes());
        put(rows, "read_bandwidth_gb_s", r.readBandwidth(), 1e-9);
        put(rows, "decode_bandwidth_fraction", r.decodeBandwidthFraction(), 1);
        put(rows, "gemm_gflops", r.gemmFlops(), 1e-9);
        put(rows, "prefill_gemm_fraction", r.prefillGemmFraction(), 1);
        return rows;
    }

    private static void put(
            Map<String, @Nullable Object> rows, String name, Spread spread, double factor) {
        rows.put(name, spread.median() * factor);
        rows.put(name + "_min", spread.min() * factor);
        rows.put(name + "_max", spread.max() * factor);
    }

    private static String shown(@Nullable Object value) {
        return value instanceof Double d
                ? String.format(Locale.ROOT, "%.3f", d)
                : String.valueOf(value);
    }
}
