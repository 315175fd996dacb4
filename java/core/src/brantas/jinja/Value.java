package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The values of a template that plain Java has no type for. The others are null (none), `Boolean`,
/// `Long` or (beyond 64 bits) `BigInteger`, `Double`, `String`, `List` and `Map`, which keeps its
/// order. No other Java type exists inside a template, and none of these gives access to Java.
sealed interface Value {
    /// A name or attribute that is not there. Prints as nothing, is false and empty; anything else
    /// done to it fails with the complaint.
    record Undefined(String complaint) implements Value {
        Fault fault() {
            return new Fault(complaint);
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Undefined;
        }

        @Override
        public int hashCode() {
            return 0;
        }
    }

    /// A tuple; `group` marks one made by `groupby`, which also answers `grouper` and `list`.
    record Tuple(List<@Nullable Object> items, boolean group) implements Value {
        Tuple(List<@Nullable Object> items) {
            this(items, false);
        }

        /// Equality as a key of a dict, where a tuple holds plain values only.
        @Override
        public boolean equals(@Nullable Object other) {
            if (!(other instanceof Tuple that) || that.items.size() != items.size()) {
                return false;
            }
            for (int i = 0; i < items.size(); i++) {
                if (!Comparison.plainEqual(items.get(i), that.items.get(i))) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public int hashCode() {
            int hash = items.size();
            for (Object item : items) {
                hash = 31 * hash + Comparison.plainHash(item);
            }
            return hash;
        }
    }

    /// What `range` gives; at most 100,000 numbers.
    record Range(long start, long stop, long step) implements Value {
        static final int MAX = 100_000;

        int size() {
            if (step > 0 ? start >= stop : start <= stop) {
                return 0;
            }
            return (int) ((Math.abs(stop - start) - 1) / Math.abs(step) + 1);
        }

        @Nullable Object get(int index) {
            return start + index * step;
        }
    }

    /// What a filter such as `map` gives: true, without length, and empty once it has been read.
    final class Lazy implements Value {
        private List<@Nullable Object> rest;

        Lazy(List<@Nullable Object> items) {
            this.rest = items;
        }

        List<@Nullable Object> take() {
            List<@Nullable Object> all = rest;
            rest = List.of();
            return all;
        }
    }

    /// `dict.keys()`, `dict.values()` and `dict.items()`.
    record View(String name, List<@Nullable Object> items) implements Value {}

    /// `namespace(...)`: the only thing a template can change.
    record Namespace(Map<String, @Nullable Object> fields) implements Value {}

    /// Text marked by `safe` or `escape`: what `+` adds to it is escaped.
    record Safe(String text) implements Value {}

    /// What can be called.
    non-sealed interface Callable extends Value {
        String name();

        @Nullable Object call(Budget budget, Arguments args);
    }

    /// A value with attributes of its own, such as a loop or a macro.
    non-sealed interface Host extends Value {
        /// The attribute, or an [Undefined].
        @Nullable Object attribute(String name);

        String print();
    }

    /// A callable made from a Java method.
    record Function(String name, Body body) implements Callable {
        @FunctionalInterface
        interface Body {
            @Nullable Object call(Budget budget, Arguments args);
        }

        @Override
        public @Nullable Object call(Budget budget, Arguments args) {
            return body.call(budget, args);
        }
    }

    /// Whether both are the very same object, as Python's `is`.
    @SuppressWarnings("ReferenceEquality") // The one place where identity is meant.
    static boolean identical(@Nullable Object value, @Nullable Object other) {
        return value == other;
    }

    /// Strings and safe strings as text, null for everything else.
    static @Nullable String textOrNull(@Nullable Object value) {
        return switch (value) {
            case String text -> text;
            case Safe safe -> safe.text();
            case null, default -> null;
        };
    }

    /// Python's name of a value's type, for messages.
    static String type(@Nullable Object value) {
        return switch (value) {
            case null -> "NoneType";
            case Boolean _ -> "bool";
            case Double _ -> "float";
            case Number _ -> "int";
            case String _ -> "str";
            case Safe _ -> "Markup";
            case List<?> _ -> "list";
            case Map<?, ?> _ -> "dict";
            case Undefined _ -> "Undefined";
            case Tuple _ -> "tuple";
            case Range _ -> "range";
            case Lazy _ -> "generator";
            case View view -> view.name();
            case Namespace _ -> "Namespace";
            case Callable _ -> "function";
            default -> "object";
        };
    }

    static boolean truth(@Nullable Object value) {
        return switch (value) {
            case null -> false;
            case Boolean flag -> flag;
            case Double number -> number != 0;
            case Long number -> number != 0;
            case String text -> !text.isEmpty();
            case Safe safe -> !safe.text().isEmpty();
            case List<?> list -> !list.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            case Undefined _ -> false;
            case Tuple tuple -> !tuple.items().isEmpty();
            case Range range -> range.size() > 0;
            case View view -> !view.items().isEmpty();
            default -> true;
        };
    }

    /// Number of elements, or -1 for what has no length.
    static int length(Budget budget, @Nullable Object value) {
        String text = textOrNull(value);
        if (text != null) {
            budget.characters(text.length() / 16);
            return text.codePointCount(0, text.length());
        }
        return switch (value) {
            case List<?> list -> list.size();
            case Map<?, ?> map -> map.size();
            case Undefined _ -> 0;
            case Tuple tuple -> tuple.items().size();
            case Range range -> range.size();
            case View view -> view.items().size();
            case null, default -> -1;
        };
    }

    /// Whether `for` can walk the value.
    static boolean iterable(@Nullable Object value) {
        return switch (value) {
            case String _, Safe _, List<?> _, Map<?, ?> _, Undefined _, Tuple _ -> true;
            case Range _, Lazy _, View _ -> true;
            case null, default -> false;
        };
    }

    /// The elements that `for` would see, in order; not to be changed.
    static List<@Nullable Object> elements(Budget budget, @Nullable Object value) {
        String text = textOrNull(value);
        if (text != null) {
            budget.steps(text.length());
            List<@Nullable Object> characters = new ArrayList<>(text.length());
            text.codePoints().forEach(point -> characters.add(Character.toString(point)));
            return characters;
        }
        return switch (value) {
            case List<?> list -> cast(list);
            case Map<?, ?> map -> {
                budget.steps(map.size());
                yield new ArrayList<>(map.keySet());
            }
            case Undefined _ -> List.of();
            case Tuple tuple -> tuple.items();
            case Range range -> {
                budget.steps(range.size());
                List<@Nullable Object> numbers = new ArrayList<>(range.size());
                for (int i = 0; i < range.size(); i++) {
                    numbers.add(range.get(i));
                }
                yield numbers;
            }
            case Lazy lazy -> lazy.take();
            case View view -> view.items();
            case null, default -> throw new Fault("'" + type(value) + "' object is not iterable");
        };
    }

    @SuppressWarnings("unchecked")
    static List<@Nullable Object> cast(List<?> list) {
        return (List<@Nullable Object>) list;
    }

    @SuppressWarnings("unchecked")
    static Map<@Nullable Object, @Nullable Object> cast(Map<?, ?> map) {
        return (Map<@Nullable Object, @Nullable Object>) map;
    }

    /// The evaluated arguments of one call, and how a built-in function reads them: by position or
    /// by name, with the checks that Python makes. Filters and tests receive what stands in their
    /// parentheses; the filtered value comes separately.
    record Arguments(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        static final Arguments NONE = new Arguments(List.of(), Map.of());

        static Arguments of(List<@Nullable Object> positional) {
            return new Arguments(positional, Map.of());
        }

        int size() {
            return positional.size();
        }

        /// Checks the call against parameter names, of which the first `required` must be there.
        Arguments expect(String function, int required, String... names) {
            if (positional.size() > names.length) {
                throw new Fault(
                        function
                                + "() takes at most "
                                + names.length
                                + " arguments, not "
                                + positional.size());
            }
            List<String> known = List.of(names);
            for (String name : named.keySet()) {
                int at = known.indexOf(name);
                if (at < 0) {
                    throw new Fault(function + "() has no argument named '" + name + "'");
                }
                if (at < positional.size()) {
                    throw new Fault(function + "() has two values for argument '" + name + "'");
                }
            }
            for (int i = positional.size(); i < required; i++) {
                if (!named.containsKey(names[i])) {
                    throw new Fault(function + "() needs the argument '" + names[i] + "'");
                }
            }
            return this;
        }

        boolean has(int index, String name) {
            return index < positional.size() || named.containsKey(name);
        }

        @Nullable Object get(int index, String name) {
            return index < positional.size() ? positional.get(index) : named.get(name);
        }

        @Nullable Object get(int index, String name, @Nullable Object fallback) {
            return has(index, name) ? get(index, name) : fallback;
        }

        boolean flag(int index, String name, boolean fallback) {
            return has(index, name) ? Value.truth(get(index, name)) : fallback;
        }

        /// A string argument; none and absence give the fallback.
        String text(int index, String name, String fallback) {
            Object value = get(index, name);
            if (value == null) {
                return fallback;
            }
            String text = Value.textOrNull(value);
            if (text == null) {
                throw new Fault(
                        "argument '" + name + "' must be a string, not " + Value.type(value));
            }
            return text;
        }

        /// An integer argument, clipped to the range of `int`; none and absence give the fallback.
        int integer(int index, String name, int fallback) {
            Object value = get(index, name);
            return value == null ? fallback : Arithmetic.clip(value);
        }

        /// The same call with one more positional argument in front.
        Arguments dropFirst() {
            return new Arguments(positional.subList(1, positional.size()), named);
        }

        Arguments without(String name) {
            Map<String, @Nullable Object> rest = new LinkedHashMap<>(named);
            rest.remove(name);
            return new Arguments(positional, rest);
        }
    }
}
