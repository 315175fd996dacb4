package brantas.text;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Reads one JSON value from a short text that a model wrote, such as a tool argument. Strict by
/// default; the tolerant form also takes Python's spelling of the same data. Gives `LinkedHashMap`,
/// `List`, `String`, `Long`, `BigInteger`, `Double`, `Boolean` or null. Time is linear; depth and
/// size are bounded. Files and requests are read elsewhere, by a JSON library.
final class JsonText {
    static final int MOST_CHARS = 16 << 20;
    static final int MOST_DEPTH = 128;

    /// Digits of a number; keeps the conversion of hostile ones cheap.
    static final int MOST_DIGITS = 1000;

    /// A value that was read; the wrapper tells null from nothing.
    record Value(@Nullable Object value) {}

    /// Not JSON; never leaves this class.
    private static final class Malformed extends Exception {
        private static final long serialVersionUID = 1L;

        Malformed() {
            super("not JSON", null, false, false);
        }
    }

    private static final BigInteger LEAST = BigInteger.valueOf(Long.MIN_VALUE);
    private static final BigInteger MOST = BigInteger.valueOf(Long.MAX_VALUE);

    private final String text;
    private final boolean tolerant;
    private int at;

    private JsonText(String text, boolean tolerant) {
        this.text = text;
        this.tolerant = tolerant;
    }

    /// The value of a text that is one JSON value with whitespace around it, else nothing.
    static Optional<Value> parse(String text) {
        return parse(text, false);
    }

    /// As [#parse(String)], and also single quotes, `True`, `False`, `None`, a comma before a
    /// closing bracket, and control characters in strings.
    static Optional<Value> parseTolerant(String text) {
        return parse(text, true);
    }

    private static Optional<Value> parse(String text, boolean tolerant) {
        if (text.length() > MOST_CHARS) {
            return Optional.empty();
        }
        try {
            JsonText reader = new JsonText(text, tolerant);
            Object value = reader.value(0);
            reader.space();
            return reader.at == text.length() ? Optional.of(new Value(value)) : Optional.empty();
        } catch (Malformed e) {
            return Optional.empty();
        }
    }

    /// A whole number as `Long` if it fits.
    static Object whole(BigInteger value) {
        boolean fits = value.compareTo(LEAST) >= 0 && value.compareTo(MOST) <= 0;
        return fits ? (Object) value.longValue() : value;
    }

    private @Nullable Object value(int depth) throws Malformed {
        space();
        if (depth > MOST_DEPTH) {
            throw new Malformed();
        }
        char c = peek();
        return switch (c) {
            case '{' -> object(depth);
            case '[' -> array(depth);
            case '"' -> string();
            case '\'' -> tolerant ? string() : word();
            case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> number();
            default -> word();
        };
    }

    private Map<String, @Nullable Object> object(int depth) throws Malformed {
        Map<String, @Nullable Object> members = new LinkedHashMap<>();
        at++;
        boolean more = !closes('}');
        while (more) {
            space();
            char quote = peek();
            if (quote != '"' && !(tolerant && quote == '\'')) {
                throw new Malformed();
            }
            String key = string();
            space();
            expect(':');
            members.put(key, value(depth + 1));
            more = continues('}');
        }
        return members;
    }

    private List<@Nullable Object> array(int depth) throws Malformed {
        List<@Nullable Object> items = new ArrayList<>();
        at++;
        boolean more = !closes(']');
        while (more) {
            items.add(value(depth + 1));
            more = continues(']');
        }
        return items;
    }

    /// After a member: whether another one follows.
    private boolean continues(char close) throws Malformed {
        if (closes(close)) {
            return false;
        }
        expect(',');
        return !(tolerant && closes(close));
    }

    private boolean closes(char close) throws Malformed {
        space();
        if (peek() != close) {
            return false;
        }
        at++;
        return true;
    }

    private String string() throws Malformed {
        char quote = text.charAt(at++);
        int start = at;
        StringBuilder escaped = null;
        while (true) {
            char c = peek();
            at++;
            if (c == quote) {
                String rest = text.substring(start, at - 1);
                return escaped == null ? rest : escaped.append(rest).toString();
            }
            if (c < ' ' && !tolerant) {
                throw new Malformed();
            }
            if (c == '\\') {
                escaped = escaped == null ? new StringBuilder() : escaped;
                escaped.append(text, start, at - 1).append(escape());
                start = at;
            }
        }
    }

    private char escape() throws Malformed {
        char c = peek();
        at++;
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unicode();
            case '\'' -> {
                if (!tolerant) {
                    throw new Malformed();
                }
                yield c;
            }
            default -> throw new Malformed();
        };
    }

    private char unicode() throws Malformed {
        int unit = 0;
        for (int i = 0; i < 4; i++) {
            char c = peek();
            int digit = c < 128 ? Character.digit(c, 16) : -1;
            if (digit < 0) {
                throw new Malformed();
            }
            unit = unit << 4 | digit;
            at++;
        }
        return (char) unit;
    }

    private Object number() throws Malformed {
        int start = at;
        at += peek() == '-' ? 1 : 0;
        int first = at;
        digits();
        if (text.charAt(first) == '0' && at - first > 1) {
            throw new Malformed();
        }
        boolean whole = true;
        if (at < text.length() && text.charAt(at) == '.') {
            at++;
            digits();
            whole = false;
        }
        if (at < text.length() && (text.charAt(at) | 0x20) == 'e') {
            at++;
            char sign = peek();
            at += sign == '+' || sign == '-' ? 1 : 0;
            digits();
            whole = false;
        }
        if (at - start > MOST_DIGITS) {
            throw new Malformed();
        }
        String number = text.substring(start, at);
        if (whole) {
            return whole(new BigInteger(number));
        }
        double value = Double.parseDouble(number);
        if (Double.isInfinite(value)) {
            throw new Malformed();
        }
        return value;
    }

    private void digits() throws Malformed {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw new Malformed();
        }
    }

    private @Nullable Object word() throws Malformed {
        int start = at;
        while (at < text.length() && Character.isLetter(text.charAt(at)) && at - start < 6) {
            at++;
        }
        String word = text.substring(start, at);
        String plain =
                switch (word) {
                    case "True", "False" -> tolerant ? word.toLowerCase(Locale.ROOT) : "";
                    case "None" -> tolerant ? "null" : "";
                    default -> word;
                };
        return switch (plain) {
            case "true" -> true;
            case "false" -> false;
            case "null" -> null;
            default -> throw new Malformed();
        };
    }

    private void space() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() throws Malformed {
        if (at >= text.length()) {
            throw new Malformed();
        }
        return text.charAt(at);
    }

    private void expect(char c) throws Malformed {
        if (peek() != c) {
            throw new Malformed();
        }
        at++;
    }
}
