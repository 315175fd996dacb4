package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.format.FeedForwardConfig.Experts;
import brantas.format.WeightNames.Expected;
import brantas.settings.BrantasException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The table of tensors against the published parameter counts.
class WeightNamesTest {
    @ParameterizedTest
    @CsvSource({
        "0.8B, 0.7524, 0.0205, 0.1006, 0.8734",
        "2B, 1.8818, 0.0608, 0.3314, 2.2741",
        "4B, 4.2058, 0.1206, 0.3335, 4.6599",
        "9B, 8.9538, 0.2433, 0.4560, 9.6531",
        "27B, 26.8960, 0.4247, 0.4607, 27.7814",
        "35B-A3B, 34.6606, 0.8446, 0.4466, 35.9518",
        "122B-A10B, 122.1115, 2.5237, 0.4513, 125.0865",
        "397B-A17B, 396.3464, 6.5956, 0.4560, 403.3979",
    })
    void parameterCountsAreThePublishedOnes(
            String size, String text, String mtp, String vision, String total) {
        ModelConfig config = KnownSizes.config(size);
        assertThat(billions(WeightNames.text(config))).as("text").isEqualTo(text);
        assertThat(billions(WeightNames.mtp(config))).as("mtp").isEqualTo(mtp);
        assertThat(billions(WeightNames.vision(config))).as("vision").isEqualTo(vision);
        assertThat(billions(WeightNames.all(config))).as("total").isEqualTo(total);
    }

    @Test
    void theLargestDenseModelIsExactToTheByte() {
        ModelConfig config = KnownSizes.config("27B");
        List<Expected> all = WeightNames.all(config);
        assertThat(count(all)).isEqualTo(27_781_427_952L);
        long wide =
                count(
                        all.stream()
                                .filter(e ->
                                        e.name().endsWith("A_log")
                                                || e.name().endsWith("attn.norm.weight"))
                                .toList());
        assertThat(2 * count(all) + 2 * wide).isEqualTo(55_562_872_800L);
        assertThat(WeightNames.text(config)).hasSize(851);
    }

    @Test
    void expertModelHasTheListedShapes() {
        List<String> rows =
                WeightNames.text(KnownSizes.config("35B-A3B")).stream()
                        .map(e -> e.name() + Arrays.toString(e.shape()))
                        .toList();
        String first = "model.language_model.layers.0.";
        String fourth = "model.language_model.layers.3.";
        assertThat(rows)
                .contains(
                        fourth + "self_attn.q_proj.weight[8192, 2048]",
                        fourth + "self_attn.k_proj.weight[512, 2048]",
                        fourth + "self_attn.o_proj.weight[2048, 4096]",
                        first + "linear_attn.in_proj_qkv.weight[8192, 2048]",
                        first + "linear_attn.in_proj_z.weight[4096, 2048]",
                        first + "linear_attn.in_proj_a.weight[32, 2048]",
                        first + "linear_attn.conv1d.weight[8192, 1, 4]",
                        first + "linear_attn.out_proj.weight[2048, 4096]",
                        first + "mlp.gate.weight[256, 2048]",
                        first + "mlp.experts.gate_up_proj[256, 1024, 2048]",
                        first + "mlp.experts.down_proj[256, 2048, 512]",
                        "lm_head.weight[248320, 2048]");
    }

    @Test
    void noNameOccursTwice() {
        for (String size : KnownSizes.names()) {
            List<String> names =
                    WeightNames.all(KnownSizes.config(size)).stream().map(Expected::name).toList();
            assertThat(new HashSet<>(names)).as(size).hasSameSizeAs(names);
        }
    }

    @Test
    void smallExpertModelIsAsDescribed() {
        ModelConfig config = KnownSizes.config("moe-small");
        assertThat(config.layers()).isEqualTo(8);
        assertThat(config.feedForward()).isEqualTo(new Experts(64, 8, 512, 512));
        assertThat(config.tied()).isTrue();
        assertThat(config.vision()).isEmpty();
    }

    @Test
    void unknownSizeNamesTheKnownOnes() {
        assertThatThrownBy(() -> KnownSizes.config("5B"))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("\"5B\"")
                .hasMessageContaining("35B-A3B");
    }

    private static String billions(List<Expected> rows) {
        return String.format(Locale.ROOT, "%.4f", count(rows) / 1e9);
    }

    private static long count(List<Expected> rows) {
        return rows.stream().mapToLong(Expected::elements).sum();
    }
}
