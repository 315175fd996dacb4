package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// `value.name`, `value[key]` and `value[a:b:c]`, and the methods of lists, tuples, dicts and
/// numbers. A name with a dot prefers a method over a key, a subscript prefers the key. Methods
/// that would change a value, and names with leading double underscores, are refused.
final class Attributes {
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");
    private static final Set<String> DICT_CHANGES =
            Set.of("clear", "pop", "popitem", "setdefault", "update");

    private Attributes() {}

    /// `target.name`.
    static @Nullable Object attribute(Budget budget, @Nullable Object target, String name) {
        if (target instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        if (name.startsWith("__")) {
            return missing(target, name);
        }
        Object own = own(target, name);
        if (!(own instanceof Value.Undefined)) {
            return own;
        }
        if (target instanceof Map<?, ?> map && !DICT_CHANGES.contains(name)) {
            return entry(budget, Value.cast(map), name);
        }
        return own;
    }

    /// `target[key]`.
    static @Nullable Object item(Budget budget, @Nullable Object target, @Nullable Object key) {
        if (target instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        if (target instanceof Map<?, ?> map) {
            if (key instanceof List<?> || key instanceof Map<?, ?>) {
                return missing(target, Value.type(key));
            }
            Object found = entry(budget, Value.cast(map), key);
            if (!(found instanceof Value.Undefined)) {
                return found;
            }
        }
        String name = Value.textOrNull(key);
        if (name != null) {
            return name.startsWith("__") ? missing(target, name) : own(target, name);
        }
        Object index = Arithmetic.number(key);
        if (index instanceof Long at) {
            return element(budget, target, at);
        }
        return missing(target, Spelling.repr(budget, key));
    }

    private static @Nullable Object entry(
            Budget budget, Map<@Nullable Object, @Nullable Object> map, @Nullable Object key) {
        Object known = Comparison.key(budget, map, key);
        Object found = map.get(known);
        return found != null || map.containsKey(known)
                ? found
                : missing(map, Spelling.text(budget, key));
    }

    private static @Nullable Object element(Budget budget, @Nullable Object target, long at) {
        int length = Value.length(budget, target);
        long index = at < 0 ? at + length : at;
        if (index >= 0 && index < length) {
            int i = (int) index;
            String text = Value.textOrNull(target);
            if (text != null) {
                return Character.toString(text.codePointAt(text.offsetByCodePoints(0, i)));
            }
            switch (target) {
                case List<?> list -> {
                    return list.get(i);
                }
                case Value.Tuple tuple -> {
                    return tuple.items().get(i);
                }
                case Value.Range range -> {
                    return range.get(i);
                }
                case null, default -> {}
            }
        }
        return missing(target, Long.toString(at));
    }

    private static Value.Undefined missing(@Nullable Object target, String name) {
        String owner = target == null ? "none" : "a value of type " + Value.type(target);
        String shown = name.length() > 60 ? name.substring(0, 60) + "…" : name;
        return new Value.Undefined(owner + " has no attribute '" + shown + "'");
    }

    /// What the value itself answers, keys of a dict aside.
    private static @Nullable Object own(@Nullable Object target, String name) {
        Object found =
                switch (target) {
                    case String text -> TextMethods.find(text, name);
                    case Value.Safe safe -> safeMethod(safe, name);
                    case Map<?, ?> map -> dict(Value.cast(map), name);
                    case List<?> list -> list(list, Value.cast(list), name);
                    case Value.Tuple tuple -> tuple(tuple, name);
                    case Value.Namespace space ->
                            space.fields().containsKey(name)
                                    ? space.fields().get(name)
                                    : missing(target, name);
                    case Value.Host host -> host.attribute(name);
                    case Boolean flag -> number(flag, name);
                    case Number number -> number(number, name);
                    case Value.Range range -> range(range, name);
                    case null, default -> missing(target, name);
                };
        return Value.identical(found, NONE) ? missing(target, name) : found;
    }

    /// Stands for "no such method" where null would mean none.
    static final Object NONE = new Object();

    private static Object safeMethod(Value.Safe safe, String name) {
        Object method = TextMethods.find(safe.text(), name);
        if (!(method instanceof Value.Callable callable)) {
            return method;
        }
        return new Value.Function(
                name,
                (budget, args) -> {
                    Object result = callable.call(budget, args);
                    return result instanceof String text ? new Value.Safe(text) : result;
                });
    }

    private static Object dict(Map<@Nullable Object, @Nullable Object> map, String name) {
        if (DICT_CHANGES.contains(name)) {
            return refused(name, "dict");
        }
        return switch (name) {
            case "items" -> method(name, (budget, _) -> items(budget, map));
            case "keys" ->
                    method(
                            name,
                            (budget, _) ->
                                    new Value.View("dict_keys", Value.elements(budget, map)));
            case "values" ->
                    method(
                            name,
                            (budget, _) -> {
                                budget.steps(map.size());
                                return new Value.View("dict_values", new ArrayList<>(map.values()));
                            });
            case "copy" -> method(name, (_, _) -> map);
            case "get" ->
                    method(
                            name,
                            (budget, args) -> {
                                args.expect("get", 1, "key", "default");
                                Object key = Comparison.key(budget, map, args.get(0, "key"));
                                return map.containsKey(key) ? map.get(key) : args.get(1, "default");
                            });
            default -> NONE;
        };
    }

    /// `dict.items()`: a view of pairs.
    static Value.View items(Budget budget, Map<@Nullable Object, @Nullable Object> map) {
        budget.steps(map.size());
        List<@Nullable Object> pairs = new ArrayList<>(map.size());
        map.forEach((key, value) -> pairs.add(pair(key, value)));
        return new Value.View("dict_items", pairs);
    }

    static Value.Tuple pair(@Nullable Object first, @Nullable Object second) {
        List<@Nullable Object> both = new ArrayList<>(2);
        both.add(first);
        both.add(second);
        return new Value.Tuple(both);
    }

    private static Object list(Object target, List<@Nullable Object> items, String name) {
        if (target instanceof List<?> && LIST_CHANGES.contains(name)) {
            return refused(name, "list");
        }
        return switch (name) {
            case "count" ->
                    method(
                            name,
                            (budget, args) -> {
                                Object wanted = args.expect("count", 1, "value").get(0, "value");
                                budget.steps(items.size());
                                return items.stream()
                                        .filter(item -> Comparison.equal(budget, item, wanted))
                                        .count();
                            });
            case "index" ->
                    method(
                            name,
                            (budget, args) -> {
                                Object wanted = args.expect("index", 1, "value").get(0, "value");
                                budget.steps(items.size());
                                for (int i = 0; i < items.size(); i++) {
                                    if (Comparison.equal(budget, items.get(i), wanted)) {
                                        return (long) i;
                                    }
                                }
                                throw new Fault("index() finds no such element");
                            });
            case "copy" -> target instanceof List<?> ? method(name, (_, _) -> target) : NONE;
            default -> NONE;
        };
    }

    private static @Nullable Object tuple(Value.Tuple tuple, String name) {
        if (tuple.group() && name.equals("grouper")) {
            return tuple.items().get(0);
        }
        if (tuple.group() && name.equals("list")) {
            return tuple.items().get(1);
        }
        return list(tuple, tuple.items(), name);
    }

    private static Object number(Object target, String name) {
        Object number = Arithmetic.plus(target);
        return switch (name) {
            case "real" -> number;
            case "imag" -> number instanceof Double ? (Object) 0.0 : (Object) 0L;
            case "is_integer" ->
                    number instanceof Double d
                            ? method(name, (_, _) -> Double.isFinite(d) && d == Math.rint(d))
                            : NONE;
            case "bit_length" ->
                    number instanceof Double
                            ? NONE
                            : method(
                                    name,
                                    (_, _) -> (long) Arithmetic.big(number).abs().bitLength());
            default -> NONE;
        };
    }

    private static Object range(Value.Range range, String name) {
        return switch (name) {
            case "start" -> range.start();
            case "stop" -> range.stop();
            case "step" -> range.step();
            default -> NONE;
        };
    }

    private static Value.Function method(String name, Value.Function.Body body) {
        return new Value.Function(name, body);
    }

    private static Value.Undefined refused(String name, String type) {
        return new Value.Undefined(
                "the method '" + name + "' would change a " + type + ", which is not allowed");
    }

    /// `target[start:stop:step]`; none for an absent bound.
    static Object slice(
            Budget budget,
            @Nullable Object target,
            @Nullable Object start,
            @Nullable Object stop,
            @Nullable Object step) {
        if (target instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        String text = Value.textOrNull(target);
        boolean sequence =
                text != null
                        || target instanceof List<?>
                        || target instanceof Value.Tuple
                        || target instanceof Value.Range;
        if (!sequence) {
            throw new Fault("a value of type " + Value.type(target) + " cannot be sliced");
        }
        int length = Value.length(budget, target);
        long stride = step == null ? 1 : Arithmetic.clip(step);
        if (stride == 0) {
            throw new Fault("the step of a slice cannot be zero");
        }
        long low = stride > 0 ? 0 : -1;
        long high = stride > 0 ? length : length - 1L;
        long from = bound(start, stride > 0 ? low : high, low, high);
        long to = bound(stop, stride > 0 ? high : low, low, high);
        if (text != null && stride == 1 && text.length() == length) {
            budget.characters(Math.max(0, to - from));
            return wrap(target, from < to ? text.substring((int) from, (int) to) : "");
        }
        List<@Nullable Object> all = Value.elements(budget, target);
        List<@Nullable Object> part = new ArrayList<>();
        for (long i = from; stride > 0 ? i < to : i > to; i += stride) {
            budget.step();
            part.add(all.get((int) i));
        }
        if (text != null) {
            StringBuilder joined = new StringBuilder();
            part.forEach(joined::append);
            return wrap(target, joined.toString());
        }
        return target instanceof Value.Tuple ? new Value.Tuple(part) : part;
    }

    private static Object wrap(@Nullable Object target, String text) {
        return target instanceof Value.Safe ? new Value.Safe(text) : text;
    }

    private static long bound(@Nullable Object value, long absent, long low, long high) {
        if (value == null) {
            return absent;
        }
        long index = Arithmetic.clip(value);
        // A negative index counts from the end, which is `high` or one above it.
        long length = low == 0 ? high : high + 1;
        return Math.clamp(index < 0 ? index + length : index, low, high);
    }
}
