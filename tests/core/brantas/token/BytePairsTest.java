package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.vocabulary.TinyTokenizer;
import brantas.vocabulary.TokenizerFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Short and long pieces against the definition, carried out word for word.
class BytePairsTest {
    private static final long SEED = 77;

    @TempDir private Path folder;

    /// A tokenizer whose merges are random and in random order, so that a merge may be listed
    /// before those that make its parts.
    private TokenizerFile random(Random random) {
        List<String> made = new ArrayList<>(List.of("a", "b", "c"));
        Set<String> merges = new LinkedHashSet<>();
        for (int i = 0; i < 40; i++) {
            String left = made.get(random.nextInt(made.size()));
            String right = made.get(random.nextInt(made.size()));
            if (left.length() + right.length() <= 12) {
                merges.add(left + " " + right);
                made.add(left + right);
            }
        }
        List<String> shuffled = new ArrayList<>(merges);
        if (random.nextBoolean()) {
            java.util.Collections.shuffle(shuffled, random);
        }
        StringBuilder vocabulary = new StringBuilder("\"xyz\": 261");
        Set<String> tokens = new LinkedHashSet<>(made);
        tokens.removeAll(Set.of("a", "b", "c", "aa", "aaaa"));
        int id = 300;
        for (String token : tokens) {
            vocabulary.append(", \"").append(token).append("\": ").append(id++);
        }
        String list = "[\"" + String.join("\", \"", shuffled) + "\"]";
        return TokenizerFile.read(
                TinyTokenizer.write(
                        folder,
                        TinyTokenizer.json()
                                .replace("\"xyz\": 261", vocabulary)
                                .replace(TinyTokenizer.MERGES, list)));
    }

    private static List<Integer> byDefinition(BytePairs pairs, byte[] text) {
        List<Integer> ids = new ArrayList<>();
        for (byte b : text) {
            ids.add(pairs.idOfByte(b));
        }
        while (true) {
            int best = -1;
            int lowest = BytePairs.NONE;
            for (int i = 0; i + 1 < ids.size(); i++) {
                int rank = pairs.rank(ids.get(i), ids.get(i + 1));
                if (rank < lowest) {
                    lowest = rank;
                    best = i;
                }
            }
            if (best < 0) {
                return ids;
            }
            ids.set(best, pairs.merged(lowest));
            ids.subList(best + 1, best + 2).clear();
        }
    }

    @Test
    void bothWaysFollowTheDefinition() {
        Random random = new Random(SEED);
        for (int round = 0; round < 300; round++) {
            BytePairs pairs = new BytePairs(random(random));
            byte[] text = new byte[1 + random.nextInt(random.nextBoolean() ? 40 : 1000)];
            int letters = 1 + random.nextInt(3);
            for (int i = 0; i < text.length; i++) {
                text[i] = (byte) ('a' + random.nextInt(letters));
            }
            Integer[] expected = byDefinition(pairs, text).toArray(Integer[]::new);
            Ids usual = new Ids(0);
            pairs.encode(text, text.length, new BytePairs.Desk(), usual);
            Ids queued = new Ids(0);
            new LongPiece(pairs, text, text.length).encode(queued);
            assertThat(usual.tail(0))
                    .as("seed %s, round %s", SEED, round)
                    .containsExactly(expected);
            assertThat(queued.tail(0))
                    .as("seed %s, round %s, long way", SEED, round)
                    .containsExactly(expected);
        }
    }

    @Test
    void wholePiecesAreNotLookedUp() {
        Tokenizer tokenizer =
                new Tokenizer(
                        TokenizerFile.read(TinyTokenizer.write(folder, TinyTokenizer.json())));
        assertThat(tokenizer.encode("xyz", false)).containsExactly('x', 'y', 'z');
        assertThat(tokenizer.encode("the the", false)).containsExactly(257, 258);
        assertThat(tokenizer.encode("aaaaaaa", false)).containsExactly(260, 259, 'a');
    }

    @Test
    void aPieceOfTenMillionBytesTakesSeconds() {
        Tokenizer real = GoldenTokenizer.tokenizer();
        Random random = new Random(SEED);
        StringBuilder letters = new StringBuilder();
        for (int i = 0; i < 10_000_000; i++) {
            letters.append((char) ('a' + random.nextInt(26)));
        }
        for (String text :
                List.of("a".repeat(10_000_000), " ".repeat(10_000_000), letters.toString())) {
            int[] ids =
                    Assertions.assertTimeoutPreemptively(
                            Duration.ofSeconds(30), () -> real.encode(text, false));
            assertThat(real.decode(ids, false)).isEqualTo(text);
        }
    }
}
