package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GenerationConfigTest {
    @TempDir Path folder;

    private GenerationConfig read(String json) throws IOException {
        Files.writeString(folder.resolve("generation_config.json"), json);
        return GenerationConfig.read(folder);
    }

    @Test
    void statedValuesAreReadAndOthersStayAbsent() throws IOException {
        GenerationConfig g =
                read(
                        """
                        {"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
                         "eos_token_id": [248046, 248044], "transformers_version": "5"}
                        """);
        assertThat(g.doSample()).contains(true);
        assertThat(g.temperature()).contains(0.6);
        assertThat(g.topK()).contains(20);
        assertThat(g.topP()).contains(0.95);
        assertThat(g.minP()).isEmpty();
        assertThat(g.repetitionPenalty()).isEmpty();
        assertThat(g.eosIds()).containsExactly(248_046, 248_044);
        assertThat(read("{\"eos_token_id\": 5, \"top_k\": null, \"min_p\": 0.1}"))
                .isEqualTo(withMinP());
    }

    private static GenerationConfig withMinP() {
        GenerationConfig e = GenerationConfig.empty();
        return new GenerationConfig(
                e.doSample(),
                e.temperature(),
                e.topK(),
                e.topP(),
                Optional.of(0.1),
                e.repetitionPenalty(),
                e.presencePenalty(),
                e.frequencyPenalty(),
                List.of(5));
    }

    @Test
    void absentFileStatesNothing() {
        assertThat(GenerationConfig.read(folder)).isEqualTo(GenerationConfig.empty());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"do_sample\": 1",
                "\"temperature\": -0.1",
                "\"temperature\": \"1\"",
                "\"top_k\": 1.5",
                "\"top_k\": -1",
                "\"top_p\": 0",
                "\"top_p\": 1.01",
                "\"min_p\": 2",
                "\"repetition_penalty\": 0",
                "\"presence_penalty\": 3",
                "\"frequency_penalty\": -3",
                "\"eos_token_id\": \"x\""
            })
    void senselessValuesAreNamed(String member) {
        assertThatThrownBy(() -> read("{" + member + "}"))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("generation_config.json")
                .hasMessageContaining(member.substring(1, member.indexOf('"', 1)));
    }
}
