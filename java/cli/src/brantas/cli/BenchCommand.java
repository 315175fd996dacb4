package brantas.cli;

import brantas.Benchmark;
import brantas.Benchmark.Result;
import brantas.Benchmark.Spread;
import brantas.settings.BrantasException;
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
