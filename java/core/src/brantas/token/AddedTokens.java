package brantas.token;

import brantas.vocabulary.AddedToken;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;

/// Finds added tokens in a text: the leftmost, and of those that begin there the longest (model
/// notes section 8.1). Each step narrows a range of the sorted contents by one character, so a
/// search costs the text's length times at most the longest content.
final class AddedTokens {
    private final String[] contents;
    private final int[] ids;
    private final BitSet firsts = new BitSet();

    AddedTokens(List<AddedToken> tokens) {
        AddedToken[] sorted = tokens.toArray(AddedToken[]::new);
        Arrays.sort(sorted, Comparator.comparing(AddedToken::content));
        contents = new String[sorted.length];
        ids = new int[sorted.length];
        for (int i = 0; i < sorted.length; i++) {
            contents[i] = sorted[i].content();
            ids[i] = sorted[i].id();
            firsts.set(contents[i].charAt(0));
        }
    }

    /// Where the next token lies.
    ///
    /// @param start index of its first character, the text's length if there is none
    /// @param end index after its last character
    /// @param id the token, -1 if there is none
    record Match(int start, int end, int id) {}

    boolean isEmpty() {
        return ids.length == 0;
    }

    /// The first token in `text` at or after `from`.
    Match next(String text, int from) {
        int length = text.length();
        for (int i = candidate(text, from); i < length; i = candidate(text, i + 1)) {
            int found = longest(text, i);
            if (found >= 0) {
                return new Match(i, i + contents[found].length(), ids[found]);
            }
        }
        return new Match(length, length, -1);
    }

    private int candidate(String text, int from) {
        if (firsts.cardinality() == 1) {
            int at = text.indexOf(firsts.nextSetBit(0), from);
            return at < 0 ? text.length() : at;
        }
        int i = from;
        while (i < text.length() && !firsts.get(text.charAt(i))) {
            i++;
        }
        return i;
    }

    /// The index of the longest content that `text` has at `at`, or -1.
    private int longest(String text, int at) {
        int low = 0;
        int high = contents.length;
        int found = -1;
        for (int k = 0; at + k < text.length(); k++) {
            char c = text.charAt(at + k);
            low = firstNotBelow(low, high, k, c);
            high = firstNotBelow(low, high, k, c + 1);
            if (low == high) {
                break;
            }
            if (high - low == 1) {
                return text.startsWith(contents[low], at) ? low : found;
            }
            // Of the contents that share k + 1 characters, the one that ends here sorts first.
            if (contents[low].length() == k + 1) {
                found = low++;
            }
        }
        return found;
    }

    /// The first index in the range whose content has at `k` a character that is not below `c`.
    private int firstNotBelow(int from, int to, int k, int c) {
        int low = from;
        int high = to;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (contents[middle].charAt(k) < c) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
