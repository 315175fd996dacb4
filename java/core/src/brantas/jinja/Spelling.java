package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.math.BigInteger;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/// How Python writes values, `str()` and `repr()`, and what it knows of characters: string escapes,
/// white space, names, digits and case. Writing draws on the [Budget] as it goes, because a value
/// may print far larger than it is. Case follows Unicode's full mappings in the root locale.
final class Spelling {
    private static final String ESCAPES = "\\'\"abfnrtv";
    private static final String ESCAPED = "\\'\"\u0007\b\f\n\r\t\u000b";

    private Spelling() {}

    /// `str(value)`.
    static String text(Budget budget, @Nullable Object value) {
        return switch (value) {
            case String text -> text;
            case Value.Safe safe -> safe.text();
            case Value.Undefined _ -> "";
            case null, default -> repr(budget, value);
        };
    }

    /// `repr(value)`.
    static String repr(Budget budget, @Nullable Object value) {
        StringBuilder out = new StringBuilder();
        repr(budget, out, value, 0);
        return out.toString();
    }

    private static void repr(Budget budget, StringBuilder out, @Nullable Object value, int level) {
        Budget.nesting(level);
        budget.step();
        int before = out.length();
        switch (value) {
            case null -> out.append("None");
            case Boolean flag -> out.append(flag ? "True" : "False");
            case Long number -> out.append(number.longValue());
            case BigInteger number -> out.append(FormatSpec.integer(budget, number));
            case Double number -> out.append(FormatSpec.number(number));
            case String text -> quote(budget, out, text);
            case Value.Safe safe -> {
                out.append("Markup(");
                quote(budget, out, safe.text());
                out.append(')');
            }
            case Value.Undefined _ -> out.append("Undefined");
            case Value.Range range -> range(out, range);
            case Value.Host host -> out.append(host.print());
            case Value.Callable callable ->
                    out.append("<function ").append(callable.name()).append('>');
            case Value.Lazy _ -> out.append("<generator object>");
            default -> {
                container(budget, out, value, level);
                before = out.length() - 2;
            }
        }
        budget.characters(out.length() - before);
    }

    private static void range(StringBuilder out, Value.Range range) {
        out.append("range(").append(range.start()).append(", ").append(range.stop());
        if (range.step() != 1) {
            out.append(", ").append(range.step());
        }
        out.append(')');
    }

    private static void container(Budget budget, StringBuilder out, Object value, int level) {
        switch (value) {
            case List<?> list -> items(budget, out.append('['), list, level).append(']');
            case Value.Tuple tuple -> {
                items(budget, out.append('('), tuple.items(), level);
                out.append(tuple.items().size() == 1 ? ",)" : ")");
            }
            case Value.View view ->
                    items(budget, out.append(view.name()).append("(["), view.items(), level)
                            .append("])");
            case Value.Namespace space -> {
                out.append("<Namespace ");
                pairs(budget, out, space.fields(), level);
                out.append('>');
            }
            case Map<?, ?> map -> pairs(budget, out, map, level);
            default ->
                    throw new Fault("a value of type " + Value.type(value) + " cannot be printed");
        }
    }

    private static StringBuilder items(Budget budget, StringBuilder out, List<?> items, int level) {
        String separator = "";
        for (Object item : items) {
            out.append(separator);
            repr(budget, out, item, level + 1);
            separator = ", ";
        }
        return out;
    }

    private static void pairs(Budget budget, StringBuilder out, Map<?, ?> map, int level) {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            out.append(separator);
            repr(budget, out, entry.getKey(), level + 1);
            out.append(": ");
            repr(budget, out, entry.getValue(), level + 1);
            separator = ", ";
        }
        out.append(map.isEmpty() ? "{}" : "}");
    }

    private static void quote(Budget budget, StringBuilder out, String text) {
        budget.characters(text.length());
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        out.append(quote);
        for (int i = 0; i < text.length(); ) {
            int point = text.codePointAt(i);
            i += Character.charCount(point);
            switch (point) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (point == quote) {
                        out.append('\\').append(quote);
                    } else if (printable(point)) {
                        out.appendCodePoint(point);
                    } else {
                        out.append(escape(point));
                    }
                }
            }
        }
        out.append(quote);
    }

    private static String escape(int point) {
        String hex = Integer.toHexString(point);
        int width = point < 0x100 ? 2 : point < 0x10000 ? 4 : 8;
        String prefix = width == 2 ? "\\x" : width == 4 ? "\\u" : "\\U";
        return prefix + "0".repeat(width - hex.length()) + hex;
    }

    static boolean printable(int point) {
        return switch (Character.getType(point)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    false;
            case Character.SPACE_SEPARATOR -> point == ' ';
            default -> true;
        };
    }

    /// `str.isspace` of one character; all of them lie in the basic plane.
    static boolean space(int c) {
        if (c < 0x80) {
            return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
        }
        return c == 0x85 || Character.isSpaceChar(c);
    }

    static boolean nameStart(int point) {
        return point == '_' || Character.isLetter(point);
    }

    static boolean namePart(int point) {
        return point == '_'
                || (Character.isUnicodeIdentifierPart(point)
                        && !Character.isIdentifierIgnorable(point));
    }

    /// The position behind the digits at `from`; single underscores may stand between digits.
    static int digits(String source, int from, boolean hex) {
        int at = from;
        int end = from;
        while (at < source.length()) {
            char c = source.charAt(at);
            boolean letter = hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
            if ((c >= '0' && c <= '9') || letter) {
                end = ++at;
            } else if (c == '_' && end == at && at > from) {
                at++;
            } else {
                break;
            }
        }
        return end;
    }

    /// Resolves the escapes of a string literal as Python does; unknown ones stay as they are.
    static String unescape(String body, int line) {
        if (body.indexOf('\\') < 0) {
            return body;
        }
        StringBuilder out = new StringBuilder(body.length());
        int at = 0;
        while (at < body.length()) {
            char c = body.charAt(at++);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char kind = body.charAt(at++);
            int known = ESCAPES.indexOf(kind);
            if (known >= 0) {
                out.append(ESCAPED.charAt(known));
            } else if (kind == 'x' || kind == 'u' || kind == 'U') {
                int width = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
                out.appendCodePoint(codePoint(body, at, width, line));
                at += width;
            } else if (kind >= '0' && kind <= '7') {
                int end = at;
                while (end < at + 2 && end < body.length() && octal(body.charAt(end))) {
                    end++;
                }
                out.append((char) Integer.parseInt(body, at - 1, end, 8));
                at = end;
            } else if (kind == 'N') {
                throw Fault.at(line, "named characters ('\\N') in strings are not supported");
            } else if (kind != '\n') {
                out.append('\\').append(kind);
            }
        }
        return out.toString();
    }

    private static boolean octal(char c) {
        return c >= '0' && c <= '7';
    }

    private static int codePoint(String body, int from, int width, int line) {
        int value = 0;
        for (int i = from; i < from + width; i++) {
            int digit = i < body.length() ? Character.digit(body.charAt(i), 16) : -1;
            if (digit < 0 || body.charAt(i) >= 0x80) {
                throw Fault.at(
                        line, "an escape in a string needs " + width + " hexadecimal digits");
            }
            value = value << 4 | digit;
        }
        if (!Character.isValidCodePoint(value)) {
            throw Fault.at(line, "an escape in a string names no character");
        }
        return value;
    }

    // ---- case and character classes ----

    static String upper(String text) {
        return text.toUpperCase(Locale.ROOT);
    }

    static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    /// One character in title case; where upper case has several letters, only the first stays.
    private static String titled(int point) {
        int simple = Character.toTitleCase(point);
        String upper = upper(Character.toString(point));
        int first = Character.charCount(upper.codePointAt(0));
        boolean several = upper.length() > first;
        return several
                ? upper.substring(0, first) + lower(upper.substring(first))
                : Character.toString(simple);
    }

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = Character.charCount(text.codePointAt(0));
        return titled(text.codePointAt(0))
                + lower(text).substring(lower(text.substring(0, first)).length());
    }

    static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean inside = false;
        String low = null;
        for (int i = 0; i < text.length(); ) {
            int point = text.codePointAt(i);
            int width = Character.charCount(point);
            if (inside && point == 'Σ') {
                low = low == null ? lower(text) : low;
                out.append(low.length() == text.length() ? low.charAt(i) : 'σ');
            } else {
                out.append(inside ? lower(Character.toString(point)) : titled(point));
            }
            inside = isCased(point);
            i += width;
        }
        return out.toString();
    }

    static String swapCase(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints()
                .forEach(point -> {
                    String one = Character.toString(point);
                    out.append(Character.isUpperCase(point) ? lower(one) : upper(one));
                });
        return out.toString();
    }

    private static boolean isCased(int point) {
        return Character.isUpperCase(point)
                || Character.isLowerCase(point)
                || Character.isTitleCase(point);
    }

    /// `isupper` and `islower`: at least one cased letter, and none of the other case.
    static boolean cased(String text, boolean upper) {
        return text.codePoints().anyMatch(Spelling::isCased)
                && text.codePoints()
                        .filter(Spelling::isCased)
                        .allMatch(upper ? Character::isUpperCase : Character::isLowerCase);
    }

    static boolean isTitle(String text) {
        boolean any = false;
        boolean inside = false;
        for (int point : text.codePoints().toArray()) {
            boolean cased = isCased(point);
            if (cased && inside != Character.isLowerCase(point)) {
                return false;
            }
            inside = cased;
            any |= cased;
        }
        return any;
    }

    static boolean numeric(int point) {
        int type = Character.getType(point);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.OTHER_NUMBER
                || type == Character.LETTER_NUMBER;
    }

    /// Digits include superscripts and circled digits, which have a value but are no decimals.
    @SuppressWarnings("CharacterGetNumericValue") // Asked of number characters only.
    static boolean digit(int point) {
        int value = Character.getNumericValue(point);
        int type = Character.getType(point);
        return Character.isDigit(point)
                || (type == Character.OTHER_NUMBER && value >= 0 && value <= 9);
    }

    static boolean alnum(int point) {
        return Character.isLetter(point) || numeric(point);
    }

    /// Strips white space or the given characters.
    ///
    /// @param side -1 left, 1 right, 0 both
    static String strip(String text, @Nullable String chars, int side) {
        IntPredicate gone = Spelling::space;
        if (chars != null) {
            BitSet set = new BitSet();
            chars.codePoints().forEach(set::set);
            gone = set::get;
        }
        int from = 0;
        int to = text.length();
        while (side <= 0 && from < to && gone.test(text.codePointAt(from))) {
            from += Character.charCount(text.codePointAt(from));
        }
        while (side >= 0 && to > from && gone.test(text.codePointBefore(to))) {
            to -= Character.charCount(text.codePointBefore(to));
        }
        return text.substring(from, to);
    }
}
