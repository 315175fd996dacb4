package brantas.predict;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import brantas.format.FeedForwardConfig;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.settings.BrantasException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// Predictions against hand-made tables: bytes and floors of the published sizes, launches of a
/// step, and what must hold of any prediction whatever its constants are.
class PlanTest {
    private static Plan plan(String size, String gpu, int context, int batch) {
        return Plan.of(
                KnownSizes.config(size), gpu, new Request(size, context, batch, 8_192, 8_192));
    }

    static Stream<String> sizes() {
        return KnownSizes.names().stream();
    }

    static Stream<String> gpus() {
        return Plan.gpus().stream();
    }

    @ParameterizedTest
    @CsvSource({"0.8B,1593", "9B,16108", "27B,51820", "35B-A3B,6103", "397B-A17B,33168"})
    void bytesPerTokenAreThoseOfTheTable(String size, int megabytes) {
        assertThat(plan(size, "h100", 4_096, 1).stepBytes() * 1e-6)
                .isCloseTo(megabytes, within(0.5));
    }

    @ParameterizedTest
    @CsvSource({
        "0.8B,633,1125,2103,3013",
        "9B,63,111,208,298",
        "27B,19,35,65,93",
        "35B-A3B,165,294,549,786",
        "397B-A17B,30,54,101,145"
    })
    void floorsAreThoseOfTheTable(String size, int ada, int blackwell, int hopper, int larger) {
        List<String> names = List.of("4090", "5090", "h100", "h200");
        List<Integer> table = List.of(ada, blackwell, hopper, larger);
        for (int i = 0; i < names.size(); i++) {
            assertThat(plan(size, names.get(i), 4_096, 1).floorTokensPerSecond())
                    .isCloseTo(table.get(i), within(0.51));
        }
    }

    @ParameterizedTest
    @CsvSource({"9B,8,1508", "9B,32,4569", "9B,128,9274", "35B-A3B,8,1338", "35B-A3B,128,4542"})
    void batchedFloorsAreThoseOfTheTable(String size, int batch, int tokens) {
        assertThat(plan(size, "h100", 4_096, batch).floorTokensPerSecond())
                .isCloseTo(tokens, within(1.0));
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void launchesAreThoseOfThePipeline(String size) {
        ModelConfig config = KnownSizes.config(size);
        Sizes sizes = new Sizes(config);
        boolean dense = config.feedForward() instanceof FeedForwardConfig.Dense;
        int expected =
                sizes.deltaLayers() * (dense ? 5 : 6)
                        + sizes.attentionLayers() * (dense ? 6 : 7)
                        + 5;
        for (int batch : List.of(1, 4)) {
            assertThat(plan(size, "h100", 4_096, batch).launches()).isEqualTo(expected);
        }
        assertThat(plan(size, "h100", 4_096, 5).launches()).isGreaterThan(expected);
    }

    @ParameterizedTest
    @MethodSource("sizes")
    void kernelsReadLittleMoreThanTheFormula(String size) {
        Plan plan = plan(size, "h100", 4_096, 1);
        double most = size.equals("moe-small") ? 1.05 : 1.03;
        assertThat(plan.movedBytes() / plan.stepBytes()).isBetween(1.0, most);
    }

    @ParameterizedTest
    @MethodSource("gpus")
    void nothingIsFasterThanItsFloor(String gpu) {
        for (String size : KnownSizes.names()) {
            for (int batch : List.of(1, 3, 40)) {
                Plan plan = plan(size, gpu, 4_096, batch);
                assertThat(plan.decodeTokensPerSecond())
                        .isPositive()
                        .isLessThan(plan.floorTokensPerSecond());
                assertThat(plan.prefillTokensPerSecond())
                        .isPositive()
                        .isLessThan(plan.prefillFloorTokensPerSecond());
                Stream.concat(plan.decode().stream(), plan.prefill().stream())
                        .forEach(kernel -> {
                            assertThat(kernel.floorFraction())
                                    .as(kernel.name())
                                    .isBetween(0.0, 1.0);
                            assertThat(kernel.reason().isEmpty())
                                    .as(kernel.toString())
                                    .isNotEqualTo(kernel.belowTarget());
                        });
            }
        }
    }

    @Test
    void moreBandwidthIsNeverSlower() {
        Figures figures = Figures.load();
        Gpu slow = figures.gpu("h100");
        Gpu fast = figures.gpu("h200");
        for (String size : KnownSizes.names()) {
            Sizes sizes = new Sizes(KnownSizes.config(size));
            for (int rows : List.of(1, 100, 512, 8_192)) {
                assertNotSlower(slow, fast, PrefillStep.of(sizes, WeightForm.BF16, slow, rows, 0));
                assertNotSlower(
                        slow, fast, DecodeStep.of(sizes, WeightForm.BF16, slow, rows, 4_096));
            }
        }
    }

    private static void assertNotSlower(Gpu slow, Gpu fast, List<Launch> launches) {
        TimeModel before = new TimeModel(Figures.load(), slow);
        TimeModel after = new TimeModel(Figures.load(), fast);
        for (Launch launch : launches) {
            assertThat(after.time(launch).seconds())
                    .as(launch.toString())
                    .isLessThanOrEqualTo(before.time(launch).seconds());
        }
    }

    @Test
    void longerContextsAndShorterStepsCost() {
        double last = Double.POSITIVE_INFINITY;
        for (int context : List.of(1, 256, 4_096, 32_768, 262_144)) {
            double now = plan("9B", "5090", context, 1).decodeTokensPerSecond();
            assertThat(now).isLessThan(last);
            last = now;
        }
        ModelConfig config = KnownSizes.config("35B-A3B");
        Plan whole = Plan.of(config, "h100", new Request("x", 1, 1, 8_192, 8_192));
        Plan cut = Plan.of(config, "h100", new Request("x", 1, 1, 8_192, 512));
        assertThat(cut.steps()).isEqualTo(16);
        assertThat(cut.prefillTokensPerSecond()).isLessThan(whole.prefillTokensPerSecond());
    }

    /// 232 products of 4 / 0.64 cycles and 900 cycles beside them; 108 of 32 and 500.
    @Test
    void chunksOfTheScanTakeWhatTheirProductsTake() {
        assertThat(plan("35B-A3B", "h100", 4_096, 1).chunkCycles()).isEqualTo(2_350);
        assertThat(plan("35B-A3B", "5090", 4_096, 1).chunkCycles()).isEqualTo(3_956);
    }

    @ParameterizedTest
    @CsvSource({"2.5,128,47", "10,16,1.64", "64,64,1.47", "256,128,1.24", "256,16,1.03"})
    void lastTilesArePartlyEmpty(double mean, int height, double waste) {
        double rows = ExpertProducts.tilesOf(mean, height) * height;
        assertThat(rows / mean).isCloseTo(waste, within(0.01 * waste));
    }

    @Test
    void expertsAreTouchedAsOftenAsUniformRoutingSays() {
        FeedForwardConfig.Experts e = new FeedForwardConfig.Experts(256, 8, 512, 512);
        assertThat(Sizes.touched(e, 1)).isCloseTo(8, within(1e-9));
        assertThat(Sizes.touched(e, 16)).isCloseTo(102, within(0.5));
    }

    @ParameterizedTest
    @MethodSource("gpus")
    void aGpuIsFoundByItsNameAndItsRatesAgree(String name) {
        Gpu gpu = Figures.load().gpu(name);
        assertThat(gpu.name()).isEqualTo(name);
        assertThat(gpu.title().toLowerCase(java.util.Locale.ROOT).replace(" ", ""))
                .contains(name.replace("pro6000", "pro"));
        double rate = gpu.multiprocessors() * 4 * 4096 / gpu.mmaCycles() * gpu.clock();
        assertThat(rate / gpu.tensorFlops()).isBetween(0.98, 1.02);
    }

    @Test
    void spellingOfAGpuDoesNotMatter() {
        Figures figures = Figures.load();
        for (String spelling : List.of("4090", "RTX 4090", "rtx-4090")) {
            assertThat(figures.gpu(spelling).title()).isEqualTo("RTX 4090");
        }
        assertThatThrownBy(() -> figures.gpu("9999"))
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll("9999", "h100", "5090");
    }

    @Test
    void everyFigureHasASourceAndEveryKernelItsFigures() {
        Figures figures = Figures.load();
        assertThat(figures.general().lines()).allMatch(line -> line.matches(".+ .+: .{5,}"));
        Set<String> forms = new HashSet<>();
        for (String gpu : figures.gpus()) {
            for (String size : KnownSizes.names()) {
                Sizes sizes = new Sizes(KnownSizes.config(size));
                PrefillStep.of(sizes, WeightForm.BF16, figures.gpu(gpu), 4_096, 0)
                        .forEach(launch -> forms.add(launch.form()));
            }
        }
        assertThat(forms)
                .contains("delta_scan_c64_w2", "delta_scan_c32_w2", "gemm_128", "gemm_256");
        for (String form : forms) {
            boolean steps =
                    form.matches("(gemm|expert_gemm|attend_chunk|delta_[ps]|route_normed).*");
            assertThat(figures.kernel(form).mma() > 0).as(form).isEqualTo(steps);
        }
    }

    @Test
    void goalsOfTheCombinationAreEvaluated() {
        List<Goal> goals = plan("35B-A3B", "h100", 4_096, 1).goals();
        assertThat(goals).extracting(Goal::measure).contains("prefill", "call:route");
        assertThat(goals).allMatch(goal -> goal.predicted() > 0);
        assertThat(plan("9B", "h100", 4_096, 1).goals())
                .anySatisfy(goal -> {
                    assertThat(goal.measure()).isEqualTo("decode");
                    assertThat(goal.value()).isEqualTo(165);
                    assertThat(goal.reached()).isEqualTo(goal.predicted() >= 165);
                });
        assertThat(plan("9B", "h100", 4_096, 2).goals())
                .noneMatch(goal -> goal.measure().equals("decode"));
    }

    @Test
    void wrongNumbersAreRefused() {
        assertThatThrownBy(() -> new Request("x", 0, 1, 1, 1))
                .hasMessageContaining("--context is 0");
        assertThatThrownBy(() -> new Request("x", 1, -1, 1, 1))
                .hasMessageContaining("--batch is -1");
    }
}
