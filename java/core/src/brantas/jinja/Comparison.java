package brantas.jinja;

import brantas.jinja.Node.Relation;
import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Python's equality, order, membership and dict keys. Integers and floats compare by value,
/// strings by code point, lists and tuples element by element; ordering different types fails.
/// Includes the one sort that all filters use, which tolerates orders that contradict themselves.
final class Comparison {
    private static final double EXACT = 1L << 53;

    private Comparison() {}

    static boolean test(
            Budget budget, Relation relation, @Nullable Object left, @Nullable Object right) {
        return switch (relation) {
            case EQUAL -> equal(budget, left, right);
            case NOT_EQUAL -> !equal(budget, left, right);
            case IN -> contains(budget, right, left);
            case NOT_IN -> !contains(budget, right, left);
            default -> ordered(budget, relation, left, right);
        };
    }

    static boolean equal(Budget budget, @Nullable Object left, @Nullable Object right) {
        return equal(budget, left, right, 0);
    }

    private static boolean equal(
            Budget budget, @Nullable Object left, @Nullable Object right, int level) {
        if (Value.identical(left, right)) {
            return !(left instanceof Double d) || !d.isNaN();
        }
        String a = Value.textOrNull(left);
        String b = Value.textOrNull(right);
        if (a != null && b != null) {
            budget.characters(Math.min(a.length(), b.length()) / 16);
            return a.equals(b);
        }
        if (left instanceof List<?> x && right instanceof List<?> y) {
            return equalItems(budget, x, y, level + 1);
        }
        return switch (left) {
            case Value.Tuple x when right instanceof Value.Tuple y ->
                    equalItems(budget, x.items(), y.items(), level + 1);
            case Map<?, ?> x when right instanceof Map<?, ?> y ->
                    equalMaps(budget, Value.cast(x), Value.cast(y), level + 1);
            case Value.View x when right instanceof Value.View y ->
                    !x.name().equals("dict_values")
                            && equalSets(budget, x.items(), y.items(), level + 1);
            case null, default -> plainEqual(left, right);
        };
    }

    private static boolean equalItems(Budget budget, List<?> left, List<?> right, int level) {
        Budget.nesting(level);
        if (left.size() != right.size()) {
            return false;
        }
        for (int i = 0; i < left.size(); i++) {
            budget.step();
            Object a = left.get(i);
            Object b = right.get(i);
            if (!Value.identical(a, b) && !equal(budget, a, b, level)) {
                return false;
            }
        }
        return true;
    }

    private static boolean equalMaps(
            Budget budget,
            Map<@Nullable Object, @Nullable Object> left,
            Map<@Nullable Object, @Nullable Object> right,
            int level) {
        Budget.nesting(level);
        if (left.size() != right.size()) {
            return false;
        }
        for (Map.Entry<@Nullable Object, @Nullable Object> entry : left.entrySet()) {
            budget.step();
            Object key = key(budget, right, entry.getKey());
            if (!right.containsKey(key)
                    || !equal(budget, entry.getValue(), right.get(key), level)) {
                return false;
            }
        }
        return true;
    }

    private static boolean equalSets(Budget budget, List<?> left, List<?> right, int level) {
        if (left.size() != right.size()) {
            return false;
        }
        for (Object item : left) {
            boolean found = false;
            for (Object other : right) {
                budget.step();
                found |= equal(budget, item, other, level);
            }
            if (!found) {
                return false;
            }
        }
        return true;
    }

    /// Equality of values without elements.
    static boolean plainEqual(@Nullable Object left, @Nullable Object right) {
        Object a = Arithmetic.number(left);
        Object b = Arithmetic.number(right);
        if (a != null && b != null) {
            if (a instanceof Double x && b instanceof Double y) {
                return x.doubleValue() == y.doubleValue();
            }
            if (a instanceof Double || b instanceof Double) {
                return compareMixed(a, b) == 0;
            }
            return a.equals(b);
        }
        return switch (left) {
            case Value.Undefined _ -> right instanceof Value.Undefined;
            case Value.Range x when right instanceof Value.Range y ->
                    x.size() == y.size()
                            && (x.size() == 0 || x.start() == y.start())
                            && (x.size() <= 1 || x.step() == y.step());
            case String x -> x.equals(Value.textOrNull(right));
            case Value.Safe x -> x.text().equals(Value.textOrNull(right));
            case null, default -> Value.identical(left, right);
        };
    }

    /// A hash that agrees with [#plainEqual].
    static int plainHash(@Nullable Object value) {
        Object number = Arithmetic.number(value);
        if (number != null) {
            return Double.hashCode(((Number) number).doubleValue() + 0.0);
        }
        String text = Value.textOrNull(value);
        return text != null ? text.hashCode() : 0;
    }

    /// The key under which `map` holds `wanted`, or `wanted` itself as a key to put: `1`, `1.0` and
    /// true are one key. Fails for values that cannot be keys.
    static @Nullable Object key(
            Budget budget, Map<@Nullable Object, @Nullable Object> map, @Nullable Object wanted) {
        Object number = Arithmetic.number(wanted);
        if (number != null) {
            return map.containsKey(wanted) ? wanted : numberKey(map, number, wanted);
        }
        return switch (wanted) {
            case Value.Safe safe -> safe.text();
            case Value.Tuple tuple -> {
                budget.steps(tuple.items().size());
                for (Object item : tuple.items()) {
                    if (item != null
                            && Arithmetic.number(item) == null
                            && Value.textOrNull(item) == null) {
                        throw new Fault("a tuple with " + Value.type(item) + " cannot be a key");
                    }
                }
                yield tuple;
            }
            case null -> null;
            case String _, Value.Undefined _ -> wanted;
            default ->
                    throw new Fault("a value of type " + Value.type(wanted) + " cannot be a key");
        };
    }

    private static @Nullable Object numberKey(
            Map<@Nullable Object, @Nullable Object> map, Object number, @Nullable Object wanted) {
        List<Object> others = new ArrayList<>();
        double value = ((Number) number).doubleValue();
        others.add(value);
        if (value == Math.rint(value) && Math.abs(value) < EXACT) {
            others.add((long) value);
            if (value == 0) {
                others.add(0.0);
                others.add(-0.0);
                others.add(false);
            } else if (value == 1) {
                others.add(true);
            }
        }
        for (Object other : others) {
            if (map.containsKey(other) && plainEqual(other, number)) {
                return other;
            }
        }
        return wanted;
    }

    /// `item in container`.
    static boolean contains(Budget budget, @Nullable Object container, @Nullable Object item) {
        String text = Value.textOrNull(container);
        if (text != null) {
            String part = Value.textOrNull(item);
            if (part == null) {
                throw new Fault("'in' a string needs a string, not " + Value.type(item));
            }
            budget.search(text.length(), part.length());
            return text.contains(part);
        }
        if (container instanceof Map<?, ?> map) {
            Map<@Nullable Object, @Nullable Object> dict = Value.cast(map);
            return dict.containsKey(key(budget, dict, item));
        }
        for (Object element : Value.elements(budget, container)) {
            budget.step();
            if (Value.identical(element, item) || equal(budget, element, item)) {
                return true;
            }
        }
        return false;
    }

    static boolean less(Budget budget, @Nullable Object left, @Nullable Object right) {
        return ordered(budget, Relation.LESS, left, right);
    }

    private static boolean ordered(
            Budget budget, Relation relation, @Nullable Object left, @Nullable Object right) {
        if ((left instanceof Double x && x.isNaN()) || (right instanceof Double y && y.isNaN())) {
            if (Arithmetic.number(left) != null && Arithmetic.number(right) != null) {
                return false;
            }
        }
        int order = order(budget, relation, left, right, 0);
        return switch (relation) {
            case LESS -> order < 0;
            case LESS_EQUAL -> order <= 0;
            case GREATER -> order > 0;
            default -> order >= 0;
        };
    }

    private static int order(
            Budget budget,
            Relation relation,
            @Nullable Object left,
            @Nullable Object right,
            int level) {
        Object a = Arithmetic.number(left);
        Object b = Arithmetic.number(right);
        if (a instanceof Long x && b instanceof Long y) {
            return Long.compare(x, y);
        }
        if (a != null && b != null) {
            return compareMixed(a, b);
        }
        String s = Value.textOrNull(left);
        String t = Value.textOrNull(right);
        if (s != null && t != null) {
            budget.characters(Math.min(s.length(), t.length()) / 16);
            return compareText(s, t);
        }
        if (left instanceof List<?> x && right instanceof List<?> y) {
            return orderItems(budget, relation, x, y, level + 1);
        }
        if (left instanceof Value.Tuple x && right instanceof Value.Tuple y) {
            return orderItems(budget, relation, x.items(), y.items(), level + 1);
        }
        if (left instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        if (right instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        throw new Fault(
                "the operator '"
                        + relation.sign()
                        + "' does not work on "
                        + Value.type(left)
                        + " and "
                        + Value.type(right));
    }

    private static int orderItems(
            Budget budget, Relation relation, List<?> left, List<?> right, int level) {
        Budget.nesting(level);
        int common = Math.min(left.size(), right.size());
        for (int i = 0; i < common; i++) {
            budget.step();
            if (!equal(budget, left.get(i), right.get(i), level)) {
                return order(budget, relation, left.get(i), right.get(i), level);
            }
        }
        return Integer.compare(left.size(), right.size());
    }

    /// Exact order of an integer and a float, or of two numbers of which one is large.
    private static int compareMixed(Object a, Object b) {
        double x = ((Number) a).doubleValue();
        double y = ((Number) b).doubleValue();
        boolean exact = Math.abs(x) < EXACT || Math.abs(y) < EXACT;
        boolean infinite =
                (a instanceof Double && !Double.isFinite(x))
                        || (b instanceof Double && !Double.isFinite(y));
        if (exact || infinite) {
            return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
        }
        return decimal(a).compareTo(decimal(b));
    }

    private static BigDecimal decimal(Object number) {
        return switch (number) {
            case BigInteger n -> new BigDecimal(n);
            case Double d -> new BigDecimal(d);
            default -> new BigDecimal(((Number) number).longValue());
        };
    }

    /// Order by code point; Java's own order puts U+10000 and above before U+E000.
    private static int compareText(String left, String right) {
        int common = Math.min(left.length(), right.length());
        for (int i = 0; i < common; i++) {
            char a = left.charAt(i);
            char b = right.charAt(i);
            if (a != b) {
                boolean mixed = Character.isSurrogate(a) != Character.isSurrogate(b);
                int order = Character.compare(a, b);
                return mixed ? Character.isSurrogate(a) ? 1 : -1 : order;
            }
        }
        return Integer.compare(left.length(), right.length());
    }

    /// A stable sort of `items` by the keys at the same places, smallest first.
    static List<@Nullable Object> sort(
            Budget budget,
            List<@Nullable Object> items,
            List<@Nullable Object> keys,
            boolean reverse) {
        Integer[] order = new Integer[items.size()];
        for (int i = 0; i < order.length; i++) {
            order[i] = reverse ? order.length - 1 - i : i;
        }
        merge(budget, order, keys);
        List<@Nullable Object> sorted = new ArrayList<>(order.length);
        for (int i = 0; i < order.length; i++) {
            sorted.add(items.get(order[reverse ? order.length - 1 - i : i]));
        }
        return sorted;
    }

    private static void merge(Budget budget, Integer[] order, List<@Nullable Object> keys) {
        Integer[] from = order;
        Integer[] to = new Integer[order.length];
        for (int width = 1; width < order.length; width *= 2) {
            for (int low = 0; low < order.length; low += 2 * width) {
                int mid = Math.min(low + width, order.length);
                int high = Math.min(low + 2 * width, order.length);
                int a = low;
                int b = mid;
                for (int at = low; at < high; at++) {
                    budget.step();
                    boolean right =
                            a >= mid
                                    || (b < high
                                            && less(budget, keys.get(from[b]), keys.get(from[a])));
                    to[at] = right ? from[b++] : from[a++];
                }
            }
            Integer[] swap = from;
            from = to;
            to = swap;
        }
        System.arraycopy(from, 0, order, 0, order.length);
    }
}
