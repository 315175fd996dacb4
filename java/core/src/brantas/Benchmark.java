package brantas;

import brantas.engine.Engine;
import brantas.engine.EngineLimits;
import brantas.engine.Generation;
import brantas.engine.GenerationRequest;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.RandomCheckpoint;
import brantas.model.Work;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import brantas.settings.Sampling;
import brantas.simd.MachinePeaks;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;

/// Measures a model on this machine: prefill and decode speed, against the read bandwidth and the
/// matrix-product peak that the same run measures. Prompts are random ids, sampling is greedy, end
/// tokens do not stop.
///
/// @param promptTokens tokens of each prompt
/// @param generate tokens generated after it, at least 2
/// @param batch sequences at once
/// @param repeat measured runs; one more warms up
public record Benchmark(int promptTokens, int generate, int batch, int repeat) {
    /// Checks the numbers.
    public Benchmark {
        positive("--prompt-tokens", promptTokens, 1);
        positive("--generate", generate, 2);
        positive("--batch", batch, 1);
        positive("--repeat", repeat, 1);
    }

    /// Median, smallest and largest of the repeated runs.
    public record Spread(double median, double min, double max) {
        static Spread of(double[] values) {
            double[] v = values.clone();
            Arrays.sort(v);
            int middle = v.length / 2;
            double median = v.length % 2 == 1 ? v[middle] : (v[middle - 1] + v[middle]) / 2;
            return new Spread(median, v[0], v[v.length - 1]);
        }

        static Spread of(int repeat, DoubleSupplier measure) {
            double[] values = new double[repeat];
            Arrays.setAll(values, i -> measure.getAsDouble());
            return of(values);
        }

        Spread times(double factor) {
            return new Spread(median * factor, min * factor, max * factor);
        }
    }

    /// What was measured.
    ///
    /// @param prefill prompt tokens per second, all sequences together
    /// @param decode generated tokens per second, all sequences together, after the first token of
    ///   each
    /// @param firstTokenMillis from submitting to the first token of the last sequence
    /// @param loadSeconds opening the checkpoint, or making the random weights
    /// @param peakRssBytes largest resident size of the process
    /// @param readBandwidth bytes per second, sequential read by all threads
    /// @param decodeBandwidthFraction bytes a decode step must read, times steps per second, over
    ///   the bandwidth
    /// @param gemmFlops peak of the matrix-product kernel in cache, all threads
    /// @param prefillGemmFraction flops of the prompt's linear layers per second over that peak
    public record Result(
            Spread prefill,
            Spread decode,
            Spread firstTokenMillis,
            double loadSeconds,
            long peakRssBytes,
            Spread readBandwidth,
            Spread decodeBandwidthFraction,
            Spread gemmFlops,
            Spread prefillGemmFraction,
            String model,
            String backend,
            int threads) {}

    private static void positive(String name, int value, int least) {
        if (value < least) {
            throw new BrantasException(name + " is " + value + ": use at least " + least + ".");
        }
    }

    /// Measures a checkpoint.
    public Result run(Path folder, Options options) {
        long begin = System.nanoTime();
        try (LoadedModel loaded = LoadedModel.open(folder, sized(options), positions())) {
            return measure(loaded, options, (System.nanoTime() - begin) * 1e-9);
        }
    }

    /// Measures a known size, such as `0.8B`, with random weights made in memory.
    public Result runRandom(String size, Options options) {
        ModelConfig config = KnownSizes.config(size).textOnly();
        long begin = System.nanoTime();
        try (LoadedModel loaded =
                LoadedModel.random(
                        size,
                        config,
                        sized(options),
                        positions(),
                        progress -> RandomCheckpoint.create(size, config, 1, progress))) {
            return measure(loaded, options, (System.nanoTime() - begin) * 1e-9);
        }
    }

    private Options sized(Options options) {
        return options.withSequences(batch);
    }

    private long positions() {
        return (long) batch * (promptTokens + generate + Engine.PAGE_SIZE);
    }

    private Result measure(LoadedModel loaded, Options options, double loadSeconds) {
        ModelConfig config = loaded.model().config();
        BitSet all = new BitSet();
        all.set(0, config.vocabSize());
        double[][] times = new double[3][repeat];
        try (Engine engine = new Engine(loaded.model(), EngineLimits.of(batch, positions()), all)) {
            once(engine, config.vocabSize(), Optional.empty(), 0);
            for (int i = 0; i < repeat; i++) {
                once(engine, config.vocabSize(), Optional.of(times), i);
            }
        }
        long rss = Machine.peakResident();
        int threads = options.threads() == 0 ? Machine.processors() : options.threads();
        Spread bandwidth = Spread.of(repeat, () -> MachinePeaks.readBandwidth(threads));
        Spread peak = Spread.of(repeat, () -> MachinePeaks.gemmFlops(threads));
        Spread prefill = Spread.of(times[0]);
        Spread decode = Spread.of(times[1]);
        double bytes = Work.decodeBytes(config, batch, promptTokens + generate / 2);
        return new Result(
                prefill,
                decode,
                Spread.of(times[2]),
                loadSeconds,
                rss,
                bandwidth,
                decode.times(bytes / batch / bandwidth.median()),
                peak,
                prefill.times(
                        Work.prefillFlops(config, promptTokens) / promptTokens / peak.median()),
                loaded.source().name(),
                Backends.words(loaded.backend()),
                threads);
    }

    private static void drain(Generation generation) {
        int id = generation.next();
        while (id >= 0) {
            id = generation.next();
        }
    }

    /// One round: all sequences prefill, then decode together.
    private void once(Engine engine, int vocabulary, Optional<double[][]> times, int index) {
        Generation[] running = new Generation[batch];
        SplittableRandom random = new SplittableRandom(index);
        long begin = System.nanoTime();
        for (int b = 0; b < batch; b++) {
            int[] prompt = random.ints(promptTokens, 0, vocabulary).toArray();
            running[b] =
                    engine.submit(
                            new GenerationRequest(prompt, generate, Sampling.GREEDY, Set.of()));
        }
        for (Generation g : running) {
            g.next();
        }
        long first = System.nanoTime();
        int before = 0;
        for (Generation g : running) {
            before += g.produced();
        }
        for (Generation g : running) {
            drain(g);
        }
        long end = System.nanoTime();
        if (times.isPresent()) {
            times.get()[0][index] = batch * promptTokens / ((first - begin) * 1e-9);
            times.get()[1][index] = (batch * generate - before) / ((end - first) * 1e-9);
            times.get()[2][index] = (first - begin) * 1e-6;
        }
    }
}
