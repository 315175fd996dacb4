package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What `bench` and `selftest` tell of a GPU, on the emulated device: everything but the times.
class BenchOnGpuTest {
    private static final List<String> CASE_KEYS =
            List.of(
                    "phase",
                    "kernel",
                    "purpose",
                    "shape",
                    "microseconds",
                    "microseconds_min",
                    "repeats",
                    "launches_per_graph",
                    "copies",
                    "bytes",
                    "flops",
                    "gb_per_second",
                    "tflops",
                    "floor_microseconds",
                    "floor_of",
                    "floor_fraction",
                    "emulated",
                    "meaningful");

    @TempDir Path folder;

    private static List<Map<String, @Nullable Object>> spans(
            List<Map<String, @Nullable Object>> events, long process, long lane) {
        return events.stream()
                .filter(e -> "X".equals(e.get("ph")))
                .filter(e -> Objects.equals(e.get("pid"), process))
                .filter(e -> Objects.equals(e.get("tid"), lane))
                .toList();
    }

    @Test
    void aProfileIsATraceOfBothSteps() {
        Path file = folder.resolve("trace.json");
        String[] line =
                "bench --backend cuda --prompt-tokens 5 --profile".concat(" " + file).split(" ");
        assertThat(Door.run(line).fine().out()).contains("decode step", "prefill step");
        Map<String, @Nullable Object> trace = Door.object(Json.file(file));
        assertThat(trace).containsEntry("emulated", true).containsEntry("prompt_tokens", 5L);
        List<Map<String, @Nullable Object>> events =
                Json.objects("traceEvents", trace.get("traceEvents"));
        assertThat(events.stream().filter(e -> "thread_name".equals(e.get("name")))).hasSize(8);
        for (long process = 1; process <= 2; process++) {
            List<Map<String, @Nullable Object>> kernels = spans(events, process, 0);
            assertThat(kernels).hasSizeGreaterThan(30);
            assertThat(kernels.getFirst()).containsEntry("name", "embed");
            assertThat(kernels.getLast()).containsEntry("name", "sample");
            double end = 0;
            for (Map<String, @Nullable Object> kernel : kernels) {
                assertThat(number(kernel, "ts")).isGreaterThanOrEqualTo(end);
                assertThat(number(kernel, "dur")).isPositive();
                end = number(kernel, "ts") + number(kernel, "dur");
            }
            assertThat(spans(events, process, 1)).hasSize(kernels.size() - 1);
            List<String> host =
                    spans(events, process, 3).stream().map(e -> "" + e.get("name")).toList();
            assertThat(host).startsWith("upload", "launch embed").contains("download");
            assertThat(host.stream().filter(name -> name.startsWith("launch ")))
                    .hasSize(kernels.size());
        }
    }

    private static double number(Map<String, @Nullable Object> event, String key) {
        return Json.number(key, event.get(key));
    }

    @Test
    void processorsHaveNoProfile() {
        String file = folder.resolve("trace.json").toString();
        Door.run("bench", "--backend", "simd", "--profile", file).refused("simd", "--backend cuda");
        assertThat(folder.resolve("trace.json")).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({
        "35B-A3B, expert_gemv_up expert_gemm_down route delta_step attend_step gemv_norm_f32",
        "9B, gemv_norm_swiglu gemm_swiglu gemv_gated_add delta_scan attend_chunk sample"
    })
    void kernelsAreOneObjectEach(String size, String some) {
        Door door = Door.run("bench", "--backend", "cuda", "--kernels", "--model", size, "--json");
        Map<String, @Nullable Object> all = door.fine().objects().getFirst();
        assertThat(all)
                .containsEntry("model", size)
                .containsEntry("emulated", true)
                .containsEntry("meaningful", false);
        List<Map<String, @Nullable Object>> cases = Json.objects("cases", all.get("cases"));
        Set<String> names = new HashSet<>();
        Set<String> kernels = new HashSet<>();
        for (Map<String, @Nullable Object> c : cases) {
            assertThat(c.keySet()).containsExactlyElementsOf(CASE_KEYS);
            assertThat(c).containsEntry("emulated", true).containsEntry("meaningful", false);
            assertThat(number(c, "microseconds")).isPositive();
            assertThat(number(c, "bytes")).isPositive();
            assertThat(c.get("floor_fraction")).isNull();
            kernels.add(String.valueOf(c.get("kernel")));
            names.add(c.get("phase") + " " + c.get("kernel") + c.get("purpose") + c.get("shape"));
        }
        assertThat(names).hasSameSizeAs(cases);
        assertThat(kernels).contains(some.split(" "));
    }

    @Test
    void sizesAndStepsThatAreNotThereAreRefused() {
        Door.run("bench", "--backend", "cuda", "--kernels", "--model", "10T").refused("10T");
        Door.run("bench", "--backend", "plain", "--kernels").refused("plain", "--backend cuda");
        Door.run("selftest", "frob", "--into", folder.toString()).refused("frob");
    }

    @ParameterizedTest
    @CsvSource({"load", "gaps", "copy"})
    void stepsLeaveWhatTheyFound(String step) {
        Door.run("selftest", step, "--into", folder.toString()).fine();
        Map<String, @Nullable Object> left = Door.object(Json.file(folder.resolve(step + ".json")));
        assertThat(left).containsEntry("emulated", true);
        assertThat(String.valueOf(left.get("kernel_image_sha256"))).matches("[0-9a-f]{64}");
        assertThat(Json.objects("findings", left.get("findings")))
                .isNotEmpty()
                .allSatisfy(f -> assertThat(f).containsEntry("passed", true));
        assertThat(Files.exists(folder.resolve(step + ".json.part"))).isFalse();
    }
}
