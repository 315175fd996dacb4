package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
    private static final long SEED = Long.getLong("brantas.seed", 3);

    @Test
    void theTextBeforeTheFirstMatchComesOutHoweverItIsCut() {
        SplittableRandom random = new SplittableRandom(SEED);
        List<String> stops = List.of("aab", "bb", "abcab");
        for (int round = 0; round < 3000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 14; i++) {
                text.append("abc".charAt(random.nextInt(3)));
            }
            StopMatcher matcher = new StopMatcher(stops);
            StringBuilder out = new StringBuilder();
            for (int at = 0; at < text.length(); ) {
                int to = Math.min(text.length(), at + random.nextInt(1, 4));
                out.append(matcher.accept(text.substring(at, to)));
                at = to;
            }
            boolean matched = matcher.matched();
            out.append(matcher.flush());
            boolean any = stops.stream().anyMatch(s -> text.indexOf(s) >= 0);
            assertThat(matched).as("%s, seed %d", text, SEED).isEqualTo(any);
            assertThat(text.toString()).as("seed %d", SEED).startsWith(out.toString());
            assertThat(stops).noneMatch(s -> out.indexOf(s) >= 0);
            if (!any) {
                assertThat(out.toString()).isEqualTo(text.toString());
            } else {
                String rest = text.substring(out.length());
                assertThat(stops).as("%s after %s", rest, out).anyMatch(rest::startsWith);
            }
        }
    }

    @Test
    void onlyPossibleBeginningsAreWithheld() {
        StopMatcher matcher = new StopMatcher(List.of("END"));
        assertThat(matcher.accept("the EN")).isEqualTo("the ");
        assertThat(matcher.accept("V")).isEqualTo("ENV");
        assertThat(matcher.accept(" END of")).isEqualTo(" ");
        assertThat(matcher.matched()).isTrue();
        assertThat(matcher.accept("more")).isEmpty();
        assertThat(matcher.flush()).isEmpty();
    }

    @Test
    void withoutStopsTextPasses() {
        StopMatcher matcher = new StopMatcher(List.of());
        assertThat(matcher.accept("abc")).isEqualTo("abc");
        assertThat(matcher.flush()).isEmpty();
    }
}
