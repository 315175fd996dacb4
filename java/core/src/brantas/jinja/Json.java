package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The filter `tojson` as chat templates know it: Python's `json.dumps` with non-ASCII kept and
/// nothing escaped for HTML. Key order is the map's unless `sort_keys` is asked for.
final class Json {
    private static final String SHORT = "\"\\\b\f\n\r\t";
    private static final String SHORT_ESCAPES = "\"\\bfnrt";

    private final Budget budget;
    private final StringBuilder out = new StringBuilder();
    private final boolean ascii;
    private final @Nullable String indent;
    private final boolean sorted;
    private String itemSeparator;
    private String keySeparator = ": ";

    private Json(Budget budget, Value.Arguments args) {
        this.budget = budget;
        this.ascii = args.flag(0, "ensure_ascii", false);
        this.indent = indent(budget, args.get(1, "indent"));
        this.sorted = args.flag(3, "sort_keys", false);
        this.itemSeparator = indent == null ? ", " : ",";
        if (args.get(2, "separators") != null) {
            List<@Nullable Object> pair = Value.elements(budget, args.get(2, "separators"));
            String item = pair.size() == 2 ? Value.textOrNull(pair.get(0)) : null;
            String key = pair.size() == 2 ? Value.textOrNull(pair.get(1)) : null;
            if (item == null || key == null) {
                throw new Fault("'separators' of tojson must be two strings");
            }
            this.itemSeparator = item;
            this.keySeparator = key;
        }
    }

    /// The filter: `tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
    static String filter(Budget budget, @Nullable Object value, Value.Arguments args) {
        args.expect("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        Json json = new Json(budget, args);
        json.write(value, 0);
        return json.out.toString();
    }

    private static @Nullable String indent(Budget budget, @Nullable Object indent) {
        if (indent == null) {
            return null;
        }
        String text = Value.textOrNull(indent);
        if (text != null) {
            return text;
        }
        int width = Math.max(0, Arithmetic.clip(indent));
        budget.characters(width);
        return " ".repeat(width);
    }

    private void write(@Nullable Object value, int level) {
        Budget.nesting(level);
        budget.step();
        String text = Value.textOrNull(value);
        if (text != null) {
            string(text);
            return;
        }
        switch (value) {
            case null -> append("null");
            case Boolean flag -> append(flag.toString());
            case Double number -> append(number(number));
            case Long number -> append(number.toString());
            case BigInteger number -> append(FormatSpec.integer(budget, number));
            case List<?> list -> array(list, level);
            case Value.Tuple tuple -> array(tuple.items(), level);
            case Map<?, ?> map -> object(Value.cast(map), level);
            default ->
                    throw new Fault("a value of type " + Value.type(value) + " has no JSON form");
        }
    }

    private static String number(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        return Double.isInfinite(value)
                ? value > 0 ? "Infinity" : "-Infinity"
                : FormatSpec.number(value);
    }

    private void array(List<?> items, int level) {
        if (items.isEmpty()) {
            append("[]");
            return;
        }
        append("[");
        boolean first = true;
        for (Object item : items) {
            separate(first, level + 1);
            write(item, level + 1);
            first = false;
        }
        newLine(level);
        append("]");
    }

    private void object(Map<@Nullable Object, @Nullable Object> map, int level) {
        if (map.isEmpty()) {
            append("{}");
            return;
        }
        append("{");
        boolean first = true;
        for (Object key : keys(map)) {
            separate(first, level + 1);
            string(keyText(key));
            append(keySeparator);
            write(map.get(key), level + 1);
            first = false;
        }
        newLine(level);
        append("}");
    }

    private List<@Nullable Object> keys(Map<@Nullable Object, @Nullable Object> map) {
        List<@Nullable Object> keys = new ArrayList<>(map.keySet());
        return sorted ? Comparison.sort(budget, keys, keys, false) : keys;
    }

    private String keyText(@Nullable Object key) {
        String text = Value.textOrNull(key);
        if (text != null) {
            return text;
        }
        return switch (key) {
            case null -> "null";
            case Boolean flag -> flag.toString();
            case Double number -> number(number);
            case Number number -> FormatSpec.integer(budget, number);
            default -> throw new Fault("a key of type " + Value.type(key) + " has no JSON form");
        };
    }

    private void separate(boolean first, int level) {
        if (!first) {
            append(itemSeparator);
        }
        newLine(level);
    }

    private void newLine(int level) {
        if (indent != null) {
            append("\n");
            for (int i = 0; i < level; i++) {
                append(indent);
            }
        }
    }

    private void append(String text) {
        budget.characters(text.length());
        out.append(text);
    }

    private void string(String text) {
        int before = out.length();
        out.append('"');
        int clean = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c == '"' || c == '\\' || (ascii && c > '~')) {
                out.append(text, clean, i);
                escape(c);
                clean = i + 1;
            }
        }
        out.append(text, clean, text.length()).append('"');
        budget.characters(out.length() - before);
    }

    private void escape(char c) {
        int known = SHORT.indexOf(c);
        out.append('\\');
        if (known >= 0) {
            out.append(SHORT_ESCAPES.charAt(known));
        } else {
            String hex = Integer.toHexString(c);
            out.append("u0000", 0, 5 - hex.length()).append(hex);
        }
    }
}
