package brantas.text;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// What a JSON schema says about one tool argument: the kinds of value it allows, in declared
/// order, and its listed values. Converts the text between parameter tags to such a value (spec
/// 8.6). It is no validator: ranges, patterns and nested schemas are not looked at, and text that
/// fits nothing stays a string.
final class ArgumentType {
    private enum Kind {
        STRING,
        NULL,
        BOOLEAN,
        INTEGER,
        NUMBER,
        ARRAY,
        OBJECT
    }

    /// Schemas looked at for one argument; bounds references that lead back to themselves.
    private static final int MOST_SCHEMAS = 256;

    private static final int LONGEST_REFERENCE = 512;
    private static final Pattern INTEGER = Pattern.compile("[+-]?[0-9]{1,1000}(\\.0{1,1000})?");

    private final Set<Kind> kinds = new LinkedHashSet<>();
    private final List<Object> listed = new ArrayList<>();
    private final @Nullable Object root;
    private int visited;

    private ArgumentType(@Nullable Object root) {
        this.root = root;
    }

    /// @param schema of the argument, a map; anything else allows every value
    /// @param root of the function's parameters, for references
    static ArgumentType of(@Nullable Object schema, @Nullable Object root) {
        ArgumentType type = new ArgumentType(root);
        type.kinds.addAll(type.visit(schema));
        return type;
    }

    /// The kinds a schema allows; empty if it does not say.
    private Set<Kind> visit(@Nullable Object node) {
        Set<Kind> found = new LinkedHashSet<>();
        if (!(node instanceof Map<?, ?> schema) || visited++ >= MOST_SCHEMAS) {
            return found;
        }
        if (schema.get("type") instanceof List<?> names) {
            names.forEach(name -> kind(name).ifPresent(found::add));
        } else {
            kind(schema.get("type")).ifPresent(found::add);
        }
        list(schema, found);
        if (found.isEmpty()) {
            found.addAll(visit(referenced(schema.get("$ref"))));
            visitAll(schema.get("anyOf"), found);
            visitAll(schema.get("oneOf"), found);
            narrow(schema.get("allOf"), found);
        }
        if (found.isEmpty() && schema.containsKey("properties")) {
            found.add(Kind.OBJECT);
        }
        if (found.isEmpty() && schema.containsKey("items")) {
            found.add(Kind.ARRAY);
        }
        if (!found.isEmpty() && Boolean.TRUE.equals(schema.get("nullable"))) {
            found.add(Kind.NULL);
        }
        return found;
    }

    private void visitAll(@Nullable Object options, Set<Kind> found) {
        if (options instanceof List<?> list) {
            list.forEach(option -> found.addAll(visit(option)));
        }
    }

    private void narrow(@Nullable Object parts, Set<Kind> found) {
        if (parts instanceof List<?> list) {
            for (Object part : list) {
                Set<Kind> next = visit(part);
                if (found.isEmpty()) {
                    found.addAll(next);
                } else if (!next.isEmpty()) {
                    found.retainAll(next);
                }
            }
        }
    }

    /// Takes `enum` and `const`; they also tell the kinds where no type does.
    private void list(Map<?, ?> schema, Set<Kind> found) {
        List<Object> values = new ArrayList<>();
        if (schema.get("enum") instanceof List<?> options) {
            options.forEach(value -> values.add(value == null ? Kind.NULL : value));
        }
        Object constant = schema.get("const");
        if (constant != null) {
            values.add(constant);
        }
        boolean untyped = found.isEmpty();
        for (Object value : values) {
            if (untyped) {
                found.add(kindOf(value));
            }
        }
        listed.addAll(values);
    }

    private @Nullable Object referenced(@Nullable Object reference) {
        if (!(reference instanceof String path)
                || !path.startsWith("#")
                || path.length() > LONGEST_REFERENCE) {
            return null;
        }
        Object at = root;
        for (String step : path.substring(1).split("/", -1)) {
            String name = step.replace("~1", "/").replace("~0", "~");
            if (!name.isEmpty()) {
                at = at instanceof Map<?, ?> map ? map.get(name) : null;
            }
        }
        return at;
    }

    private static Optional<Kind> kind(@Nullable Object name) {
        for (Kind kind : Kind.values()) {
            if (kind.name().toLowerCase(Locale.ROOT).equals(name)) {
                return Optional.of(kind);
            }
        }
        return Optional.empty();
    }

    private static Kind kindOf(Object value) {
        return switch (value) {
            case String _ -> Kind.STRING;
            case Boolean _ -> Kind.BOOLEAN;
            case Double _, Float _ -> Kind.NUMBER;
            case Number _ -> Kind.INTEGER;
            case List<?> _ -> Kind.ARRAY;
            case Map<?, ?> _ -> Kind.OBJECT;
            default -> Kind.NULL;
        };
    }

    /// The value a text stands for: null, Boolean, Long, BigInteger, Double, String, List or Map.
    @Nullable Object convert(String text) {
        if (kinds.isEmpty()) {
            Optional<JsonText.Value> json = JsonText.parse(text);
            return json.isPresent() && !(json.get().value() instanceof String)
                    ? json.get().value()
                    : text;
        }
        String trimmed = text.strip();
        boolean none = trimmed.equalsIgnoreCase("null") || trimmed.equalsIgnoreCase("none");
        if (none && (kinds.contains(Kind.NULL) || !kinds.contains(Kind.STRING))) {
            return null;
        }
        Object match = listedValue(text, trimmed);
        if (match != null) {
            return match;
        }
        return typed(text, trimmed);
    }

    private @Nullable Object listedValue(String text, String trimmed) {
        for (Object value : listed) {
            if (value.equals(text)) {
                return value;
            }
        }
        for (Object value : listed) {
            boolean same =
                    value instanceof Boolean
                            ? value.toString().equalsIgnoreCase(trimmed)
                            : value.toString().equals(trimmed);
            if (same && value != Kind.NULL) {
                return value instanceof Integer || value instanceof Short
                        ? Long.valueOf(((Number) value).longValue())
                        : value;
            }
        }
        return null;
    }

    /// Tries the kinds in declared order; a string takes every text, so it comes last unless first.
    private Object typed(String text, String trimmed) {
        Optional<Kind> first = kinds.stream().filter(kind -> kind != Kind.NULL).findFirst();
        if (first.equals(Optional.of(Kind.STRING))) {
            return text;
        }
        for (Kind kind : kinds) {
            Optional<Object> value = one(kind, trimmed);
            if (value.isPresent()) {
                return value.get();
            }
        }
        return text;
    }

    private static Optional<Object> one(Kind kind, String text) {
        return switch (kind) {
            case BOOLEAN ->
                    text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")
                            ? Optional.of(text.equalsIgnoreCase("true"))
                            : Optional.empty();
            case INTEGER -> integer(text);
            case NUMBER -> json(text).filter(Number.class::isInstance);
            case ARRAY, OBJECT -> container(text);
            case STRING, NULL -> Optional.empty();
        };
    }

    private static Optional<Object> integer(String text) {
        if (!INTEGER.matcher(text).matches()) {
            return Optional.empty();
        }
        int point = text.indexOf('.');
        String digits =
                text.substring(text.startsWith("+") ? 1 : 0, point < 0 ? text.length() : point);
        return Optional.of(JsonText.whole(new BigInteger(digits)));
    }

    private static Optional<Object> container(String text) {
        Optional<Object> value = json(text).or(() -> tolerant(text));
        if (value.isPresent() && value.get() instanceof String inner) {
            value = json(inner);
        }
        return value.filter(v -> v instanceof List<?> || v instanceof Map<?, ?>);
    }

    private static Optional<Object> json(String text) {
        return JsonText.parse(text).flatMap(v -> Optional.ofNullable(v.value()));
    }

    private static Optional<Object> tolerant(String text) {
        return JsonText.parseTolerant(text).flatMap(v -> Optional.ofNullable(v.value()));
    }
}
