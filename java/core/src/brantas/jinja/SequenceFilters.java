package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import brantas.jinja.Value.Arguments;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The filters for lists, dicts and whatever else can be walked. Those that Python makes lazy give
/// a [Value.Lazy], which is true even when empty and can be read once; the work is done at once.
final class SequenceFilters {
    /// How a filter looks at an element: itself, or what an attribute path finds in it.
    @FunctionalInterface
    private interface View {
        @Nullable Object of(@Nullable Object item);
    }

    private SequenceFilters() {}

    static void register(Map<String, Filters.Filter> all) {
        all.put("batch", SequenceFilters::batch);
        all.put("count", SequenceFilters::length);
        all.put("dictsort", SequenceFilters::dictSort);
        all.put("first", (b, value, args) -> end(b, value, args, true));
        all.put("groupby", SequenceFilters::groupBy);
        all.put("items", SequenceFilters::items);
        all.put("join", SequenceFilters::join);
        all.put("last", (b, value, args) -> end(b, value, args, false));
        all.put("length", SequenceFilters::length);
        all.put("list", (b, value, args) -> copy(b, value, args));
        all.put("map", SequenceFilters::map);
        all.put("max", (b, value, args) -> extreme(b, value, args, true));
        all.put("min", (b, value, args) -> extreme(b, value, args, false));
        all.put("reject", (b, value, args) -> select(b, value, args, false, false));
        all.put("rejectattr", (b, value, args) -> select(b, value, args, true, false));
        all.put("reverse", SequenceFilters::reverse);
        all.put("select", (b, value, args) -> select(b, value, args, false, true));
        all.put("selectattr", (b, value, args) -> select(b, value, args, true, true));
        all.put("slice", SequenceFilters::slice);
        all.put("sort", SequenceFilters::sort);
        all.put("sum", SequenceFilters::sum);
        all.put("unique", SequenceFilters::unique);
    }

    private static List<@Nullable Object> elements(Budget budget, @Nullable Object value) {
        List<@Nullable Object> elements = Value.elements(budget, value);
        budget.steps(elements.size());
        return elements;
    }

    // ---- attributes ----

    /// `a.b.0` as steps through an element; none means the element itself.
    private static View view(
            Budget budget, @Nullable Object path, Object absent, boolean caseless) {
        String text = Value.textOrNull(path);
        List<@Nullable Object> steps = new ArrayList<>();
        if (text == null && path != null) {
            steps.add((long) Arithmetic.clip(path));
        } else if (text != null) {
            for (String part : text.split("\\.", -1)) {
                boolean index = part.length() < 10 && part.matches("[0-9]+");
                steps.add(index ? (Object) Long.parseLong(part) : part);
            }
        }
        return item -> {
            Object value = item;
            for (Object step : steps) {
                budget.step();
                value = Attributes.item(budget, value, step);
                if (value instanceof Value.Undefined && !Value.identical(absent, Attributes.NONE)) {
                    value = absent;
                }
            }
            return caseless ? folded(budget, value) : value;
        };
    }

    /// Strings in lower case, everything else as it is.
    private static @Nullable Object folded(Budget budget, @Nullable Object value) {
        String text = Value.textOrNull(value);
        if (text == null) {
            return value;
        }
        budget.characters(text.length());
        return Spelling.lower(text);
    }

    private static List<@Nullable Object> seen(List<@Nullable Object> items, View view) {
        List<@Nullable Object> keys = new ArrayList<>(items.size());
        for (Object item : items) {
            keys.add(view.of(item));
        }
        return keys;
    }

    // ---- one value from many ----

    private static long length(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("length", 0);
        int length = Value.length(budget, value);
        if (length < 0) {
            throw new Fault("a value of type " + Value.type(value) + " has no length");
        }
        return length;
    }

    private static @Nullable Object end(
            Budget budget, @Nullable Object value, Arguments args, boolean first) {
        args.expect(first ? "first" : "last", 0);
        List<@Nullable Object> items = Value.elements(budget, value);
        if (items.isEmpty()) {
            return new Value.Undefined("an empty sequence has no first or last element");
        }
        return first ? items.getFirst() : items.getLast();
    }

    private static String join(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("join", 0, "d", "attribute");
        String separator = Spelling.text(budget, args.get(0, "d", ""));
        View view = view(budget, args.get(1, "attribute"), Attributes.NONE, false);
        StringBuilder out = new StringBuilder();
        boolean first = true;
        for (Object item : elements(budget, value)) {
            String part = Spelling.text(budget, view.of(item));
            budget.characters((long) part.length() + separator.length());
            out.append(first ? "" : separator).append(part);
            first = false;
        }
        return out.toString();
    }

    private static @Nullable Object extreme(
            Budget budget, @Nullable Object value, Arguments args, boolean largest) {
        args.expect(largest ? "max" : "min", 0, "case_sensitive", "attribute");
        boolean caseless = !args.flag(0, "case_sensitive", false);
        List<@Nullable Object> items = elements(budget, value);
        List<@Nullable Object> keys =
                seen(items, view(budget, args.get(1, "attribute"), Attributes.NONE, caseless));
        if (items.isEmpty()) {
            return new Value.Undefined("an empty sequence has no extreme element");
        }
        int best = 0;
        for (int i = 1; i < items.size(); i++) {
            Object candidate = keys.get(i);
            boolean better =
                    largest
                            ? Comparison.less(budget, keys.get(best), candidate)
                            : Comparison.less(budget, candidate, keys.get(best));
            best = better ? i : best;
        }
        return items.get(best);
    }

    private static @Nullable Object sum(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("sum", 0, "attribute", "start");
        View view = view(budget, args.get(0, "attribute"), Attributes.NONE, false);
        Object total = args.get(1, "start", 0L);
        if (Value.textOrNull(total) != null) {
            throw new Fault("sum does not add strings, use join");
        }
        for (Object item : elements(budget, value)) {
            total = Arithmetic.apply(budget, Node.Binary.ADD, total, view.of(item));
        }
        return total;
    }

    // ---- the same elements, otherwise ----

    private static List<@Nullable Object> copy(
            Budget budget, @Nullable Object value, Arguments args) {
        args.expect("list", 0);
        return new ArrayList<>(elements(budget, value));
    }

    private static Object reverse(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("reverse", 0);
        String text = Value.textOrNull(value);
        if (text != null) {
            budget.characters(text.length());
            return new StringBuilder(text).reverse().toString();
        }
        return new Value.Lazy(elements(budget, value).reversed());
    }

    private static List<@Nullable Object> sort(
            Budget budget, @Nullable Object value, Arguments args) {
        args.expect("sort", 0, "reverse", "case_sensitive", "attribute");
        boolean caseless = !args.flag(1, "case_sensitive", false);
        List<@Nullable Object> items = elements(budget, value);
        String paths = Value.textOrNull(args.get(2, "attribute"));
        List<@Nullable Object> keys;
        if (paths == null || paths.indexOf(',') < 0) {
            keys = seen(items, view(budget, args.get(2, "attribute"), Attributes.NONE, caseless));
        } else {
            List<View> views = new ArrayList<>();
            for (String path : paths.split(",", -1)) {
                views.add(view(budget, path, Attributes.NONE, caseless));
            }
            keys = new ArrayList<>();
            for (Object item : items) {
                budget.steps(views.size());
                List<@Nullable Object> key = new ArrayList<>();
                views.forEach(view -> key.add(view.of(item)));
                keys.add(key);
            }
        }
        return Comparison.sort(budget, items, keys, args.flag(0, "reverse", false));
    }

    private static List<@Nullable Object> dictSort(
            Budget budget, @Nullable Object value, Arguments args) {
        args.expect("dictsort", 0, "case_sensitive", "by", "reverse");
        String by = args.text(1, "by", "key");
        if (!(value instanceof Map<?, ?> map) || (!by.equals("key") && !by.equals("value"))) {
            throw new Fault("dictsort needs a dict, and 'key' or 'value' to sort by");
        }
        long place = by.equals("key") ? 0 : 1;
        boolean caseless = !args.flag(0, "case_sensitive", false);
        List<@Nullable Object> pairs = Attributes.items(budget, Value.cast(map)).items();
        List<@Nullable Object> keys = seen(pairs, view(budget, place, Attributes.NONE, caseless));
        return Comparison.sort(budget, pairs, keys, args.flag(2, "reverse", false));
    }

    private static Value.Lazy unique(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("unique", 0, "case_sensitive", "attribute");
        boolean caseless = !args.flag(0, "case_sensitive", false);
        View view = view(budget, args.get(1, "attribute"), Attributes.NONE, caseless);
        Map<@Nullable Object, @Nullable Object> known = new LinkedHashMap<>();
        for (Object item : elements(budget, value)) {
            Object key = Comparison.key(budget, known, view.of(item));
            if (!known.containsKey(key)) {
                known.put(key, item);
            }
        }
        return new Value.Lazy(new ArrayList<>(known.values()));
    }

    private static List<@Nullable Object> groupBy(
            Budget budget, @Nullable Object value, Arguments args) {
        args.expect("groupby", 1, "attribute", "default", "case_sensitive");
        boolean caseless = !args.flag(2, "case_sensitive", false);
        Object absent = args.get(1, "default") == null ? Attributes.NONE : args.get(1, "default");
        Object fallback = absent == null ? Attributes.NONE : absent;
        View exact = view(budget, args.get(0, "attribute"), fallback, false);
        View view = view(budget, args.get(0, "attribute"), fallback, caseless);
        List<@Nullable Object> items = elements(budget, value);
        List<@Nullable Object> sorted = Comparison.sort(budget, items, seen(items, view), false);
        List<@Nullable Object> groups = new ArrayList<>();
        List<@Nullable Object> group = new ArrayList<>();
        for (int i = 0; i < sorted.size(); i++) {
            group.add(sorted.get(i));
            boolean ends =
                    i + 1 == sorted.size()
                            || !Comparison.equal(
                                    budget, view.of(sorted.get(i)), view.of(sorted.get(i + 1)));
            if (ends) {
                Value.Tuple pair = Attributes.pair(exact.of(group.getFirst()), group);
                groups.add(new Value.Tuple(pair.items(), true));
                group = new ArrayList<>();
            }
        }
        return groups;
    }

    private static Value.Lazy items(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("items", 0);
        return switch (value) {
            case Map<?, ?> map -> new Value.Lazy(Attributes.items(budget, Value.cast(map)).items());
            case Value.Undefined _ -> new Value.Lazy(List.of());
            case null, default ->
                    throw new Fault(
                            "pairs of keys and values are needed, but there is a value of type "
                                    + Value.type(value));
        };
    }

    private static Value.Lazy batch(Budget budget, @Nullable Object value, Arguments args) {
        args.expect("batch", 1, "linecount", "fill_with");
        int width = args.integer(0, "linecount", 0);
        List<@Nullable Object> rows = new ArrayList<>();
        List<@Nullable Object> row = new ArrayList<>();
        for (Object item : elements(budget, value)) {
            if (row.size() == width) {
                rows.add(row);
                row = new ArrayList<>();
            }
            row.add(item);
        }
        if (!row.isEmpty()) {
            Object fill = args.get(1, "fill_with");
            int missing = fill == null ? 0 : Math.max(0, width - row.size());
            budget.steps(missing);
            for (int i = 0; i < missing; i++) {
                row.add(fill);
            }
            rows.add(row);
        }
        return new Value.Lazy(rows);
    }

    private static Value.Lazy slice(Budget budget, @Nullable Object value, Arguments args) {
        int count = args.expect("slice", 1, "slices", "fill_with").integer(0, "slices", 1);
        List<@Nullable Object> items = elements(budget, value);
        if (count <= 0) {
            throw new Fault("slice needs a positive number of columns");
        }
        budget.steps(count);
        Object fill = args.get(1, "fill_with");
        int longer = items.size() % count;
        int from = 0;
        List<@Nullable Object> columns = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int to = from + items.size() / count + (i < longer ? 1 : 0);
            List<@Nullable Object> column = new ArrayList<>(items.subList(from, to));
            if (fill != null && i >= longer && longer > 0) {
                column.add(fill);
            }
            columns.add(column);
            from = to;
        }
        return new Value.Lazy(columns);
    }

    // ---- filters by filter or test ----

    /// What `map` and the selecting filters walk: anything false counts as empty, numbers included.
    private static List<@Nullable Object> walked(Budget budget, @Nullable Object value) {
        return Value.truth(value) ? elements(budget, value) : List.of();
    }

    private static Value.Lazy map(Budget budget, @Nullable Object value, Arguments args) {
        List<@Nullable Object> results = new ArrayList<>();
        if (args.size() == 0 && args.named().containsKey("attribute")) {
            args.expect("map", 0, "attribute", "default");
            Object absent = args.get(1, "default");
            View view =
                    view(
                            budget,
                            args.get(0, "attribute"),
                            absent == null ? Attributes.NONE : absent,
                            false);
            walked(budget, value).forEach(item -> results.add(view.of(item)));
            return new Value.Lazy(results);
        }
        String name = args.size() == 0 ? null : Value.textOrNull(args.positional().getFirst());
        Filters.Filter filter = name == null ? null : Filters.find(name);
        if (filter == null) {
            throw new Fault("map needs the name of a filter or an attribute");
        }
        budget.enterCall();
        for (Object item : walked(budget, value)) {
            results.add(filter.apply(budget, item, args.dropFirst()));
        }
        budget.leaveCall();
        return new Value.Lazy(results);
    }

    private static Value.Lazy select(
            Budget budget,
            @Nullable Object value,
            Arguments args,
            boolean byAttribute,
            boolean keep) {
        Arguments rest = args;
        View view = item -> item;
        if (byAttribute) {
            if (args.size() == 0) {
                throw new Fault("the name of an attribute is needed to select by it");
            }
            view = view(budget, args.positional().getFirst(), Attributes.NONE, false);
            rest = args.dropFirst();
        }
        Builtins.Test test = (_, item, _) -> Value.truth(item);
        if (rest.size() > 0) {
            String name = Value.textOrNull(rest.positional().getFirst());
            Builtins.Test named = name == null ? null : Builtins.test(name);
            if (named == null) {
                throw new Fault("there is no test named '" + name + "' to select by");
            }
            test = named;
            rest = rest.dropFirst();
        }
        List<@Nullable Object> kept = new ArrayList<>();
        for (Object item : walked(budget, value)) {
            if (test.holds(budget, view.of(item), rest) == keep) {
                kept.add(item);
            }
        }
        return new Value.Lazy(kept);
    }
}
