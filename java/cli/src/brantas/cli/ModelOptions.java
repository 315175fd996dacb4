package brantas.cli;

import brantas.Options;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Which model and how it is opened: the options that every command with a model shares. Without
/// `--model` it is the bundled demo model.
final class ModelOptions {
    /// Loading less than this is over before a bar could be read.
    private static final long WORTH_A_BAR = 1L << 30;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "Folder of a checkpoint; default: the bundled demo model.")
    @Nullable Path model;

    @Option(
            names = "--backend",
            paramLabel = "NAME",
            description =
                    "auto, cuda, simd, plain or plain-bf16 (plain with a GPU's roundings); default: ${DEFAULT-VALUE}.")
    String backend = "auto";

    @Option(
            names = "--device",
            paramLabel = "WHICH",
            description =
                    "GPU by index or UUID, or auto for the one with most free memory; default: ${DEFAULT-VALUE}.")
    String device = "auto";

    @Option(
            names = "--graphs",
            paramLabel = "HOW",
            description =
                    "on records decode steps on a GPU and replays them, off launches each kernel; default: ${DEFAULT-VALUE}.")
    Graphs graphs = Graphs.on;

    @Option(
            names = "--exact",
            description =
                    "On a GPU: the delta rule keeps the precision of fp32 inside, slower, for comparisons.")
    boolean exact;

    @Option(names = "--threads", paramLabel = "N", description = "CPU threads; default: all cores.")
    int threads;

    @Option(
            names = "--load",
            paramLabel = "HOW",
            description = "map or read the weights; default: ${DEFAULT-VALUE}.")
    Load load = Load.map;

    @Option(
            names = "--context",
            paramLabel = "N",
            description = "Positions that all running sequences share; default: what fits.")
    long context;

    /// Lower case because people type them.
    enum Load {
        map,
        read
    }

    /// Lower case because people type them.
    enum Graphs {
        on,
        off
    }

    /// The checkpoint's folder.
    Path folder() {
        if (model != null) {
            return model;
        }
        return demo().orElseThrow(() ->
                new BrantasException(
                        "There is no bundled demo model here: name a checkpoint's folder with --model."));
    }

    /// The bundled model, where there is one.
    static Optional<Path> demo() {
        return Machine.home()
                .map(home -> home.resolve("java/cli/demo-model"))
                .filter(Files::isDirectory);
    }

    /// What the model is called in results.
    String name() {
        Path name = folder().toAbsolutePath().normalize().getFileName();
        return name == null ? folder().toString() : name.toString();
    }

    Options options(Streams io) {
        Options options =
                Options.DEFAULTS
                        .withBackend(backend)
                        .withDevice(device)
                        .withGraphs(graphs == Graphs.on)
                        .withExact(exact)
                        .withNotice(io::note)
                        .withThreads(threads)
                        .withRead(load == Load.read)
                        .withContext(context);
        return io.bars() ? options.withProgress(new LoadBar(io)::at) : options;
    }

    /// A bar on standard error.
    static ProgressBar bar(Streams io, String what, String unit, long unitSize, long total) {
        return new ProgressBarBuilder()
                .setTaskName(what)
                .setUnit(unit, unitSize)
                .setInitialMax(total)
                .setConsumer(new ConsoleProgressBarConsumer(io.err(), 79))
                .build();
    }

    /// One bar after the other, as loading goes from part to part.
    private static final class LoadBar {
        private final Streams io;
        private @Nullable ProgressBar bar;
        private String part = "";

        LoadBar(Streams io) {
            this.io = io;
        }

        synchronized void at(Options.LoadStep step) {
            if (step.total() < WORTH_A_BAR) {
                return;
            }
            ProgressBar now = bar;
            if (now == null || !part.equals(step.what())) {
                close();
                now = bar(io, step.what(), " GB", 1_000_000_000, step.total());
                bar = now;
                part = step.what();
            }
            now.stepTo(step.done());
            if (step.done() >= step.total()) {
                close();
            }
        }

        private void close() {
            if (bar != null) {
                bar.close();
                bar = null;
            }
        }
    }
}
