package brantas.text;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The parameter schemas of the tools a request offered, found by function name, as far as output
/// parsing needs them. Takes tool objects as plain maps; what does not have the expected shape
/// counts as absent, because a request is checked elsewhere.
final class ToolTypes {
    private static final Parameters UNKNOWN = new Parameters(null);

    private final Map<String, Parameters> functions;

    private ToolTypes(Map<String, Parameters> functions) {
        this.functions = functions;
    }

    /// @param tools `{"type": "function", "function": {"name", "parameters"}}` each; the inner
    ///   object alone is taken too
    static ToolTypes of(@Nullable List<@Nullable Object> tools) {
        Map<String, Parameters> functions = new LinkedHashMap<>();
        for (Object tool : tools == null ? List.of() : tools) {
            Object inner = tool instanceof Map<?, ?> outer ? outer.get("function") : null;
            Object function = inner instanceof Map<?, ?> ? inner : tool;
            if (function instanceof Map<?, ?> map && map.get("name") instanceof String name) {
                functions.putIfAbsent(name, new Parameters(map.get("parameters")));
            }
        }
        return new ToolTypes(functions);
    }

    boolean knows(String function) {
        return functions.containsKey(function);
    }

    /// The parameters of a function; any key of any type if it is not known.
    Parameters of(String function) {
        return functions.getOrDefault(function, UNKNOWN);
    }

    /// The parameters of one function.
    static final class Parameters {
        private final @Nullable Object schema;
        private final @Nullable Map<?, ?> properties;
        private final @Nullable Object others;

        private Parameters(@Nullable Object schema) {
            Map<?, ?> map = schema instanceof Map<?, ?> object ? object : Map.of();
            boolean typed = map.get("properties") instanceof Map<?, ?> some && !some.isEmpty();
            this.schema = schema;
            this.properties = typed ? (Map<?, ?>) map.get("properties") : null;
            this.others = map.get("additionalProperties");
        }

        /// Whether the schema names this key.
        boolean declares(String key) {
            return properties != null && properties.containsKey(key);
        }

        /// Whether a parameter of this name may follow another one.
        boolean accepts(String key) {
            boolean open = others instanceof Map<?, ?> || Boolean.TRUE.equals(others);
            return properties == null || open || properties.containsKey(key);
        }

        /// The value of a parameter by its schema; the text itself if it does not fit.
        @Nullable Object convert(String key, String text) {
            if (declares(key) && properties != null) {
                return ArgumentType.of(properties.get(key), schema).convert(text);
            }
            if (others instanceof Map<?, ?> || properties == null) {
                return ArgumentType.of(others, schema).convert(text);
            }
            return text;
        }
    }
}
