package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import java.text.Normalizer;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Normal form C as of Unicode 9.0: the JDK's where the characters are that old, nothing where they
/// are newer, and no quadratic time on marks.
class NfcTest {
    private static final long SEED = 9;
    // Characters of Unicode 9.0 that compose, decompose, reorder, or do none of it.
    private static final int[] OLD = {
        'a', 'e', ' ', 0xE9, 0x300, 0x301, 0x323, 0x327, 0x338, 0x344, 0x345, 0x34F, 0x1E69, 0x3B1,
        0x6D2, 0x654, 0x9C7, 0x9BE, 0x9D7, 0x9CD, 0xDD9, 0xDCF, 0xDCA, 0xF71, 0xF72, 0xF73, 0xF81,
        0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01, 0x304B, 0x3099, 0x309A, 0x4E2D, 0xFA0E, 0xF900,
        0x212B, 0x2ADC, 0x1D15E, 0x1D165, 0x1D16E, 0x11099, 0x110BA, 0x2F800, 0x1F600, 0x20D0
    };

    private static String text(Random random, int[] alphabet, int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.appendCodePoint(alphabet[random.nextInt(alphabet.length)]);
        }
        return text.toString();
    }

    private static String jdk(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFC);
    }

    @Test
    void oldCharactersAreNormalisedAsByTheJdk() {
        Random random = new Random(SEED);
        for (int round = 0; round < 20_000; round++) {
            String text = text(random, OLD, random.nextInt(12));
            assertThat(Nfc.of(text)).as("seed %s, round %s", SEED, round).isEqualTo(jdk(text));
        }
    }

    @Test
    void longRunsOfMarksAreNormalisedAsByTheJdk() {
        Random random = new Random(SEED);
        int[] marks = new int[200];
        for (int round = 0; round < 300; round++) {
            for (int i = 0; i < marks.length; i++) {
                marks[i] =
                        i % 9 == 0 ? OLD[random.nextInt(OLD.length)] : 0x300 + random.nextInt(0x70);
            }
            int[] few = {marks[1], 0x301, 0xF73, 0x344, 0x323, 0x1D165, 0x345, 0x93C};
            int[] alphabet = round % 2 == 0 ? marks : few;
            String text =
                    text(random, OLD, 3) + text(random, alphabet, 30 + random.nextInt(300)) + "é";
            assertThat(Nfc.of(text)).as("seed %s, round %s", SEED, round).isEqualTo(jdk(text));
        }
    }

    @Test
    void onlyNewerMarksDifferFromTheJdk() {
        for (int c = 0x300; c < 0x3000; c++) {
            String text = "a" + Character.toString(c) + "\u0323";
            String found = Nfc.of(text);
            // Newer marks stay where they are, which is the only way to differ.
            if (!found.equals(jdk(text))) {
                assertThat(found).as("code point %x", c).isEqualTo(text);
                assertThat(CharClass.of(c)).isEqualTo(CharClass.MARK);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "\u09FE\u0323",
        "a\u1DF6\u0323",
        "\uD805\uDD35\uD805\uDD30",
        "\uD801\uDDD2\u0307",
        "a\u0898\u0316",
        "\u0C3C\u0C4D",
        "a\uD803\uDEAB\u0323"
    })
    void laterCharactersStay(String text) {
        assertThat(Nfc.of(text)).isSameAs(text);
    }

    @Test
    void whatLiesAroundLaterCharactersIsNormalised() {
        assertThat(Nfc.of("e\u0301\u09FEe\u0301\u0323")).isEqualTo("\u00E9\u09FE\u1EB9\u0301");
    }

    @Test
    void normalTextIsTheSameObject() {
        for (String text : new String[] {"", "plain", "déjà vu", "中文かな", "\uD83D\uDE00"}) {
            assertThat(Nfc.of(text)).isSameAs(text);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\u0301\u0323",
                "\u0F73",
                "\u0344",
                "\u3099",
                "\u09BE",
                "a\u0301",
                "\u1161",
                "\u1100\u1161\u11A8",
                "\u09FE\u0301",
                "\u034F\u0301\u0323"
            })
    void longRunsTakeLinearTime(String unit) {
        String text = "a" + unit.repeat(1_000_000);
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(15), () -> assertThat(Nfc.of(text)).isNotEmpty());
    }
}
