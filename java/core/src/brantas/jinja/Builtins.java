package brantas.jinja;

import brantas.jinja.Node.Relation;
import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import brantas.jinja.Value.Arguments;
import java.math.BigInteger;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What every template knows: the tests behind `is`, and the global functions `namespace`, `range`,
/// `dict`, `cycler`, `joiner`, `raise_exception` and `strftime_now`.
final class Builtins {
    /// A test: the value before `is` and what follows the test's name.
    @FunctionalInterface
    interface Test {
        boolean holds(Budget budget, @Nullable Object value, Arguments args);
    }

    private static final Map<String, Test> TESTS = new HashMap<>();

    static {
        TESTS.put("boolean", (_, value, _) -> value instanceof Boolean);
        TESTS.put("callable", (_, value, _) -> callable(value));
        TESTS.put("defined", (_, value, _) -> !(value instanceof Value.Undefined));
        TESTS.put("divisibleby", (b, value, args) -> remainder(b, value, args.get(0, "num")) == 0);
        TESTS.put("escaped", (_, value, _) -> value instanceof Value.Safe);
        TESTS.put("even", (b, value, _) -> remainder(b, value, 2L) == 0);
        TESTS.put("false", (_, value, _) -> Boolean.FALSE.equals(value));
        TESTS.put("filter", (_, value, _) -> Filters.find(String.valueOf(value)) != null);
        TESTS.put("float", (_, value, _) -> value instanceof Double);
        TESTS.put("in", (b, value, args) -> Comparison.contains(b, args.get(0, "seq"), value));
        TESTS.put("integer", (_, value, _) -> value instanceof Long || value instanceof BigInteger);
        TESTS.put("iterable", (_, value, _) -> Value.iterable(value));
        TESTS.put("lower", (b, value, _) -> Spelling.cased(Spelling.text(b, value), false));
        TESTS.put("mapping", (_, value, _) -> value instanceof Map);
        TESTS.put("none", (_, value, _) -> value == null);
        TESTS.put("number", (_, value, _) -> Arithmetic.number(value) != null);
        TESTS.put("odd", (b, value, _) -> remainder(b, value, 2L) == 1);
        TESTS.put("sameas", (_, value, args) -> same(value, args.get(0, "other")));
        TESTS.put("sequence", (_, value, _) -> sequence(value));
        TESTS.put("string", (_, value, _) -> Value.textOrNull(value) != null);
        TESTS.put("test", (_, value, _) -> TESTS.containsKey(String.valueOf(value)));
        TESTS.put("true", (_, value, _) -> Boolean.TRUE.equals(value));
        TESTS.put("undefined", (_, value, _) -> value instanceof Value.Undefined);
        TESTS.put("upper", (b, value, _) -> Spelling.cased(Spelling.text(b, value), true));
        relation(Relation.EQUAL, "eq", "equalto");
        relation(Relation.NOT_EQUAL, "ne");
        relation(Relation.LESS, "lt", "lessthan");
        relation(Relation.LESS_EQUAL, "le");
        relation(Relation.GREATER, "gt", "greaterthan");
        relation(Relation.GREATER_EQUAL, "ge");
    }

    /// The global functions by name.
    static final Map<String, @Nullable Object> GLOBALS = Collections.unmodifiableMap(globals());

    private static Map<String, @Nullable Object> globals() {
        Map<String, @Nullable Object> all = new HashMap<>();
        global(all, "cycler", (_, args) -> new Cycler(args));
        global(all, "dict", Builtins::dict);
        global(all, "joiner", Builtins::joiner);
        global(all, "namespace", Builtins::namespace);
        global(all, "raise_exception", Builtins::raise);
        global(all, "range", Builtins::range);
        global(all, "strftime_now", Builtins::now);
        return all;
    }

    private Builtins() {}

    static @Nullable Test test(String name) {
        return TESTS.get(name);
    }

    private static void relation(Relation relation, String... names) {
        Test test =
                (budget, value, args) ->
                        Comparison.test(
                                budget,
                                relation,
                                value,
                                args.expect("the test", 1, "other").get(0, "other"));
        TESTS.put(relation.sign(), test);
        for (String name : names) {
            TESTS.put(name, test);
        }
    }

    private static void global(
            Map<String, @Nullable Object> all, String name, Value.Function.Body body) {
        all.put(name, new Value.Function(name, body));
    }

    // ---- tests ----

    private static boolean callable(@Nullable Object value) {
        return value instanceof Value.Callable || value instanceof Value.Undefined;
    }

    private static boolean sequence(@Nullable Object value) {
        return Value.iterable(value)
                && !(value instanceof Value.Lazy)
                && !(value instanceof Value.View);
    }

    private static boolean same(@Nullable Object value, @Nullable Object other) {
        if (Value.identical(value, other)) {
            return true;
        }
        return switch (value) {
            case Number number -> number.equals(other);
            case Boolean flag -> flag.equals(other);
            case String text -> text.equals(other);
            case null, default -> false;
        };
    }

    private static long remainder(Budget budget, @Nullable Object value, @Nullable Object by) {
        Object rest = Arithmetic.apply(budget, Node.Binary.MODULO, value, by);
        return rest instanceof Number number && Comparison.plainEqual(number, number.longValue())
                ? number.longValue()
                : -1;
    }

    // ---- globals ----

    private static @Nullable Object raise(Budget budget, Arguments args) {
        Object message = args.expect("raise_exception", 1, "message").get(0, "message");
        throw Fault.raised(Spelling.text(budget, message));
    }

    private static Value.Range range(Budget budget, Arguments args) {
        args.expect("range", 1, "start", "stop", "step");
        long first = bound(args.get(0, "start"));
        boolean one = args.size() == 1;
        long start = one ? 0 : first;
        long stop = one ? first : bound(args.get(1, "stop"));
        long step = args.size() < 3 ? 1 : bound(args.get(2, "step"));
        if (step == 0) {
            throw new Fault("the step of a range cannot be zero");
        }
        boolean empty = step > 0 ? start >= stop : start <= stop;
        if (!empty && (Math.abs(stop - start) - 1) / Math.abs(step) >= Value.Range.MAX) {
            throw new Fault("a range has more than " + Value.Range.MAX + " numbers");
        }
        return new Value.Range(start, stop, step);
    }

    private static long bound(@Nullable Object value) {
        Object number = Arithmetic.number(value);
        long limit = Long.MAX_VALUE / 4;
        if (number instanceof Long n && Math.abs(n) <= limit) {
            return n;
        }
        throw number instanceof Number
                ? new Fault("a bound of a range is too large or no integer")
                : new Fault("a range needs integers, not " + Value.type(value));
    }

    private static Map<@Nullable Object, @Nullable Object> dict(Budget budget, Arguments args) {
        Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
        if (args.size() > 1) {
            throw new Fault("dict() takes one value and names");
        }
        if (args.size() == 1) {
            Object source = args.positional().getFirst();
            List<@Nullable Object> pairs =
                    source instanceof Map<?, ?> from
                            ? Attributes.items(budget, Value.cast(from)).items()
                            : Value.elements(budget, source);
            budget.steps(pairs.size());
            for (Object pair : pairs) {
                List<@Nullable Object> both = Value.elements(budget, pair);
                if (both.size() != 2) {
                    throw new Fault("dict() needs pairs of a key and a value");
                }
                map.put(Comparison.key(budget, map, both.get(0)), both.get(1));
            }
        }
        map.putAll(args.named());
        return map;
    }

    private static Value.Namespace namespace(Budget budget, Arguments args) {
        Value.Namespace space = new Value.Namespace(new LinkedHashMap<>());
        dict(budget, args).forEach((name, value) -> store(space, String.valueOf(name), value));
        return space;
    }

    /// Sets a field of a namespace.
    static void store(Value.Namespace space, String name, @Nullable Object value) {
        if (name.startsWith("_")) {
            throw new Fault("a namespace cannot hold '" + name + "', which begins with '_'");
        }
        space.fields().put(name, value);
    }

    private static Value.Function joiner(Budget budget, Arguments args) {
        args.expect("joiner", 0, "sep");
        String separator = Spelling.text(budget, args.get(0, "sep", ", "));
        boolean[] used = new boolean[1];
        return new Value.Function(
                "joiner",
                (_, _) -> {
                    String text = used[0] ? separator : "";
                    used[0] = true;
                    return text;
                });
    }

    /// Walks through its values again and again.
    private static final class Cycler implements Value.Host {
        private final List<@Nullable Object> items;
        private int at;

        Cycler(Arguments args) {
            this.items = args.positional();
            if (items.isEmpty()) {
                throw new Fault("cycler() needs at least one value");
            }
        }

        @Override
        public @Nullable Object attribute(String name) {
            return switch (name) {
                case "current" -> items.get(at);
                case "next" -> new Value.Function(name, (_, _) -> next());
                case "reset" ->
                        new Value.Function(
                                name,
                                (_, _) -> {
                                    at = 0;
                                    return null;
                                });
                default -> Attributes.NONE;
            };
        }

        private @Nullable Object next() {
            Object item = items.get(at);
            at = (at + 1) % items.size();
            return item;
        }

        @Override
        public String print() {
            return "<Cycler>";
        }
    }

    private static final Map<Character, String> DATE_FIELDS =
            Map.ofEntries(
                    Map.entry('Y', "uuuu"),
                    Map.entry('y', "uu"),
                    Map.entry('m', "MM"),
                    Map.entry('d', "dd"),
                    Map.entry('B', "MMMM"),
                    Map.entry('b', "MMM"),
                    Map.entry('A', "EEEE"),
                    Map.entry('a', "EEE"),
                    Map.entry('H', "HH"),
                    Map.entry('I', "hh"),
                    Map.entry('M', "mm"),
                    Map.entry('S', "ss"),
                    Map.entry('p', "a"),
                    Map.entry('j', "DDD"),
                    Map.entry('F', "uuuu-MM-dd"),
                    Map.entry('T', "HH:mm:ss"));

    /// `strftime_now(format)`: the local time with C's field letters.
    private static String now(Budget budget, Arguments args) {
        String format = args.expect("strftime_now", 1, "format").text(0, "format", "");
        LocalDateTime time = LocalDateTime.now(ZoneId.systemDefault());
        budget.characters(format.length() * 16L);
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                out.append(c);
                continue;
            }
            char letter = format.charAt(++i);
            String pattern = DATE_FIELDS.get(letter);
            if (pattern == null && letter != '%') {
                throw new Fault("strftime_now does not know the field '%" + letter + "'");
            }
            out.append(pattern == null ? "%" : field(time, pattern));
        }
        return out.toString();
    }

    private static String field(LocalDateTime time, String pattern) {
        try {
            return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(time);
        } catch (DateTimeException e) {
            throw new Fault("the date has no field '" + pattern + "'");
        }
    }
}
