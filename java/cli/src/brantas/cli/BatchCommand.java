package brantas.cli;

import brantas.Brantas;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.function.IntConsumer;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Answers a file of requests in the shape of OpenAI's batch files. A killed batch goes on where it
/// stopped when it is started again.
@Command(description = "Answers a JSONL file of requests; goes on after a kill.")
final class BatchCommand implements Callable<Integer> {
    private static final long NANOS_BETWEEN_LINES = Duration.ofSeconds(10).toNanos();

    private final Streams io;

    @Mixin ModelOptions model = new ModelOptions();

    @Option(
            names = "--in",
            required = true,
            paramLabel = "FILE",
            description = "Requests, one JSON object a line.")
    Path in = Path.of("");

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FILE",
            description = "Results, in the same order.")
    Path out = Path.of("");

    @Option(
            names = "--concurrency",
            paramLabel = "N",
            description = "Answers at the same time; default: ${DEFAULT-VALUE}.")
    int concurrency = 8;

    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            description = "Most tokens for lines that do not say.")
    int maxTokens;

    @Option(names = "--fresh", description = "Starts over instead of going on.")
    boolean fresh;

    BatchCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        check();
        int total = count();
        try (BatchOutput output = BatchOutput.open(out, fresh);
                JsonLines input = JsonLines.of(in)) {
            int kept = output.resume(input);
            int repeats = kept < total ? work(input, kept, output, total) : 0;
            String more = kept == 0 ? "" : ", " + kept + " of them from before";
            more +=
                    repeats == 0
                            ? ""
                            : ", " + repeats + " with a custom_id that an earlier line has";
            io.note(output.ok() + " ok, " + output.errors() + " errors" + more + ".");
        }
        return 0;
    }

    private int work(JsonLines input, int kept, BatchOutput output, int total) {
        try (Brantas open =
                        Brantas.open(model.folder(), model.options(io).withSequences(concurrency));
                Progress progress = io.bars() ? new Bar(total) : new Lines(total)) {
            BatchRun run = new BatchRun(open::generate, model.name(), concurrency, maxTokens);
            run.run(input, kept, output, progress);
            return run.repeats();
        }
    }

    private void check() {
        if (concurrency < 1 || concurrency > 1024) {
            throw new BrantasException(
                    "--concurrency is " + concurrency + ": use a number from 1 to 1024.");
        }
        if (maxTokens < 0) {
            throw new BrantasException("--max-tokens is " + maxTokens + ": use at least 1.");
        }
        try {
            if (Files.exists(in) && Files.exists(out) && Files.isSameFile(in, out)) {
                throw new BrantasException("--in and --out are both " + in + ": name two files.");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private int count() {
        try (JsonLines lines = JsonLines.of(in)) {
            int n = 0;
            while (BatchOutput.nextFilled(lines) != null) {
                n++;
            }
            return n;
        }
    }

    /// Who is told how far the batch is.
    private interface Progress extends IntConsumer, AutoCloseable {
        @Override
        void close();
    }

    private final class Bar implements Progress {
        private final ProgressBar bar;

        Bar(int total) {
            bar = ModelOptions.bar(io, "batch", " lines", 1, total);
        }

        @Override
        public void accept(int done) {
            bar.stepTo(done);
        }

        @Override
        public void close() {
            bar.close();
        }
    }

    private final class Lines implements Progress {
        private final int total;
        private long last = System.nanoTime();

        Lines(int total) {
            this.total = total;
        }

        @Override
        public void accept(int done) {
            if (System.nanoTime() - last > NANOS_BETWEEN_LINES) {
                last = System.nanoTime();
                io.note(done + " of " + total + " lines done.");
            }
        }

        @Override
        public void close() {}
    }
}
