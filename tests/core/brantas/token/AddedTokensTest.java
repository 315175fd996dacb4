package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.vocabulary.AddedToken;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/// Leftmost, then longest, against a search that tries everything.
class AddedTokensTest {
    private static final long SEED = 5;

    private static AddedTokens of(List<String> contents) {
        List<AddedToken> tokens = new ArrayList<>();
        for (int i = 0; i < contents.size(); i++) {
            tokens.add(new AddedToken(i, contents.get(i), true, false));
        }
        return new AddedTokens(tokens);
    }

    private static AddedTokens.Match everything(List<String> contents, String text, int from) {
        for (int i = from; i < text.length(); i++) {
            int best = -1;
            for (int k = 0; k < contents.size(); k++) {
                boolean here = text.startsWith(contents.get(k), i);
                if (here && (best < 0 || contents.get(k).length() > contents.get(best).length())) {
                    best = k;
                }
            }
            if (best >= 0) {
                return new AddedTokens.Match(i, i + contents.get(best).length(), best);
            }
        }
        return new AddedTokens.Match(text.length(), text.length(), -1);
    }

    private static String word(Random random, int longest) {
        StringBuilder word = new StringBuilder();
        for (int i = 1 + random.nextInt(longest); i > 0; i--) {
            word.append("ab<".charAt(random.nextInt(3)));
        }
        return word.toString();
    }

    @Test
    void leftmostThenLongest() {
        Random random = new Random(SEED);
        for (int round = 0; round < 5000; round++) {
            Set<String> contents = new TreeSet<>();
            for (int i = random.nextInt(8); i > 0; i--) {
                contents.add(word(random, 5));
            }
            List<String> list = new ArrayList<>(contents);
            AddedTokens tokens = of(list);
            String text = word(random, 30);
            for (int from = 0; from <= text.length(); from++) {
                assertThat(tokens.next(text, from))
                        .as("seed %s, round %s, %s in %s from %s", SEED, round, list, text, from)
                        .isEqualTo(everything(list, text, from));
            }
        }
    }

    @Test
    void almostATokenEverywhere() {
        AddedTokens tokens = of(List.of("<".repeat(200) + "a", "b"));
        String text = "<".repeat(2_000_000);
        AddedTokens.Match match =
                Assertions.assertTimeoutPreemptively(
                        Duration.ofSeconds(20), () -> tokens.next(text, 0));
        assertThat(match.id()).isEqualTo(-1);
    }
}
