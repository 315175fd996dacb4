package brantas.cli.gpu;

import brantas.GpuLab;
import brantas.GpuLab.Parity;
import brantas.Options;
import brantas.cli.Json;
import brantas.cli.Streams;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import brantas.spi.KernelLab.Finding;
import brantas.spi.KernelLab.Trial;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// The steps of a GPU's acceptance that are made of Java; `scripts/check-gpu` runs them all, with
/// those that are not. A step prints what it found, leaves it as JSON in a folder, and has the exit
/// status 1 if something is wrong with the device.
@Command(description = "Checks a GPU's kernels; scripts/check-gpu runs every step.")
public final class SelfTestCommand implements Callable<Integer> {
    private static final int FAILED = 1;

    /// Of its largest logit, what the CPU may prefer its own choice by where the GPU's differs: as
    /// far as bf16 between ops moves the logits of a small model.
    private static final double CLOSE = 0.03;

    private final Streams io;

    @Parameters(
            paramLabel = "STEP",
            description =
                    "load, copy, gaps, determinism, variants, kernels, parity; or report, which puts the others' files together.")
    String step = "";

    @Option(
            names = "--into",
            paramLabel = "DIR",
            required = true,
            description = "Where a step's JSON goes, and where report finds it.")
    Path into = Path.of("");

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Where report writes the results; default: the same folder.")
    @Nullable Path out;

    @Option(
            names = "--model",
            paramLabel = "SIZE",
            description = "A known size whose shapes are used; default: ${DEFAULT-VALUE}.")
    String model = KernelTable.MODEL;

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Tokens that parity compares; default: ${DEFAULT-VALUE}.")
    int tokens = 512;

    @Option(
            names = "--device",
            paramLabel = "WHICH",
            description = "GPU by index or UUID; default: ${DEFAULT-VALUE}.")
    String device = "auto";

    /// @param io where it prints
    public SelfTestCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        return switch (step) {
            case "load", "copy", "gaps", "determinism", "variants" -> trial();
            case "kernels" -> kernels();
            case "parity" -> parity();
            case "report" -> report();
            default ->
                    throw new BrantasException(
                            "There is no step '" + step + "': brantas selftest --help lists them.");
        };
    }

    private Options options() {
        return Options.DEFAULTS.withBackend("cuda").withDevice(device).withNotice(io::note);
    }

    private int trial() {
        Trial trial = Trial.valueOf(step.toUpperCase(Locale.ROOT));
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        List<Finding> findings;
        try (GpuLab lab = GpuLab.open(options())) {
            all.putAll(KernelTable.about(lab.about()));
            findings = lab.run(trial, model);
        }
        all.put("findings", findings.stream().map(SelfTestCommand::row).toList());
        Json.write(into.resolve(step + ".json"), all);
        List<Finding> wrong = findings.stream().filter(f -> !f.passed()).toList();
        // Hundreds of kernels that loaded are one line.
        List<Finding> shown = trial == Trial.LOAD ? wrong : findings;
        shown.forEach(
                f -> io.line((f.passed() ? "ok    " : "WRONG ") + f.name() + ": " + f.text()));
        io.line(findings.size() - wrong.size() + " of " + findings.size() + " as they should be");
        return wrong.isEmpty() ? 0 : FAILED;
    }

    private static Map<String, @Nullable Object> row(Finding f) {
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("name", f.name());
        row.put("passed", f.passed());
        row.put("text", f.text());
        row.put("numbers", f.numbers());
        return row;
    }

    private int kernels() {
        try (GpuLab lab = GpuLab.open(options())) {
            KernelTable table = KernelTable.measure(lab, model, io::line);
            Json.write(into.resolve("kernels.json"), table.json());
            io.line(table.times().size() + " launches measured");
        }
        return 0;
    }

    private int parity() {
        Path demo =
                Machine.home()
                        .map(home -> home.resolve("java/cli/demo-model"))
                        .orElseThrow(() ->
                                new BrantasException(
                                        "There is no demo model here: start with scripts/brantas."));
        Parity p = GpuLab.parity(demo, options(), tokens);
        boolean fine = p.widest() <= CLOSE;
        String text =
                String.format(
                        Locale.ROOT,
                        "%d of %d greedy choices as on the CPU, %d from the beginning; elsewhere the CPU"
                                + " prefers its own by up to %.4f of its largest logit",
                        p.equal(),
                        p.tokens(),
                        p.together(),
                        p.widest());
        Finding finding =
                new Finding(
                        "greedy parity",
                        fine,
                        text,
                        Map.of(
                                "tokens", (double) p.tokens(),
                                "equal", (double) p.equal(),
                                "together", (double) p.together(),
                                "widest", p.widest(),
                                "allowed", CLOSE));
        Json.write(into.resolve("parity.json"), Map.of("findings", List.of(row(finding))));
        io.line((fine ? "ok    " : "WRONG ") + text);
        return fine ? 0 : FAILED;
    }

    private int report() {
        List<Path> written = new ArrayList<>(new Results(into).write(out == null ? into : out));
        written.forEach(path -> io.line(path.toString()));
        return 0;
    }
}
