package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Emulator;
import brantas.engine.EngineLimits;
import brantas.format.FeedForwardConfig;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.Progress;
import brantas.format.RandomCheckpoint;
import brantas.model.ModelLoader;
import brantas.op.Backend;
import brantas.predict.Gpu;
import brantas.predict.KernelTime;
import brantas.predict.Plan;
import brantas.predict.Request;
import brantas.settings.Sampling;
import brantas.spi.BackendProvider.Choice;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What `brantas predict` says about launches and bytes against what the emulated device counts: a
/// prediction speaks of the kernels that run, by name and number, and they move what it says.
class PredictionTest {
    private static final int CONTEXT = 320;
    private static final int CHUNK = 512;

    /// Of the emulated device.
    private static final int MULTIPROCESSORS = 2;

    /// Kernels that move less than this are not worth a comparison of their own.
    private static final double SMALL = 1e6;

    @BeforeEach
    @AfterEach
    void forget() {
        Emulator.reset();
    }

    /// The emulated device as predictions see one. Its speed is of no account here.
    private static Gpu emulated(String capability) {
        int shared =
                switch (capability) {
                    case "8.0" -> 163 << 10;
                    case "9.0", "10.0" -> 227 << 10;
                    default -> 99 << 10;
                };
        return new Gpu(
                "emulated",
                "emulated device",
                Double.parseDouble(capability),
                MULTIPROCESSORS,
                1e9,
                1e12,
                1e10,
                1e14,
                shared,
                shared + 1024,
                2048,
                8,
                1,
                List.of());
    }

    private static Map<String, Long> calls(List<KernelTime> kernels) {
        Map<String, Long> all = new TreeMap<>();
        kernels.forEach(kernel -> all.merge(kernel.name(), (long) kernel.calls(), Long::sum));
        return all;
    }

    /// Runs of these kernels, and, by the name `all`, of all there are.
    private static Map<String, Long> runs(Iterable<String> names) {
        Map<String, Long> all = new TreeMap<>();
        names.forEach(name -> all.put(name, Emulator.count("runs:" + name)));
        all.put("all", Emulator.count("runs"));
        return all;
    }

    private static void assertRuns(List<KernelTime> predicted, Runnable work) {
        Map<String, Long> expected = calls(predicted);
        long all = expected.values().stream().mapToLong(Long::longValue).sum();
        Map<String, Long> before = runs(List.copyOf(expected.keySet()));
        work.run();
        Map<String, Long> counted = runs(List.copyOf(expected.keySet()));
        counted.replaceAll((name, count) -> count - before.getOrDefault(name, 0L));
        expected.put("all", all);
        assertThat(counted).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "moe, 1", "moe, 3", "moe, 6", "moe, 11", "moe, 17",
        "dense-r3, 1", "dense-r3, 3", "dense-r3, 6", "dense-r3, 11", "dense-r3, 17"
    })
    void aDecodedTokenRunsTheKernelsOfThePrediction(String name, int sequences) {
        Emulator.choose("KERNELS", "skip");
        try (EmulatedEngine engine = EmulatedEngine.open(GoldenModel.of(name, name), true)) {
            ModelConfig config = engine.model().config();
            Request request = new Request(name, 1, sequences, 1, 1);
            Plan plan = Plan.of(config, emulated("8.0"), request);
            Decoder decoder = new Decoder(engine.ops(), engine.model(), sequences, 1);
            // The first step of a kind is run, the second recorded.
            decoder.step();
            decoder.step();
            assertThat(plan.launches()).isEqualTo(sum(calls(plan.decode())));
            assertRuns(plan.decode(), decoder::step);
        }
    }

    private static int sum(Map<String, Long> calls) {
        return Math.toIntExact(calls.values().stream().mapToLong(Long::longValue).sum());
    }

    /// The engine's own steps are those of [Decoder].
    @ParameterizedTest
    @ValueSource(strings = {"moe", "dense-r3"})
    void aRequestRunsTheKernelsOfThePrediction(String name) {
        int tokens = 7;
        Emulator.choose("KERNELS", "skip");
        try (EmulatedEngine engine = EmulatedEngine.open(GoldenModel.of(name, name), true)) {
            int[] one = {17};
            engine.generate(one, 3, Sampling.GREEDY);
            ModelConfig config = engine.model().config();
            Plan plan = Plan.of(config, emulated("8.0"), new Request(name, 1, 1, 1, 1));
            List<KernelTime> all = new ArrayList<>();
            for (int i = 0; i < tokens; i++) {
                all.addAll(plan.decode());
            }
            assertRuns(all, () -> engine.generate(one, tokens, Sampling.GREEDY));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "moe, 8.0, 40",
        "moe, 8.9, 300",
        "moe, 8.9, 512",
        "moe, 9.0, 600",
        "moe, 10.0, 200",
        "dense-r3, 8.0, 40",
        "dense-r3, 8.9, 300",
        "dense-r3, 9.0, 600",
        "dense-r3, 10.0, 200"
    })
    void aPromptRunsTheKernelsOfThePrediction(String name, String capability, int length) {
        Emulator.choose("KERNELS", "skip");
        Emulator.choose("CAPABILITY", capability);
        int[] prompt = new int[length];
        Arrays.setAll(prompt, i -> 1 + i % 400);
        EngineLimits limits = EngineLimits.of(1, 2L * CHUNK);
        try (EmulatedEngine engine =
                EmulatedEngine.open(GoldenModel.of(name, name), true, limits)) {
            ModelConfig config = engine.model().config();
            Request request = new Request(name, 1, 1, length, CHUNK);
            Plan plan = Plan.of(config, emulated(capability), request);
            assertRuns(plan.prefill(), () -> engine.generate(prompt, 1, Sampling.GREEDY));
        }
    }

    /// Proportions of a published size, so that activations are as small beside weights as there.
    private static ModelConfig config(String size, FeedForwardConfig feedForward) {
        ModelConfig c = KnownSizes.config(size);
        return new ModelConfig(
                c.family(),
                c.prefix(),
                c.hiddenSize(),
                c.layerTypes().subList(0, 4),
                32_768,
                c.rmsNormEps(),
                c.maxPositions(),
                c.attention(),
                c.delta(),
                feedForward,
                c.tie(),
                c.eosIds(),
                0,
                Optional.empty());
    }

    @ParameterizedTest
    @ValueSource(strings = {"dense", "experts"})
    void aDecodedTokenMovesTheBytesOfThePrediction(String kind) {
        ModelConfig config =
                kind.equals("dense")
                        ? config("0.8B", KnownSizes.config("0.8B").feedForward())
                        : config("moe-small", new Experts(24, 4, 512, 512));
        Plan plan = Plan.of(config, emulated("8.0"), new Request(kind, CONTEXT, 1, 1, 1));
        try (RandomCheckpoint weights = RandomCheckpoint.create(kind, config, 1, Progress.NONE);
                Backend ops = new CudaProvider().open(new Choice("auto", true, false))) {
            Decoder decoder = new Decoder(ops, ModelLoader.load(ops, weights), 1, CONTEXT);
            Emulator.choose("KERNELS", "skip");
            decoder.step();
            decoder.step();
            Emulator.choose("KERNELS", "run");
            Emulator.choose("TRAFFIC", "count");
            assertRuns(plan.decode(), decoder::step);
        }
        double counted = Emulator.count("bytes_read") + (double) Emulator.count("bytes_written");
        StringBuilder table = new StringBuilder();
        Map<String, Double> predicted = new TreeMap<>();
        plan.decode()
                .forEach(kernel -> predicted.merge(kernel.name(), kernel.bytes(), Double::sum));
        Map<String, Double> far = new TreeMap<>();
        predicted.forEach((name, bytes) -> {
            double moved = moved(name);
            table.append(row(name, moved, bytes));
            if (Math.max(bytes, moved) > SMALL && Math.abs(moved / bytes - 1) > 0.02) {
                far.put(name, moved / bytes);
            }
        });
        table.append(row("all, and bytes_per_token", counted, plan.stepBytes()));
        System.getLogger("brantas.conformance")
                .log(Level.INFO, "{0}: kernel, bytes counted, predicted, ratio\n{1}", kind, table);
        assertThat(counted / plan.stepBytes()).isCloseTo(1, within(0.03));
        assertThat(far).as("kernels that move more or less than predicted").isEmpty();
    }

    private static double moved(String kernel) {
        return Emulator.count("bytes_read:" + kernel)
                + (double) Emulator.count("bytes_written:" + kernel);
    }

    private static String row(String name, double counted, double predicted) {
        return String.format(
                Locale.ROOT,
                "  %-26s %,13.0f %,13.0f %7.4f%n",
                name,
                counted,
                predicted,
                counted / predicted);
    }
}
