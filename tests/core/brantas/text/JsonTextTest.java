package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// One JSON value from a short text: the grammar, its bounds, and noise.
class JsonTextTest {
    private static @Nullable Object value(String text) {
        return JsonText.parse(text).orElseThrow().value();
    }

    @Test
    void readsEveryKindOfValue() {
        assertThat(value(" null ")).isNull();
        assertThat(value("true")).isEqualTo(true);
        assertThat(value("false")).isEqualTo(false);
        assertThat(value("-0")).isEqualTo(0L);
        assertThat(value("9223372036854775807")).isEqualTo(Long.MAX_VALUE);
        assertThat(value("-9223372036854775809")).isEqualTo(new BigInteger("-9223372036854775809"));
        assertThat(value("1.5E-2")).isEqualTo(0.015);
        assertThat(value("\"a\\u00e9\\n\\\"\\/\\\\ \\ud83d\\ude00\""))
                .isEqualTo("aé\n\"/\\ \uD83D\uDE00");
        assertThat(value("[ ]")).isEqualTo(List.of());
        assertThat(value("[1,[null]]")).isEqualTo(List.of(1L, Arrays.asList((Object) null)));
        Object object = value("{\"b\": 1, \"a\": {}, \"b\": 2}");
        assertThat(object).isEqualTo(Map.of("b", 2L, "a", Map.of()));
        assertThat(String.valueOf(object)).isEqualTo("{b=2, a={}}");
    }

    @Test
    void refusesWhatIsNoJson() {
        String[] texts = {
            "",
            " ",
            "nul",
            "nulll",
            "True",
            "None",
            "'a'",
            "\"a",
            "\"a\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u１234\"",
            "\"a\nb\"",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "NaN",
            "1 2",
            "[",
            "[1",
            "[1,]",
            "[,]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "]",
            "1e999",
            "\u00a01",
            "1".repeat(JsonText.MOST_DIGITS + 1)
        };
        for (String text : texts) {
            assertThat(JsonText.parse(text)).as(text).isEmpty();
        }
    }

    @Test
    void tolerantTakesPythonSpelling() {
        assertThat(JsonText.parseTolerant("{'a': [True, False, None,], \"b\": 'x\ny',}"))
                .hasValueSatisfying(v ->
                        assertThat(v.value())
                                .isEqualTo(
                                        Map.of(
                                                "a",
                                                Arrays.asList(true, false, null),
                                                "b",
                                                "x\ny")));
        assertThat(JsonText.parseTolerant("[1,,]")).isEmpty();
        assertThat(JsonText.parseTolerant("(1, 2)")).isEmpty();
    }

    @Test
    void depthAndSizeAreBounded() {
        int most = JsonText.MOST_DEPTH + 1;
        assertThat(JsonText.parse("[".repeat(most) + "]".repeat(most))).isPresent();
        assertThat(JsonText.parse("[".repeat(most + 1) + "]".repeat(most + 1))).isEmpty();
        assertThat(JsonText.parse("[".repeat(5_000_000))).isEmpty();
        assertThat(JsonText.parse(" ".repeat(JsonText.MOST_CHARS) + "1")).isEmpty();
    }

    @Test
    void noiseIsNeverAnError() {
        String alphabet = "[]{},:\"'\\u0015eE+-.tfnTFNrueals \n";
        long seed = 77;
        Random random = new Random(seed);
        for (int round = 0; round < 50_000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(24); i >= 0; i--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            String noise = text.toString();
            boolean strict = JsonText.parse(noise).isPresent();
            assertThat(JsonText.parseTolerant(noise).isPresent() || !strict)
                    .as("seed %d, text %s", seed, noise)
                    .isTrue();
        }
    }
}
