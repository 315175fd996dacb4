package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import brantas.jinja.Value.Arguments;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/// The methods of Python strings. Positions and lengths count code points. Case follows Unicode's
/// full mappings in the root locale. `encode`, `translate` and `format_map` are left out.
final class TextMethods {
    @FunctionalInterface
    private interface Method {
        @Nullable Object call(Budget budget, String text, Arguments args);
    }

    private static final Map<String, Method> METHODS = new HashMap<>();

    static {
        METHODS.put("capitalize", (_, text, args) -> Spelling.capitalize(none(args, text)));
        METHODS.put(
                "casefold", (_, text, args) -> Spelling.lower(Spelling.upper(none(args, text))));
        METHODS.put("center", (b, text, args) -> pad(b, text, args, 0));
        METHODS.put("count", TextMethods::count);
        METHODS.put("endswith", (b, text, args) -> affix(b, text, args, false));
        METHODS.put("find", (b, text, args) -> (long) find(b, text, args, true));
        METHODS.put("format", Formats::braces);
        METHODS.put("index", (b, text, args) -> index(b, text, args, true));
        METHODS.put("isalnum", (_, text, _) -> all(text, Spelling::alnum));
        METHODS.put("isalpha", (_, text, _) -> all(text, Character::isLetter));
        METHODS.put("isascii", (_, text, _) -> text.chars().allMatch(c -> c < 0x80));
        METHODS.put("isdecimal", (_, text, _) -> all(text, Character::isDigit));
        METHODS.put("isdigit", (_, text, _) -> all(text, Spelling::digit));
        METHODS.put("islower", (_, text, _) -> Spelling.cased(text, false));
        METHODS.put("isnumeric", (_, text, _) -> all(text, Spelling::numeric));
        METHODS.put("isprintable", (_, text, _) -> text.codePoints().allMatch(Spelling::printable));
        METHODS.put("isspace", (_, text, _) -> all(text, Spelling::space));
        METHODS.put("istitle", (_, text, _) -> Spelling.isTitle(text));
        METHODS.put("isupper", (_, text, _) -> Spelling.cased(text, true));
        METHODS.put("join", TextMethods::join);
        METHODS.put("ljust", (b, text, args) -> pad(b, text, args, -1));
        METHODS.put("lower", (_, text, args) -> Spelling.lower(none(args, text)));
        METHODS.put("lstrip", (_, text, args) -> strip(text, args, -1));
        METHODS.put("partition", (b, text, args) -> partition(b, text, args, true));
        METHODS.put("removeprefix", (_, text, args) -> remove(text, args, true));
        METHODS.put("removesuffix", (_, text, args) -> remove(text, args, false));
        METHODS.put("replace", TextMethods::replace);
        METHODS.put("rfind", (b, text, args) -> (long) find(b, text, args, false));
        METHODS.put("rindex", (b, text, args) -> index(b, text, args, false));
        METHODS.put("rjust", (b, text, args) -> pad(b, text, args, 1));
        METHODS.put("rpartition", (b, text, args) -> partition(b, text, args, false));
        METHODS.put("rsplit", (b, text, args) -> split(b, text, args, false));
        METHODS.put("rstrip", (_, text, args) -> strip(text, args, 1));
        METHODS.put("split", (b, text, args) -> split(b, text, args, true));
        METHODS.put("splitlines", TextMethods::splitLines);
        METHODS.put("startswith", (b, text, args) -> affix(b, text, args, true));
        METHODS.put("strip", (_, text, args) -> strip(text, args, 0));
        METHODS.put("swapcase", (_, text, args) -> Spelling.swapCase(none(args, text)));
        METHODS.put("title", (_, text, args) -> Spelling.title(none(args, text)));
        METHODS.put("upper", (_, text, args) -> Spelling.upper(none(args, text)));
        METHODS.put("zfill", TextMethods::zeroFill);
    }

    private TextMethods() {}

    /// The method as a callable, or [Attributes#NONE].
    static Object find(String text, String name) {
        Method method = METHODS.get(name);
        if (method == null) {
            return Attributes.NONE;
        }
        return new Value.Function(
                name,
                (budget, args) -> {
                    budget.characters(text.length());
                    return method.call(budget, text, args);
                });
    }

    private static String none(Arguments args, String text) {
        args.expect("the method", 0);
        return text;
    }

    private static boolean all(String text, IntPredicate test) {
        return !text.isEmpty() && text.codePoints().allMatch(test);
    }

    // ---- white space and padding ----

    /// @param side -1 left, 1 right, 0 both
    private static String strip(String text, Arguments args, int side) {
        args.expect("strip", 0, "chars");
        Object chars = args.get(0, "chars");
        return Spelling.strip(text, chars == null ? null : args.text(0, "chars", ""), side);
    }

    /// @param side -1 text left, 1 text right, 0 centred
    private static String pad(Budget budget, String text, Arguments args, int side) {
        args.expect("the method", 1, "width", "fillchar");
        int width = args.integer(0, "width", 0);
        String fill = args.text(1, "fillchar", " ");
        if (fill.codePointCount(0, fill.length()) != 1) {
            throw new Fault("the fill character must be one character");
        }
        int missing = Math.max(0, width - text.codePointCount(0, text.length()));
        budget.characters((long) missing * fill.length());
        int left = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & width & 1);
        return fill.repeat(left) + text + fill.repeat(missing - left);
    }

    private static String zeroFill(Budget budget, String text, Arguments args) {
        int width = args.expect("zfill", 1, "width").integer(0, "width", 0);
        int missing = Math.max(0, width - text.codePointCount(0, text.length()));
        budget.characters(missing);
        int sign = text.startsWith("+") || text.startsWith("-") ? 1 : 0;
        return text.substring(0, sign) + "0".repeat(missing) + text.substring(sign);
    }

    // ---- searching ----

    private static String needle(@Nullable Object value) {
        String text = Value.textOrNull(value);
        if (text == null) {
            throw new Fault("a string is needed, not " + Value.type(value));
        }
        return text;
    }

    /// The part of `text` between the optional bounds at argument 1 and 2, as char positions, or
    /// null where the start lies behind the end.
    private static int @Nullable [] window(String text, Arguments args) {
        int length = text.codePointCount(0, text.length());
        int start = place(args.integer(1, "start", 0), length);
        int stop = Math.min(place(args.integer(2, "end", length), length), length);
        if (start > stop) {
            return null;
        }
        int from = text.offsetByCodePoints(0, start);
        return new int[] {from, text.offsetByCodePoints(from, stop - start)};
    }

    private static int place(int index, int length) {
        return index < 0 ? Math.max(0, index + length) : index;
    }

    private static int find(Budget budget, String text, Arguments args, boolean first) {
        args.expect("find", 1, "sub", "start", "end");
        String wanted = needle(args.get(0, "sub"));
        int[] window = window(text, args);
        if (window == null) {
            return -1;
        }
        budget.search(text.length(), wanted.length());
        String part = text.substring(window[0], window[1]);
        int at = first ? part.indexOf(wanted) : part.lastIndexOf(wanted);
        return at < 0 ? -1 : text.codePointCount(0, window[0] + at);
    }

    private static long index(Budget budget, String text, Arguments args, boolean first) {
        int at = find(budget, text, args, first);
        if (at < 0) {
            throw new Fault("a string does not contain what index() looks for");
        }
        return at;
    }

    private static long count(Budget budget, String text, Arguments args) {
        args.expect("count", 1, "sub", "start", "end");
        String wanted = needle(args.get(0, "sub"));
        int[] window = window(text, args);
        if (window == null) {
            return 0;
        }
        String part = text.substring(window[0], window[1]);
        if (wanted.isEmpty()) {
            return part.codePointCount(0, part.length()) + 1L;
        }
        budget.search(text.length(), wanted.length());
        long count = 0;
        for (int at = part.indexOf(wanted);
                at >= 0;
                at = part.indexOf(wanted, at + wanted.length())) {
            count++;
        }
        return count;
    }

    private static boolean affix(Budget budget, String text, Arguments args, boolean start) {
        args.expect(start ? "startswith" : "endswith", 1, "prefix", "start", "end");
        Object wanted = args.get(0, "prefix");
        int[] window = window(text, args);
        if (window == null) {
            return false;
        }
        List<@Nullable Object> options =
                wanted instanceof Value.Tuple tuple ? tuple.items() : List.of(needle(wanted));
        boolean found = false;
        for (Object option : options) {
            String affix = needle(option);
            budget.characters(affix.length());
            int at = start ? window[0] : window[1] - affix.length();
            found |=
                    at >= window[0]
                            && at + affix.length() <= window[1]
                            && text.startsWith(affix, at);
        }
        return found;
    }

    private static String remove(String text, Arguments args, boolean prefix) {
        String affix = needle(args.expect("the method", 1, "affix").get(0, "affix"));
        if (prefix) {
            return text.startsWith(affix) ? text.substring(affix.length()) : text;
        }
        return text.endsWith(affix) ? text.substring(0, text.length() - affix.length()) : text;
    }

    private static String replace(Budget budget, String text, Arguments args) {
        args.expect("replace", 2, "old", "new", "count");
        return replace(
                budget,
                text,
                needle(args.get(0, "old")),
                needle(args.get(1, "new")),
                args.integer(2, "count", -1));
    }

    /// @param count how many times at most, negative for all
    static String replace(Budget budget, String text, String old, String with, int count) {
        budget.search(text.length(), old.length());
        StringBuilder out = new StringBuilder();
        int at = 0;
        int left = count < 0 ? Integer.MAX_VALUE : count;
        while (left-- > 0) {
            int found = text.indexOf(old, at);
            if (found < 0) {
                break;
            }
            budget.characters(with.length() + 1L);
            out.append(text, at, found).append(with);
            at = found + old.length();
            if (old.isEmpty()) {
                if (at >= text.length()) {
                    return out.toString();
                }
                int next = at + Character.charCount(text.codePointAt(at));
                out.append(text, at, next);
                at = next;
            }
        }
        return out.append(text, at, text.length()).toString();
    }

    // ---- splitting and joining ----

    private static Value.Tuple partition(
            Budget budget, String text, Arguments args, boolean first) {
        String mark = needle(args.expect("partition", 1, "sep").get(0, "sep"));
        if (mark.isEmpty()) {
            throw new Fault("the separator is empty");
        }
        budget.search(text.length(), mark.length());
        int at = first ? text.indexOf(mark) : text.lastIndexOf(mark);
        if (at < 0) {
            return new Value.Tuple(first ? List.of(text, "", "") : List.of("", "", text));
        }
        return new Value.Tuple(
                List.of(text.substring(0, at), mark, text.substring(at + mark.length())));
    }

    private static List<@Nullable Object> split(
            Budget budget, String text, Arguments args, boolean forward) {
        args.expect("split", 0, "sep", "maxsplit");
        int limit = args.integer(1, "maxsplit", -1);
        int most = limit < 0 ? Integer.MAX_VALUE : limit;
        Object mark = args.get(0, "sep");
        if (mark == null) {
            return words(budget, text, most, forward);
        }
        String separator = needle(mark);
        if (separator.isEmpty()) {
            throw new Fault("the separator is empty");
        }
        budget.search(text.length(), separator.length());
        List<@Nullable Object> parts = new ArrayList<>();
        int from = 0;
        int to = text.length();
        while (parts.size() < most) {
            int at =
                    forward
                            ? text.indexOf(separator, from)
                            : text.lastIndexOf(separator, to - separator.length());
            if (at < 0) {
                break;
            }
            budget.step();
            parts.add(
                    forward
                            ? text.substring(from, at)
                            : text.substring(at + separator.length(), to));
            from = forward ? at + separator.length() : from;
            to = forward ? to : at;
        }
        parts.add(text.substring(from, to));
        return forward ? parts : parts.reversed();
    }

    /// Splits at white space; what exceeds `most` splits stays whole at the far end.
    private static List<@Nullable Object> words(
            Budget budget, String text, int most, boolean forward) {
        List<int[]> spans = new ArrayList<>();
        int at = 0;
        while (at < text.length()) {
            int from = at;
            while (at < text.length() && !Spelling.space(text.charAt(at))) {
                at++;
            }
            if (at > from) {
                budget.step();
                spans.add(new int[] {from, at});
            }
            at++;
        }
        int whole = Math.max(0, spans.size() - most);
        List<@Nullable Object> parts = new ArrayList<>();
        for (int i = 0; i < spans.size(); i++) {
            boolean first = !forward && i == 0 && whole > 1;
            boolean last = forward && i == most && whole > 1;
            int end = first ? spans.get(whole - 1)[1] : last ? spans.getLast()[1] : spans.get(i)[1];
            parts.add(text.substring(spans.get(i)[0], end));
            if (last) {
                break;
            }
            i = first ? whole - 1 : i;
        }
        return parts;
    }

    private static List<@Nullable Object> splitLines(Budget budget, String text, Arguments args) {
        boolean keep = args.expect("splitlines", 0, "keepends").flag(0, "keepends", false);
        List<@Nullable Object> lines = new ArrayList<>();
        int from = 0;
        while (from < text.length()) {
            budget.step();
            int end = from;
            while (end < text.length()
                    && "\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029".indexOf(text.charAt(end))
                            < 0) {
                end++;
            }
            int next = Math.min(text.length(), text.startsWith("\r\n", end) ? end + 2 : end + 1);
            lines.add(text.substring(from, keep ? next : end));
            from = next;
        }
        return lines;
    }

    private static String join(Budget budget, String text, Arguments args) {
        Object items = args.expect("join", 1, "iterable").get(0, "iterable");
        StringBuilder out = new StringBuilder();
        String separator = "";
        for (Object item : Value.elements(budget, items)) {
            String part = needle(item);
            budget.characters((long) separator.length() + part.length());
            out.append(separator).append(part);
            separator = text;
        }
        return out.toString();
    }
}
