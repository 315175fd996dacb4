package brantas.vocabulary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.fail;

import brantas.settings.BrantasException;
import brantas.token.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Damages small tokenizer files at random: each is read or refused with a [BrantasException], and
/// what is read works.
class TokenizerFuzzTest {
    private static final long SEED = 20260917;
    private static final int ROUNDS = 2000;
    private static final String[] VALUES = {
        "null",
        "true",
        "0",
        "-1",
        "1e9",
        "2097151",
        "\"\"",
        "\"a\"",
        "{}",
        "[]",
        "[[]]",
        "\"\\ud800\""
    };

    @TempDir private Path folder;

    @Test
    void onlyOneKindOfException() {
        Random random = new Random(SEED);
        int read = 0;
        for (int round = 0; round < ROUNDS; round++) {
            boolean config = random.nextInt(4) == 0;
            TinyTokenizer.write(folder, TinyTokenizer.json());
            byte[] whole =
                    (config ? TinyTokenizer.CONFIG : TinyTokenizer.json())
                            .getBytes(StandardCharsets.UTF_8);
            byte[] damaged = damage(whole, random);
            String name = config ? "tokenizer_config.json" : "tokenizer.json";
            TinyTokenizer.write(
                    folder,
                    "tokenizer_config.json",
                    TinyTokenizer.CONFIG.getBytes(StandardCharsets.UTF_8));
            TinyTokenizer.write(folder, name, damaged);
            try {
                Tokenizer tokenizer = new Tokenizer(TokenizerFile.read(folder));
                String text = "the <|end|> aaaaa xyz 7 é";
                assertThat(tokenizer.decode(tokenizer.encode(text, false), false)).isEqualTo(text);
                read++;
            } catch (BrantasException e) {
                assertThat(e.getMessage()).endsWith(".").doesNotContain("\n");
            } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
                fail("seed " + SEED + ", round " + round + ", " + name, e);
            }
        }
        assertThat(read).as("damage that does no harm").isBetween(20, ROUNDS - 500);
    }

    private static byte[] damage(byte[] whole, Random random) {
        int at = random.nextInt(whole.length);
        return switch (random.nextInt(4)) {
            case 0 -> java.util.Arrays.copyOf(whole, at);
            case 1 -> {
                byte[] copy = whole.clone();
                for (int i = 0; i <= random.nextInt(4); i++) {
                    copy[random.nextInt(copy.length)] ^= (byte) (1 << random.nextInt(8));
                }
                yield copy;
            }
            case 2 -> {
                byte[] copy = whole.clone();
                copy[at] = (byte) "{}[]\",:0 \\".charAt(random.nextInt(10));
                yield copy;
            }
            default -> swapValue(whole, at, random);
        };
    }

    /// Replaces what follows the colon or comma after `at`, up to the next comma or bracket.
    private static byte[] swapValue(byte[] whole, int at, Random random) {
        String text = new String(whole, StandardCharsets.UTF_8);
        int start = Math.min(at, text.length() - 1);
        while (start < text.length() && ":,[".indexOf(text.charAt(start)) < 0) {
            start++;
        }
        int end = Math.min(start + 1, text.length());
        while (end < text.length() && ",]}".indexOf(text.charAt(end)) < 0) {
            end++;
        }
        String value = VALUES[random.nextInt(VALUES.length)];
        String changed =
                text.substring(0, Math.min(start + 1, text.length())) + value + text.substring(end);
        return changed.getBytes(StandardCharsets.UTF_8);
    }
}
