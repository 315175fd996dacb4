package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// The real vocabulary against ids and texts of the reference tokenizer, one test per case.
class TokenizerGoldenTest {
    private final Tokenizer tokenizer = GoldenTokenizer.tokenizer();

    @TestFactory
    Stream<DynamicTest> cases() {
        return each("cases.json", this::checkCase);
    }

    @TestFactory
    Stream<DynamicTest> streams() {
        return each("stream.json", this::checkStream);
    }

    private static Stream<DynamicTest> each(
            String file, java.util.function.BiConsumer<String, JsonNode> check) {
        return StreamSupport.stream(GoldenTokenizer.read(file).spliterator(), false)
                .map(node -> {
                    String name = node.get("name").asText();
                    return DynamicTest.dynamicTest(name, () -> check.accept(name, node));
                });
    }

    private void checkCase(String name, JsonNode node) {
        String text = node.get("text").asText();
        int[] ids = ids(node.get("ids"));
        assertThat(tokenizer.encode(text, true)).as("%s: ids", name).containsExactly(ids);
        assertThat(tokenizer.encode(text, false))
                .as("%s: ids without control tokens", name)
                .containsExactly(ids(node.get("ids_without_control")));
        assertThat(tokenizer.decode(ids, false))
                .as("%s: decoded", name)
                .isEqualTo(node.get("decoded").asText());
        assertThat(tokenizer.decode(ids, true))
                .as("%s: decoded without special tokens", name)
                .isEqualTo(node.get("decoded_skip_special").asText());
    }

    private void checkStream(String name, JsonNode node) {
        int[] ids = ids(node.get("ids"));
        for (boolean skip : new boolean[] {false, true}) {
            String suffix = skip ? "_skip_special" : "";
            Detokenizer detokenizer = tokenizer.detokenizer(skip);
            List<String> pieces = new ArrayList<>();
            for (int id : ids) {
                pieces.add(detokenizer.next(id));
            }
            List<String> expected = new ArrayList<>();
            node.get("pieces" + suffix).forEach(piece -> expected.add(piece.asText()));
            assertThat(pieces).as("%s: pieces%s", name, suffix).isEqualTo(expected);
            String flush = detokenizer.flush();
            assertThat(flush)
                    .as("%s: flush%s", name, suffix)
                    .isEqualTo(node.get("flush" + suffix).asText());
            assertThat(String.join("", pieces) + flush)
                    .as("%s: whole%s", name, suffix)
                    .isEqualTo(tokenizer.decode(ids, skip));
        }
    }

    @Test
    void tableOfIds() {
        assertThat(tokenizer.size()).isEqualTo(248_077);
        assertThat(tokenizer.id("<|im_end|>")).hasValue(248_046);
        assertThat(tokenizer.id("<|audio_end|>")).hasValue(248_071);
        assertThat(tokenizer.has(248_076)).isTrue();
        assertThat(tokenizer.has(248_077)).isFalse();
        assertThat(tokenizer.special(248_046)).isTrue();
        assertThat(tokenizer.special(248_068)).isFalse();
        assertThat(tokenizer.added(248_068)).isTrue();
        assertThat(tokenizer.added(248_043)).isFalse();
    }

    private static int[] ids(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
    }
}
