package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.vocabulary.TinyTokenizer;
import brantas.vocabulary.TokenizerFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Control tokens, odd input and decoding with a small tokenizer; the golden test has the rest.
class TokenizerTest {
    @TempDir private Path folder;
    private Tokenizer tokenizer;

    @BeforeEach
    void read() {
        TinyTokenizer.write(
                folder,
                "tokenizer_config.json",
                TinyTokenizer.CONFIG.getBytes(StandardCharsets.UTF_8));
        tokenizer = tokenizer(TinyTokenizer.json());
    }

    private Tokenizer tokenizer(String json) {
        return new Tokenizer(TokenizerFile.read(TinyTokenizer.write(folder, json)));
    }

    @Test
    void controlTokensOnlyWhereAskedFor() {
        assertThat(tokenizer.encode("a<|end|>>the<late>", true))
                .containsExactly('a', 264, 257, 266);
        assertThat(tokenizer.encode("<|end|>", false)).containsExactly("<|end|>".chars().toArray());
        assertThat(tokenizer.encode("<|end|>\u0338", true)).containsExactly(262, 0xCC, 0xB8);
        assertThat(tokenizer.encode("<|end|>\u0338", false)).endsWith(0xE2, 0x89, 0xAF);
    }

    @Test
    void normalisedTokensAreFoundAfterNormalisation() {
        Tokenizer normalized =
                tokenizer(
                        TinyTokenizer.json()
                                .replace(
                                        "\"content\": \"<think>\"",
                                        "\"normalized\": true, \"content\": \"caf\\u00e9\""));
        assertThat(normalized.encode("cafe\u0301<|end|>", true)).containsExactly(263, 262);
        assertThat(normalized.encode("café", false)).containsExactly('c', 'a', 'f', 0xC3, 0xA9);
    }

    @Test
    void withoutNormaliserTextStays() {
        Tokenizer plain = tokenizer(TinyTokenizer.json().replace("{\"type\": \"NFC\"}", "null"));
        assertThat(plain.encode("e\u0301", true)).containsExactly('e', 0xCC, 0x81);
        assertThat(tokenizer.encode("e\u0301", true)).containsExactly(0xC3, 0xA9);
    }

    @Test
    void otherPatternsRun() {
        Tokenizer halves = tokenizer(TinyTokenizer.json().replace(TinyTokenizer.PATTERN, "t|h"));
        assertThat(halves.encode("the", true)).containsExactly('t', 'h', 'e');
    }

    @Test
    void loneSurrogatesAreReplacementCharacters() {
        int[] expected = tokenizer.encode("a\uFFFDb\uFFFD", true);
        assertThat(tokenizer.encode("a\uD800b\uDC00", true)).containsExactly(expected);
        assertThat(tokenizer.encode("\uDC00\uD800", true)).hasSize(6);
    }

    @Test
    void tableOfIds() {
        assertThat(tokenizer.size()).isEqualTo(267);
        assertThat(IntStream.range(-2, 300).filter(tokenizer::has).count()).isEqualTo(266);
        assertThat(tokenizer.has(265)).isFalse();
        assertThat(tokenizer.id("<think>")).hasValue(263);
        assertThat(tokenizer.id("Ġthe")).hasValue(258);
        assertThat(tokenizer.id("<none>")).isEmpty();
        assertThat(tokenizer.bytes(263)).asString().isEqualTo("<think>");
        assertThat(tokenizer.bytes(265)).isEmpty();
        assertThat(tokenizer.special(263)).isFalse();
        assertThat(tokenizer.special(-5)).isFalse();
        assertThat(tokenizer.added(263)).isTrue();
        assertThat(tokenizer.added(258)).isFalse();
    }

    @Test
    void idsWithoutTokenAreSilent() {
        assertThat(tokenizer.decode(new int[] {'a', 265, -1, Integer.MAX_VALUE, 'b'}, false))
                .isEqualTo("ab");
    }

    @Test
    void specialTokensJoinTheBytesAroundThem() {
        int[] ids = {0xC3, 262, 0xA9, 263};
        assertThat(tokenizer.decode(ids, true)).isEqualTo("é<think>");
        assertThat(tokenizer.decode(ids, false)).isEqualTo("\uFFFD<|end|>\uFFFD<think>");
    }

    @Test
    void manyThreadsAgree() throws InterruptedException, ExecutionException {
        Tokenizer real = GoldenTokenizer.tokenizer();
        String text = "Many threads, one cache: naïve façade 中文 <|im_end|> 123 ".repeat(200);
        int[] expected = real.encode(text, true);
        try (var threads = Executors.newFixedThreadPool(4)) {
            List<Future<int[]>> results =
                    IntStream.range(0, 40)
                            .mapToObj(i -> threads.submit(() -> real.encode(text, true)))
                            .toList();
            for (Future<int[]> result : results) {
                assertThat(result.get()).containsExactly(expected);
            }
        }
    }
}
