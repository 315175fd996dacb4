package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RandomCheckpointTest {
    @TempDir Path folder;

    private ModelConfig tiny() throws IOException {
        return ModelConfig.read(
                TinyCheckpoint.writeConfig(
                        folder, TinyCheckpoint.withExperts(TinyCheckpoint.config())));
    }

    @Test
    void everyTensorIsThereAndFits() throws IOException {
        try (RandomCheckpoint random = RandomCheckpoint.create("tiny", tiny(), 1, Progress.NONE)) {
            WeightNames.check(random);
            assertThat(random.tensors()).hasSize(WeightNames.all(tiny()).size());
            assertThat(random.tensor("model.language_model.layers.0.linear_attn.A_log").dtype())
                    .isEqualTo(DType.F32);
        }
    }

    @Test
    void sameSeedSameBytes() throws IOException {
        var tree = TinyCheckpoint.config();
        TinyCheckpoint.text(tree).put("vocab_size", 300_001);
        ModelConfig config = ModelConfig.read(TinyCheckpoint.writeConfig(folder, tree));
        String name = "lm_head.weight";
        String other = "model.language_model.embed_tokens.weight";
        try (RandomCheckpoint one = RandomCheckpoint.create("one", config, 5, Progress.NONE);
                RandomCheckpoint two = RandomCheckpoint.create("two", config, 5, Progress.NONE);
                RandomCheckpoint six = RandomCheckpoint.create("six", config, 6, Progress.NONE)) {
            HostTensor head = one.tensor(name);
            assertThat(head.data().mismatch(two.tensor(name).data())).isEqualTo(-1);
            assertThat(head.data().mismatch(one.tensor(other).data())).isNotEqualTo(-1);
            assertThat(head.data().mismatch(six.tensor(name).data())).isNotEqualTo(-1);
            assertThat(head.data().asSlice(0, 1 << 20).mismatch(head.data().asSlice(1 << 20)))
                    .as("blocks differ")
                    .isNotEqualTo(1 << 20);
            assertThat(head.at(head.elements() - 1)).isNotZero();
        }
    }

    @Test
    void valuesHaveTheIntendedSpread() throws IOException {
        try (RandomCheckpoint random = RandomCheckpoint.create("tiny", tiny(), 3, Progress.NONE)) {
            HostTensor positions = random.tensor("model.visual.patch_embed.proj.weight");
            double sum = 0;
            double squares = 0;
            for (float v : positions.toFloats()) {
                sum += v;
                squares += (double) v * v;
            }
            long n = positions.elements();
            assertThat(sum / n).isCloseTo(0, within(0.003));
            assertThat(Math.sqrt(squares / n)).isCloseTo(0.02, within(0.003));
            for (float v : random.tensor("model.visual.merger.norm.weight").toFloats()) {
                assertThat(v).isBetween(0.8f, 1.2f);
            }
            for (String name : random.tensors().sequencedKeySet()) {
                for (float v : random.tensor(name).toFloats()) {
                    assertThat(v).as(name).isFinite().isBetween(-16f, 6f);
                }
            }
        }
    }

    @Test
    void sizesBeyondTheMachineAreRefused() {
        assertThatThrownBy(() -> RandomCheckpoint.create("huge", absurd(), 1, Progress.NONE))
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll("huge", "GiB", "smaller size");
    }

    private ModelConfig absurd() throws IOException {
        var config = TinyCheckpoint.config();
        TinyCheckpoint.text(config).put("hidden_size", 1 << 20).put("vocab_size", 1 << 24);
        config.remove("vision_config");
        return ModelConfig.read(TinyCheckpoint.writeConfig(folder, config));
    }
}
