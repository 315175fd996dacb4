package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// `brantas predict` as programs and as people read it.
class PredictCommandTest {
    private static Map<String, @Nullable Object> json(String... arguments) {
        String[] all = new String[arguments.length + 2];
        all[0] = "predict";
        all[1] = "--json";
        System.arraycopy(arguments, 0, all, 2, arguments.length);
        return Door.run(all).fine().objects().getFirst();
    }

    private static double number(Map<String, @Nullable Object> row, String key) {
        return Json.number(key, row.get(key));
    }

    private static List<Map<String, @Nullable Object>> kernels(Map<String, @Nullable Object> all) {
        return Json.objects("kernels", all.get("kernels"));
    }

    @Test
    void jsonHasWhatProgramsAskFor() {
        Map<String, @Nullable Object> all = json("--model", "35B-A3B", "--gpu", "h100");
        assertThat(all)
                .containsEntry("model", "35B-A3B")
                .containsEntry("gpu", "h100")
                .containsEntry("context", 4_096L)
                .containsEntry("batch", 1L)
                .containsEntry("fits", true)
                .containsKeys("prompt", "chunk", "serial_cycles_per_chunk", "goals", "weights");
        assertThat(number(all, "bytes_per_token")).isCloseTo(6_103e6, within(0.5e6));
        assertThat(number(all, "floor_tokens_per_second")).isCloseTo(549, within(0.5));
        assertThat(number(all, "decode_tokens_per_second")).isBetween(100.0, 549.0);
        assertThat(number(all, "prefill_tokens_per_second")).isBetween(10_000.0, 173_000.0);
        assertThat(number(all, "launches_per_token")).isEqualTo(255);
        assertThat((List<?>) all.get("assumptions")).isNotEmpty();
    }

    @Test
    void kernelsAddUpToTheStep() {
        Map<String, @Nullable Object> all = json("--model", "9B", "--gpu", "5090");
        double micros = number(all, "host_microseconds");
        double calls = 0;
        double bytes = 0;
        for (Map<String, @Nullable Object> k : kernels(all)) {
            assertThat(k)
                    .containsKeys("phase", "name", "purpose", "calls", "flops", "reason")
                    .containsEntry("below_target", number(k, "floor_fraction") < 0.7);
            if ("decode".equals(k.get("phase"))) {
                micros += number(k, "microseconds");
                calls += number(k, "calls");
                bytes += number(k, "bytes");
            }
        }
        assertThat(1e6 / micros).isCloseTo(number(all, "decode_tokens_per_second"), within(1e-6));
        assertThat(calls).isEqualTo(number(all, "launches_per_token"));
        assertThat(bytes / number(all, "bytes_per_token")).isBetween(1.0, 1.03);
    }

    @Test
    void aFolderIsAsGoodAsAName() {
        Map<String, @Nullable Object> all =
                json("--model", Door.demo().toString(), "--gpu", "RTX 4090", "--batch", "2");
        assertThat(all).containsEntry("gpu", "4090").containsEntry("batch", 2L);
        assertThat(number(all, "decode_tokens_per_second")).isPositive();
    }

    @Test
    void peopleSeeTablesAndWhatDoesNotFit() {
        String small = Door.run("predict", "--model", "9B", "--gpu", "h100").fine().out();
        assertThat(small)
                .contains("H100 SXM", "gemv_norm_bf16", "delta_scan", "floor", "goals", "≥ 165")
                .doesNotContain("does not fit", "bandwidth_fraction");
        String large =
                Door.run("predict", "--model", "27B", "--gpu", "4090", "--assumptions")
                        .fine()
                        .out();
        assertThat(large).contains("does not fit", "bandwidth_fraction 0.9: published");
    }
}
