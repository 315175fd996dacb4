package brantas.token;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Other patterns: what becomes a piece, and that no pattern hangs.
class RegexSplitterTest {
    private static List<String> pieces(String pattern, String text) {
        List<String> pieces = new ArrayList<>();
        new RegexSplitter(pattern)
                .split(text, (whole, start, end) -> pieces.add(whole.substring(start, end)));
        return pieces;
    }

    @Test
    void matchesAndGapsArePieces() {
        assertThat(pieces("\\p{L}+", "ab 12 é")).containsExactly("ab", " 12 ", "é");
        assertThat(pieces("x", "abc")).containsExactly("abc");
        assertThat(pieces("a*", "bab")).containsExactly("b", "a", "b");
        assertThat(pieces("a", "")).isEmpty();
        assertThat(pieces("\\s", "a\u3000b\u001Cc")).containsExactly("a", "\u3000", "b\u001Cc");
    }

    @ParameterizedTest
    @CsvSource({"(a+)+$", "(?:a|aa)+b", "(?:a|b)*c"})
    void backtrackingWithoutEndIsRefused(String pattern) {
        assertThatThrownBy(() -> pieces(pattern, "a".repeat(100_000) + "!"))
                .isExactlyInstanceOf(BrantasException.class)
                .hasMessageContainingAll("tokenizer.json", pattern);
    }
}
