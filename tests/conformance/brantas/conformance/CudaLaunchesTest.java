package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.driver.Emulator;
import brantas.engine.Generation;
import brantas.format.FeedForwardConfig;
import brantas.format.ModelConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.settings.Sampling;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What a decoded token costs in calls to the driver, counted by the stand-in driver through the
/// engine: on a real device each launch costs microseconds, whatever it computes.
///
/// A request with a prompt of one token decodes in every step, so that the counters of a whole
/// request are those of one step, times its tokens.
class CudaLaunchesTest {
    private static final int[] ONE = {17};
    private static final int TOKENS = 12;

    private static final Sampling PENALISED =
            new Sampling(0.8, 0.9, 20, 0.05, 0.5, 0.25, 1.1, 1234);

    private static final List<String> COUNTERS =
            List.of(
                    "kernel_launches",
                    "graph_launches",
                    "graph_kernels",
                    "host_to_device_copies",
                    "device_to_host_copies",
                    "device_to_device_copies",
                    "pageable_copies",
                    "allocations",
                    "pinned_allocations",
                    "synchronizations",
                    "bytes_to_device",
                    "bytes_to_host");

    /// Kernels are launched and counted, and do nothing: what they would compute changes no count.
    @BeforeEach
    void countOnly() {
        Emulator.reset();
        Emulator.choose("KERNELS", "skip");
    }

    @AfterEach
    void forget() {
        Emulator.reset();
    }

    /// How far the counters move while `work` runs.
    private static Map<String, Long> during(Runnable work) {
        Map<String, Long> before = counters();
        work.run();
        Map<String, Long> after = counters();
        return COUNTERS.stream()
                .collect(
                        Collectors.toMap(
                                Function.identity(), name -> after.get(name) - before.get(name)));
    }

    private static Map<String, Long> counters() {
        return COUNTERS.stream().collect(Collectors.toMap(Function.identity(), Emulator::count));
    }

    /// Six kernels a delta-rule layer, seven an attention layer, one less each without experts; and
    /// the token's way in, its rotations, head, counts and draw.
    private static long bound(EmulatedEngine engine) {
        ModelConfig config = engine.model().config();
        long layers = 0;
        for (LayerType type : config.layerTypes()) {
            layers += type == LayerType.ATTENTION ? 7 : 6;
        }
        boolean dense = config.feedForward() instanceof FeedForwardConfig.Dense;
        return layers - (dense ? config.layers() : 0) + 5;
    }

    private static void say(String what, Map<String, Long> seen, long bound) {
        System.getLogger("brantas.conformance")
                .log(
                        System.Logger.Level.INFO,
                        "{0}, {1} tokens, at most {2} kernels each: {3}",
                        what,
                        TOKENS,
                        bound,
                        seen);
    }

    @ParameterizedTest
    @CsvSource({"moe, false", "moe, true", "dense-r3, false", "dense-r3, true"})
    void launchesOfStepsThatAreNotRecorded(String name, boolean penalised) {
        Sampling how = penalised ? PENALISED : Sampling.GREEDY;
        try (EmulatedEngine engine = EmulatedEngine.open(GoldenModel.of(name, name), false)) {
            engine.generate(ONE, 1, how);
            Map<String, Long> seen = during(() -> engine.generate(ONE, TOKENS, how));
            say(name + " without graphs", seen, bound(engine));
            assertThat(seen.get("graph_launches")).isZero();
            assertThat(seen.get("kernel_launches") % TOKENS).isZero();
            assertThat(seen.get("kernel_launches") / TOKENS).isBetween(1L, bound(engine));
            checkCopiesAndMemory(seen);
        }
        assertThat(Emulator.held().values()).containsOnly(0L);
    }

    @ParameterizedTest
    @CsvSource({"moe, false", "moe, true", "dense-r3, false", "dense-r3, true"})
    void recordedStepsAreOneLaunch(String name, boolean penalised) {
        Sampling how = penalised ? PENALISED : Sampling.GREEDY;
        try (EmulatedEngine engine = EmulatedEngine.open(GoldenModel.of(name, name), true)) {
            engine.generate(ONE, 3, how);
            Map<String, Long> seen = during(() -> engine.generate(ONE, TOKENS, how));
            say(name + " with graphs", seen, bound(engine));
            assertThat(seen.get("graph_launches")).isEqualTo(TOKENS);
            assertThat(seen.get("kernel_launches")).isZero();
            assertThat(seen.get("graph_kernels") % TOKENS).isZero();
            assertThat(seen.get("graph_kernels") / TOKENS).isBetween(1L, bound(engine));
            checkCopiesAndMemory(seen);
        }
        assertThat(Emulator.held().values()).containsOnly(0L);
    }

    private static void checkCopiesAndMemory(Map<String, Long> seen) {
        assertThat(seen.get("host_to_device_copies")).isEqualTo(TOKENS);
        assertThat(seen.get("device_to_host_copies")).isEqualTo(TOKENS);
        assertThat(seen.get("device_to_device_copies")).isZero();
        assertThat(seen.get("pageable_copies")).isZero();
        assertThat(seen.get("allocations")).isZero();
        assertThat(seen.get("pinned_allocations")).isZero();
    }

    /// Whoever else is decoding: a step of several sequences takes the kernels of a step of one.
    /// Requests that come and go leave nothing behind.
    @ParameterizedTest
    @ValueSource(strings = {"moe", "dense-r3"})
    void companyCostsNothingAndRequestsLeaveNothing(String name) {
        try (EmulatedEngine engine = EmulatedEngine.open(GoldenModel.of(name, name), true)) {
            engine.generate(ONE, 3, PENALISED);
            long alone =
                    during(() -> engine.generate(ONE, TOKENS, PENALISED)).get("graph_kernels")
                            / TOKENS;
            // Twice: which steps the three share, and so which buckets are recorded, is a matter of
            // chance.
            together(engine);
            together(engine);
            Map<String, Long> seen = during(() -> together(engine));
            say(name + ", three sequences", seen, bound(engine));
            assertThat(seen.get("allocations")).isZero();
            assertThat(seen.get("pinned_allocations")).isZero();
            assertThat(seen.get("graph_launches")).isPositive();
            assertThat(seen.get("graph_kernels")).isEqualTo(alone * seen.get("graph_launches"));
        }
        assertThat(Emulator.held().values()).containsOnly(0L);
    }

    private static void together(EmulatedEngine engine) {
        List<Generation> running = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            running.add(engine.submit(new int[] {5 + i}, TOKENS, PENALISED));
        }
        running.forEach(EmulatedEngine::all);
    }
}
