package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.vocabulary.TinyTokenizer;
import brantas.vocabulary.TokenizerFile;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Random bytes against the Unicode recommendation as it is worded: one U+FFFD for each longest
/// part that could have begun a character. The JDK's own replacement is not it (it makes one of an
/// encoded surrogate), so only its strict decoder is used here.
class DetokenizerTest {
    private static final long SEED = 12;
    private static final int[] LIKELY = {
        0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xE1, 0xED, 0xF0, 0xF1, 0xF4,
        0xF5
    };
    private static final byte[] CONTINUATIONS = {(byte) 0x80, (byte) 0x90, (byte) 0xA0};

    @TempDir private Path folder;

    private static boolean isCharacter(byte[] bytes) {
        try {
            var text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
            return Character.codePointCount(text, 0, text.length()) == 1;
        } catch (CharacterCodingException e) {
            return false;
        }
    }

    /// True if these bytes are a character or can become one.
    private static boolean beginsCharacter(byte[] bytes) {
        if (isCharacter(bytes)) {
            return true;
        }
        if (bytes.length == 4) {
            return false;
        }
        byte[] longer = Arrays.copyOf(bytes, bytes.length + 1);
        for (byte continuation : CONTINUATIONS) {
            longer[bytes.length] = continuation;
            if (beginsCharacter(longer)) {
                return true;
            }
        }
        return false;
    }

    private static String byDefinition(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        int at = 0;
        while (at < bytes.length) {
            int end = at + 1;
            while (end < bytes.length && beginsCharacter(Arrays.copyOfRange(bytes, at, end + 1))) {
                end++;
                if (isCharacter(Arrays.copyOfRange(bytes, at, end))) {
                    break;
                }
            }
            byte[] part = Arrays.copyOfRange(bytes, at, end);
            text.append(isCharacter(part) ? new String(part, StandardCharsets.UTF_8) : "\uFFFD");
            at = end;
        }
        return text.toString();
    }

    @Test
    void randomBytesDecodeByTheRecommendation() {
        Tokenizer tokenizer =
                new Tokenizer(
                        TokenizerFile.read(TinyTokenizer.write(folder, TinyTokenizer.json())));
        Random random = new Random(SEED);
        for (int round = 0; round < 10_000; round++) {
            int[] ids = new int[random.nextInt(10)];
            byte[] bytes = new byte[ids.length];
            for (int i = 0; i < ids.length; i++) {
                ids[i] =
                        random.nextInt(4) > 0
                                ? LIKELY[random.nextInt(LIKELY.length)]
                                : random.nextInt(256);
                bytes[i] = (byte) ids[i];
            }
            String expected = byDefinition(bytes);
            String where = "seed " + SEED + ", round " + round;
            assertThat(tokenizer.decode(ids, false)).as(where).isEqualTo(expected);
            Detokenizer stream = tokenizer.detokenizer(false);
            StringBuilder joined = new StringBuilder();
            for (int id : ids) {
                joined.append(stream.next(id));
            }
            assertThat(joined + stream.flush()).as(where).isEqualTo(expected);
            assertThat(stream.flush()).as(where).isEmpty();
        }
    }
}
