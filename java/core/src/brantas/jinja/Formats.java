package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Python's two ways to fill a string: `'%s' % value` and `'{}'.format(value)`. Both read their
/// fields here and leave the writing of each value to [FormatSpec].
final class Formats {
    private Formats() {}

    // ---- '%' ----

    static String percent(Budget budget, String format, @Nullable Object value) {
        Percent run = new Percent(budget, format, value);
        return run.run();
    }

    private static final class Percent {
        private final Budget budget;
        private final String format;
        private final @Nullable Object source;
        private final @Nullable List<@Nullable Object> queue;
        private final StringBuilder out = new StringBuilder();
        private int used;
        private int at;

        Percent(Budget budget, String format, @Nullable Object source) {
            this.budget = budget;
            this.format = format;
            this.source = source;
            this.queue = source instanceof Value.Tuple tuple ? tuple.items() : null;
        }

        String run() {
            budget.characters(format.length());
            int percent = format.indexOf('%');
            while (percent >= 0) {
                out.append(format, at, percent);
                at = percent + 1;
                field();
                percent = format.indexOf('%', at);
            }
            // Python lets a value pass unused if it could have been asked for a key.
            boolean keyed =
                    switch (source) {
                        case Map<?, ?> _, List<?> _, Value.Range _, Value.Undefined _ -> true;
                        case null, default -> false;
                    };
            boolean left = queue == null ? used == 0 && !keyed : used < queue.size();
            if (left) {
                throw new Fault("not all values are used by the format string");
            }
            return out.append(format, at, format.length()).toString();
        }

        private @Nullable Object next() {
            if (queue == null) {
                if (used++ > 0) {
                    throw new Fault("the format string needs more values");
                }
                return source;
            }
            if (used >= queue.size()) {
                throw new Fault("the format string needs more values");
            }
            return queue.get(used++);
        }

        private char peek() {
            if (at >= format.length()) {
                throw new Fault("the format string ends inside a field");
            }
            return format.charAt(at);
        }

        private void field() {
            Object keyed = Attributes.NONE;
            if (peek() == '(') {
                int close = format.indexOf(')', at);
                if (close < 0 || !(source instanceof Map<?, ?> map)) {
                    throw new Fault("a named field of a format string needs a dict");
                }
                keyed = Attributes.item(budget, map, format.substring(at + 1, close));
                if (keyed instanceof Value.Undefined missing) {
                    throw missing.fault();
                }
                at = close + 1;
            }
            String flags = flags();
            int width = number(0);
            if (width < 0) {
                flags += "-";
                width = -width;
            }
            int precision = -1;
            if (peek() == '.') {
                at++;
                precision = Math.max(0, number(0));
            }
            while ("hlL".indexOf(peek()) >= 0) {
                at++;
            }
            char type = peek();
            at++;
            if (type == '%') {
                out.append('%');
                return;
            }
            Object value = Value.identical(keyed, Attributes.NONE) ? next() : keyed;
            out.append(convert(value, type, flags, width, precision));
        }

        private String flags() {
            int from = at;
            while ("-+ #0".indexOf(peek()) >= 0) {
                at++;
            }
            return format.substring(from, at);
        }

        private int number(int fallback) {
            if (peek() == '*') {
                at++;
                return Arithmetic.clip(next());
            }
            int from = at;
            while (peek() >= '0' && peek() <= '9') {
                at++;
            }
            return from == at ? fallback : FormatSpec.small(format.substring(from, at));
        }

        private String convert(
                @Nullable Object value, char type, String flags, int width, int precision) {
            char align = flags.indexOf('-') >= 0 ? '<' : '>';
            boolean zeros = flags.indexOf('0') >= 0 && align == '>';
            char sign = flags.indexOf('+') >= 0 ? '+' : flags.indexOf(' ') >= 0 ? ' ' : 0;
            boolean alternate = flags.indexOf('#') >= 0;
            FormatSpec text =
                    new FormatSpec(" ", align, (char) 0, false, width, (char) 0, precision, 's');
            char kind = type == 'i' || type == 'u' ? 'd' : type;
            return switch (type) {
                case 's' ->
                        FormatSpec.pad(
                                budget,
                                FormatSpec.cut(Spelling.text(budget, value), precision),
                                text,
                                0);
                case 'r', 'a' ->
                        FormatSpec.pad(
                                budget,
                                FormatSpec.cut(Spelling.repr(budget, value), precision),
                                text,
                                0);
                case 'c' -> FormatSpec.pad(budget, character(value), text, 0);
                case 'd', 'i', 'u', 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G' -> {
                    FormatSpec spec =
                            new FormatSpec(
                                    zeros ? "0" : " ",
                                    zeros ? '=' : align,
                                    sign,
                                    alternate,
                                    width,
                                    (char) 0,
                                    precision,
                                    kind);
                    Object number = Arithmetic.number(value);
                    if (number instanceof Double d && kind == 'd') {
                        number = Arithmetic.truncate(d);
                    }
                    if (number == null) {
                        throw new Fault("'%" + type + "' needs a number, not " + Value.type(value));
                    }
                    yield FormatSpec.number(budget, number, spec);
                }
                default ->
                        throw new Fault("the format string has an unknown field '%" + type + "'");
            };
        }
    }

    // ---- format() ----

    /// `format.format(*args, **kwargs)`.
    static String braces(Budget budget, String format, Value.Arguments args) {
        return new Braces(budget, args).fill(format, 0);
    }

    private static final class Braces {
        private final Budget budget;
        private final Value.Arguments args;
        private int automatic;

        Braces(Budget budget, Value.Arguments args) {
            this.budget = budget;
            this.args = args;
        }

        String fill(String format, int level) {
            StringBuilder out = new StringBuilder();
            int at = 0;
            while (at < format.length()) {
                char c = format.charAt(at);
                boolean twice = at + 1 < format.length() && format.charAt(at + 1) == c;
                if ((c == '{' || c == '}') && twice && level == 0) {
                    out.append(c);
                    at += 2;
                } else if (c == '{') {
                    int close = close(format, at + 1);
                    out.append(field(format.substring(at + 1, close), level));
                    at = close + 1;
                } else if (c == '}') {
                    throw new Fault("the format string has a single '}'");
                } else {
                    out.append(c);
                    at++;
                }
            }
            budget.characters(out.length());
            return out.toString();
        }

        private int close(String format, int from) {
            int depth = 1;
            for (int i = from; i < format.length(); i++) {
                char c = format.charAt(i);
                depth += c == '{' ? 1 : c == '}' ? -1 : 0;
                if (depth == 0) {
                    return i;
                }
            }
            throw new Fault("the format string has a '{' without an end");
        }

        private String field(String field, int level) {
            if (level > 1) {
                throw new Fault("the fields of a format string are nested too deeply");
            }
            int colon = field.indexOf(':');
            String spec = colon < 0 ? "" : fill(field.substring(colon + 1), level + 1);
            String head = colon < 0 ? field : field.substring(0, colon);
            int bang = head.indexOf('!');
            String conversion = bang < 0 ? "" : head.substring(bang + 1);
            Object value = lookUp(bang < 0 ? head : head.substring(0, bang));
            return switch (conversion) {
                case "" -> FormatSpec.apply(budget, value, spec);
                case "s" -> FormatSpec.apply(budget, Spelling.text(budget, value), spec);
                case "r", "a" -> FormatSpec.apply(budget, Spelling.repr(budget, value), spec);
                default ->
                        throw new Fault(
                                "the format string has an unknown conversion '!"
                                        + conversion
                                        + "'");
            };
        }

        private @Nullable Object lookUp(String path) {
            int at = 0;
            while (at < path.length() && path.charAt(at) != '.' && path.charAt(at) != '[') {
                at++;
            }
            Object value = first(path.substring(0, at));
            while (at < path.length()) {
                boolean index = path.charAt(at) == '[';
                int end = at + 1;
                while (end < path.length()
                        && (index
                                ? path.charAt(end) != ']'
                                : path.charAt(end) != '.' && path.charAt(end) != '[')) {
                    end++;
                }
                String name = path.substring(at + 1, end);
                if (name.isEmpty()
                        || (index && end == path.length())
                        || (!index && path.charAt(at) != '.')) {
                    throw new Fault("the format string has a malformed field '" + path + "'");
                }
                value =
                        index
                                ? Attributes.item(budget, value, key(name))
                                : Attributes.attribute(budget, value, name);
                if (value instanceof Value.Undefined missing) {
                    throw missing.fault();
                }
                at = index ? end + 1 : end;
            }
            return value;
        }

        private static Object key(String name) {
            boolean digits = name.length() < 10 && name.chars().allMatch(c -> c >= '0' && c <= '9');
            return digits ? (Object) Long.parseLong(name) : name;
        }

        private @Nullable Object first(String name) {
            if (name.isEmpty() || key(name) instanceof Long) {
                int index = name.isEmpty() ? automatic++ : Integer.parseInt(name);
                if (index >= args.size()) {
                    throw new Fault("the format string needs more values");
                }
                return args.positional().get(index);
            }
            if (!args.named().containsKey(name)) {
                throw new Fault("the format string names '" + name + "', which is not given");
            }
            return args.named().get(name);
        }
    }

    static String character(@Nullable Object value) {
        String text = Value.textOrNull(value);
        if (text != null && text.codePointCount(0, text.length()) == 1) {
            return text;
        }
        int point = text == null ? Arithmetic.clip(value) : -1;
        if (!Character.isValidCodePoint(point)) {
            throw new Fault("the format type 'c' needs one character");
        }
        return Character.toString(point);
    }
}
