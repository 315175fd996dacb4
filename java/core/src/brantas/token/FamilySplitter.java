package brantas.token;

/// The split pattern of the Qwen3.5 family as a scanner over code points (model notes section 8.1).
/// Each method is one alternative of [#PATTERN], in its order, with the backtracking worked out by
/// hand; a piece is looked at a bounded number of times, so the cost is linear whatever the text.
final class FamilySplitter implements Splitter {
    static final String PATTERN =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
                    + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+"
                    + "|\\p{N}"
                    + "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*"
                    + "|\\s*[\\r\\n]+"
                    + "|\\s+(?!\\S)"
                    + "|\\s+";

    @Override
    public void split(String text, Sink sink) {
        int at = 0;
        while (at < text.length()) {
            int end = end(text, at);
            sink.piece(text, at, end);
            at = end;
        }
    }

    private static int end(String text, int at) {
        int c = text.codePointAt(at);
        if (c == '\'') {
            int end = contraction(text, at);
            if (end > at) {
                return end;
            }
        }
        int next = at + Character.charCount(c);
        return switch (CharClass.of(c)) {
            case CharClass.LETTER -> word(text, next);
            case CharClass.NUMBER -> next;
            case CharClass.LINE_END -> space(text, at);
            // A mark alone still is the word of one mark, without the optional first character.
            case CharClass.MARK -> word(text, next);
            case CharClass.SPACE -> {
                byte after = next < text.length() ? CharClass.of(text.codePointAt(next)) : -1;
                if (after == CharClass.LETTER || after == CharClass.MARK) {
                    yield word(text, next);
                }
                boolean symbols = c == ' ' && after == CharClass.OTHER;
                yield symbols ? symbols(text, next) : space(text, at);
            }
            default -> {
                int end = word(text, next);
                yield end > next ? end : symbols(text, next);
            }
        };
    }

    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at an apostrophe; its index if there is none.
    private static int contraction(String text, int at) {
        char first = at + 1 < text.length() ? fold(text.charAt(at + 1)) : 0;
        return switch (first) {
            case 's', 't', 'm', 'd' -> at + 2;
            case 'r', 'v', 'l' -> {
                char second = at + 2 < text.length() ? fold(text.charAt(at + 2)) : 0;
                yield second == (first == 'l' ? 'l' : 'e') ? at + 3 : at;
            }
            default -> at;
        };
    }

    private static char fold(char c) {
        if (c >= 'A' && c <= 'Z') {
            return (char) (c + 32);
        }
        // The long s folds to s; no other character outside ASCII folds to a letter asked for.
        return c == 0x17F ? 's' : c;
    }

    /// The end of `[\p{L}\p{M}]*` from `at`.
    private static int word(String text, int at) {
        int i = at;
        while (i < text.length()) {
            int c = text.codePointAt(i);
            byte kind = CharClass.of(c);
            if (kind != CharClass.LETTER && kind != CharClass.MARK) {
                break;
            }
            i += Character.charCount(c);
        }
        return i;
    }

    /// The end of `[^\s\p{L}\p{M}\p{N}]*[\r\n]*` from `at`.
    private static int symbols(String text, int at) {
        int i = at;
        while (i < text.length()) {
            int c = text.codePointAt(i);
            if (CharClass.of(c) != CharClass.OTHER) {
                break;
            }
            i += Character.charCount(c);
        }
        while (i < text.length() && CharClass.of(text.charAt(i)) == CharClass.LINE_END) {
            i++;
        }
        return i;
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last line end of the white space, else all of it but
    /// the last character, which belongs to what follows unless it stands alone.
    private static int space(String text, int at) {
        int i = at;
        int afterLineEnd = -1;
        while (i < text.length()) {
            byte kind = CharClass.of(text.charAt(i));
            if (kind == CharClass.LINE_END) {
                afterLineEnd = i + 1;
            } else if (kind != CharClass.SPACE) {
                break;
            }
            i++;
        }
        if (afterLineEnd > 0) {
            return afterLineEnd;
        }
        return i == text.length() || i - at == 1 ? i : i - 1;
    }
}
