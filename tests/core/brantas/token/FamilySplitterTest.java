package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The scanner against the pattern it stands for, run by the JDK.
class FamilySplitterTest {
    private static final long SEED = 41;
    private static final String[] HOSTILE = {
        "'",
        "s",
        "S",
        "ſ",
        "t",
        "re",
        "VE",
        "l",
        "L",
        "d",
        "m",
        " ",
        " ",
        "  ",
        "\n",
        "\r",
        "\t",
        "\u00A0",
        "\u3000",
        "\u2028",
        "\u0085",
        "\u001C",
        "\u000B",
        "\u200B",
        "7",
        "²",
        "٣",
        "a",
        "é",
        "ß",
        "中",
        "ǅ",
        "\u0301",
        "\u0903",
        "\u20DD",
        "!",
        "-",
        "€",
        "\uD83D\uDE00",
        "\uD835\uDC00",
        "\uD834\uDD65",
        "\u0378",
        "\uFFFD",
        "\u212A",
        "\u0000"
    };

    private final Splitter scanner = new FamilySplitter();
    private final Splitter regex = new RegexSplitter(FamilySplitter.PATTERN);

    private static List<String> pieces(Splitter splitter, String text) {
        List<String> pieces = new ArrayList<>();
        splitter.split(text, (whole, start, end) -> pieces.add(whole.substring(start, end)));
        return pieces;
    }

    @Test
    void thePatternChoosesTheScanner() {
        assertThat(Splitter.of(FamilySplitter.PATTERN)).isInstanceOf(FamilySplitter.class);
        assertThat(Splitter.of(FamilySplitter.PATTERN + "+")).isInstanceOf(RegexSplitter.class);
    }

    @Test
    void knownPieces() {
        assertThat(pieces(scanner, "It's  12 o'clock,\n\n  you'LL  see \n x"))
                .containsExactly(
                        "It", "'s", " ", " ", "1", "2", " o", "'clock", ",\n\n", " ", " you", "'LL",
                        " ", " see", " \n", " x");
    }

    @Test
    void randomTextsSplitAlike() {
        Random random = new Random(SEED);
        for (int round = 0; round < 20_000; round++) {
            StringBuilder text = new StringBuilder();
            int length = random.nextInt(24);
            for (int i = 0; i < length; i++) {
                text.append(HOSTILE[random.nextInt(HOSTILE.length)]);
            }
            assertThat(pieces(scanner, text.toString()))
                    .as("seed %s, round %s, text %s", SEED, round, text)
                    .isEqualTo(pieces(regex, text.toString()));
        }
    }

    @Test
    void everyCodePointSplitsAlike() {
        for (int c = 0; c < 0x40000; c++) {
            if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                continue;
            }
            String one = Character.toString(c);
            String text = one + "a" + one + one + " " + one + "!" + one + "7'" + one + "\n" + one;
            List<String> expected = pieces(regex, text);
            List<String> found = pieces(scanner, text);
            if (!found.equals(expected)) {
                assertThat(found).as("code point %x", c).isEqualTo(expected);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a", " ", "\n ", " \n", "'", "' ", "7", "=", "\u0301", " \u0301", "=\n", "'l"
            })
    void longRunsAreLinear(String unit) {
        String text = unit.repeat(10_000_000 / unit.length());
        long[] covered = new long[1];
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(10),
                () -> scanner.split(text, (whole, start, end) -> covered[0] += end - start));
        assertThat(covered[0]).isEqualTo(text.length());
    }
}
