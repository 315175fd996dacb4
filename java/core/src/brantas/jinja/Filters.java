package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import brantas.jinja.Value.Arguments;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The filters by name, and those that work on one text or number; [SequenceFilters] has the ones
/// for lists and dicts. What no chat template uses is absent: `pprint`, `random`, `striptags`,
/// `urlencode`, `urlize`, `wordwrap`, `xmlattr`, `filesizeformat`.
final class Filters {
    /// A filter: the value in front of `|` and what stands in the parentheses.
    @FunctionalInterface
    interface Filter {
        @Nullable Object apply(Budget budget, @Nullable Object value, Arguments args);
    }

    private static final Map<String, Filter> ALL = new HashMap<>();

    static {
        ALL.put("abs", (_, value, _) -> absolute(value));
        ALL.put("attr", Filters::attribute);
        ALL.put("capitalize", (b, v, _) -> Spelling.capitalize(soft(b, v)));
        ALL.put("center", (b, v, args) -> centred(b, soft(b, v), args));
        ALL.put("default", Filters::fallback);
        ALL.put("escape", (b, v, _) -> v instanceof Value.Safe ? v : safe(escape(b, soft(b, v))));
        ALL.put("float", Filters::toFloat);
        ALL.put("forceescape", (b, v, _) -> safe(escape(b, soft(b, v))));
        ALL.put("format", Filters::format);
        ALL.put("indent", Filters::indent);
        ALL.put("int", Filters::toInt);
        ALL.put("lower", (b, v, _) -> like(v, Spelling.lower(soft(b, v))));
        ALL.put("replace", Filters::replace);
        ALL.put("round", Filters::round);
        ALL.put("safe", (b, v, _) -> safe(Spelling.text(b, v)));
        ALL.put("string", (b, v, _) -> v instanceof Value.Safe ? v : Spelling.text(b, v));
        ALL.put("title", (b, v, _) -> title(soft(b, v)));
        ALL.put("tojson", Json::filter);
        ALL.put("trim", Filters::trim);
        ALL.put("truncate", Filters::truncate);
        ALL.put("upper", (b, v, _) -> like(v, Spelling.upper(soft(b, v))));
        ALL.put("wordcount", (b, v, _) -> wordCount(soft(b, v)));
        ALL.put("d", Filters::fallback);
        ALL.put("e", (b, v, _) -> v instanceof Value.Safe ? v : safe(escape(b, soft(b, v))));
        SequenceFilters.register(ALL);
    }

    private Filters() {}

    static @Nullable Filter find(String name) {
        return ALL.get(name);
    }

    private static Value.Safe safe(String text) {
        return new Value.Safe(text);
    }

    private static Object like(@Nullable Object model, String text) {
        return model instanceof Value.Safe ? safe(text) : text;
    }

    /// The value as text, with the work on it charged.
    private static String soft(Budget budget, @Nullable Object value) {
        String text = Spelling.text(budget, value);
        budget.characters(text.length());
        return text;
    }

    /// The value as text for filters that take nothing else.
    private static String strict(Budget budget, String filter, @Nullable Object value) {
        if (Value.textOrNull(value) == null && !(value instanceof Value.Undefined)) {
            throw new Fault("the filter '" + filter + "' needs a string, not " + Value.type(value));
        }
        return soft(budget, value);
    }

    /// Escapes for HTML.
    static String escape(Budget budget, String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&#34;");
                case '\'' -> out.append("&#39;");
                default -> out.append(c);
            }
        }
        budget.characters(out.length());
        return out.toString();
    }

    // ---- values ----

    private static @Nullable Object fallback(
            Budget budget, @Nullable Object value, Arguments args) {
        args.expect("default", 0, "default_value", "boolean");
        boolean empty =
                value instanceof Value.Undefined
                        || (args.flag(1, "boolean", false) && !Value.truth(value));
        return empty ? args.get(0, "default_value", "") : value;
    }

    private static @Nullable Object attribute(
            Budget budget, @Nullable Object value, Arguments args) {
        String name = args.expect("attr", 1, "name").text(0, "name", "");
        // Unlike a dot, this filter never looks at the keys of a dict.
        return Attributes.attribute(budget, value instanceof Map ? Map.of() : value, name);
    }

    private static Object absolute(@Nullable Object value) {
        Object number = Arithmetic.plus(value);
        boolean negative =
                number instanceof Double d ? d <= 0 : Arithmetic.big(number).signum() < 0;
        return negative ? Arithmetic.negate(number) : number;
    }

    private static @Nullable Object toInt(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("int", 0, "default", "base");
        if (value instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        Object fallback = args.get(0, "default", 0L);
        Object number = Arithmetic.number(value);
        if (number instanceof Double d) {
            return Double.isFinite(d) ? Arithmetic.truncate(d) : fallback;
        }
        String text = Value.textOrNull(value);
        if (text == null) {
            return number == null ? fallback : number;
        }
        budget.characters(text.length());
        BigInteger parsed = parseInt(text, args.integer(1, "base", 10));
        if (parsed != null) {
            return Arithmetic.integer(parsed);
        }
        Double real = parseFloat(text);
        return real == null || !Double.isFinite(real) ? fallback : Arithmetic.truncate(real);
    }

    private static @Nullable BigInteger parseInt(String text, int base) {
        String digits = Spelling.lower(Spelling.strip(text, null, 0));
        boolean negative = digits.startsWith("-");
        digits = negative || digits.startsWith("+") ? digits.substring(1) : digits;
        String mark = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
        if (!mark.isEmpty() && digits.startsWith(mark)) {
            digits = digits.substring(2);
        }
        boolean known = base >= 2 && base <= 36 && digits.length() <= 4300;
        if (!known || digits.isEmpty() || !digits.matches("[0-9a-z]+(_[0-9a-z]+)*+")) {
            return null;
        }
        try {
            BigInteger value = new BigInteger(digits.replace("_", ""), base);
            return negative ? value.negate() : value;
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static @Nullable Double parseFloat(String text) {
        String spelling = Spelling.lower(Spelling.strip(text, null, 0));
        String unsigned =
                spelling.startsWith("-") || spelling.startsWith("+")
                        ? spelling.substring(1)
                        : spelling;
        double sign = spelling.startsWith("-") ? -1 : 1;
        switch (unsigned) {
            case "inf", "infinity" -> {
                return sign * Double.POSITIVE_INFINITY;
            }
            case "nan" -> {
                return Double.NaN;
            }
            default -> {}
        }
        int at = Spelling.digits(unsigned, 0, false);
        boolean any = at > 0;
        if (at < unsigned.length() && unsigned.charAt(at) == '.') {
            int end = Spelling.digits(unsigned, at + 1, false);
            any |= end > at + 1;
            at = end > at + 1 ? end : at + 1;
        }
        if (any && at < unsigned.length() && unsigned.charAt(at) == 'e') {
            boolean signed =
                    at + 1 < unsigned.length() && "+-".indexOf(unsigned.charAt(at + 1)) >= 0;
            int from = at + (signed ? 2 : 1);
            int end = Spelling.digits(unsigned, from, false);
            at = end > from ? end : at;
        }
        return any && at == unsigned.length()
                ? sign * Double.parseDouble(unsigned.replace("_", ""))
                : null;
    }

    private static @Nullable Object toFloat(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("float", 0, "default");
        if (value instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        Object number = Arithmetic.number(value);
        String text = Value.textOrNull(value);
        Double parsed = number != null ? Double.valueOf(Arithmetic.toDouble(number)) : null;
        if (text != null) {
            budget.characters(text.length());
            parsed = parseFloat(text);
        }
        return parsed != null ? parsed : args.get(0, "default", 0.0);
    }

    private static Object round(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("round", 0, "precision", "method");
        Object number = Arithmetic.plus(value);
        int precision = Math.clamp(args.integer(0, "precision", 0), -400, 400);
        String method = args.text(1, "method", "common");
        RoundingMode mode =
                switch (method) {
                    case "common" -> RoundingMode.HALF_EVEN;
                    case "ceil" -> RoundingMode.CEILING;
                    case "floor" -> RoundingMode.FLOOR;
                    default -> throw new Fault("round knows no method '" + method + "'");
                };
        if (mode == RoundingMode.HALF_EVEN) {
            if (number instanceof Double d) {
                return Double.isFinite(d)
                        ? (Object)
                                signed(new BigDecimal(d).setScale(precision, mode).doubleValue(), d)
                        : d;
            }
            BigDecimal whole = new BigDecimal(Arithmetic.big(number));
            return precision >= 0
                    ? number
                    : Arithmetic.integer(whole.setScale(precision, mode).toBigInteger());
        }
        double scale = Math.pow(10, precision);
        double scaled = Arithmetic.toDouble(number) * scale;
        if (!Double.isFinite(scaled)) {
            throw new Fault("a float that is not finite cannot be rounded");
        }
        double whole = mode == RoundingMode.CEILING ? Math.ceil(scaled) : Math.floor(scaled);
        return (whole + 0.0) / scale;
    }

    private static double signed(double value, double like) {
        return Math.copySign(value, like);
    }

    // ---- text ----

    private static Object trim(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("trim", 0, "chars");
        String chars = args.get(0, "chars") == null ? null : args.text(0, "chars", "");
        return like(value, Spelling.strip(soft(budget, value), chars, 0));
    }

    private static String centred(Budget budget, String text, Arguments args) {
        int width = args.expect("center", 0, "width").integer(0, "width", 80);
        int missing = Math.max(0, width - text.codePointCount(0, text.length()));
        budget.characters(missing);
        int left = missing / 2 + (missing & width & 1);
        return " ".repeat(left) + text + " ".repeat(missing - left);
    }

    /// Upper case at the start and after white space and `-([{<`, lower case elsewhere.
    private static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        int from = 0;
        while (from < text.length()) {
            int end = from;
            while (end < text.length() && !wordBreak(text.charAt(end))) {
                end++;
            }
            if (end > from) {
                int first = from + Character.charCount(text.codePointAt(from));
                out.append(Spelling.upper(text.substring(from, first)));
                out.append(Spelling.lower(text.substring(first, end)));
            }
            while (end < text.length() && wordBreak(text.charAt(end))) {
                out.append(text.charAt(end++));
            }
            from = end;
        }
        return out.toString();
    }

    private static boolean wordBreak(char c) {
        return "-([{<".indexOf(c) >= 0 || Spelling.space(c);
    }

    private static Object replace(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("replace", 2, "old", "new", "count");
        String old = Spelling.text(budget, args.get(0, "old"));
        String with = Spelling.text(budget, args.get(1, "new"));
        int count = args.integer(2, "count", -1);
        return like(value, TextMethods.replace(budget, soft(budget, value), old, with, count));
    }

    private static Object format(Budget budget, @Nullable Object value, Arguments args) {
        if (!args.named().isEmpty() && args.size() > 0) {
            throw new Fault("the filter 'format' takes values by position or by name, not both");
        }
        Object values = args.named().isEmpty() ? new Value.Tuple(args.positional()) : args.named();
        return Formats.percent(budget, soft(budget, value), values);
    }

    private static String indent(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("indent", 0, "width", "first", "blank");
        Object width = args.get(0, "width", 4L);
        String given = Value.textOrNull(width);
        int spaces = given == null ? Math.max(0, Arithmetic.clip(width)) : 0;
        budget.characters(spaces);
        String space = given == null ? " ".repeat(spaces) : given;
        boolean first = args.flag(1, "first", false);
        boolean blank = args.flag(2, "blank", false);
        List<String> lines = new ArrayList<>();
        String text = strict(budget, "indent", value);
        int from = 0;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
            budget.step();
            lines.add(text.substring(from, end));
            from = end + 1;
        }
        lines.add(text.substring(from));
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < lines.size(); i++) {
            out.append(i == 0 ? "" : "\n");
            if (i == 0 ? first : blank || !lines.get(i).isEmpty()) {
                budget.characters(space.length());
                out.append(space);
            }
            out.append(lines.get(i));
        }
        return out.toString();
    }

    private static String truncate(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("truncate", 0, "length", "killwords", "end", "leeway");
        String text = strict(budget, "truncate", value);
        int length = args.integer(0, "length", 255);
        String end = args.text(2, "end", "...");
        int size = text.codePointCount(0, text.length());
        int kept = length - end.codePointCount(0, end.length());
        if (kept < 0) {
            throw new Fault("truncate needs a length of at least that of its end");
        }
        if (size <= (long) length + args.integer(3, "leeway", 5)) {
            return text;
        }
        String cut = text.substring(0, text.offsetByCodePoints(0, Math.min(kept, size)));
        int space = args.flag(1, "killwords", false) ? -1 : cut.lastIndexOf(' ');
        return (space < 0 ? cut : cut.substring(0, space)) + end;
    }

    private static long wordCount(String text) {
        long words = 0;
        boolean inside = false;
        for (int point : text.codePoints().toArray()) {
            boolean word = point == '_' || Character.isLetterOrDigit(point);
            words += word && !inside ? 1 : 0;
            inside = word;
        }
        return words;
    }
}
