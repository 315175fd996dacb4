package brantas.jinja;

import brantas.jinja.Node.Expr;
import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Computes expressions of one rendering. Every node costs a step and a level of depth, so that
/// neither a long chain nor a deep one can run away. What operators, filters and methods do is
/// elsewhere; this class only walks the tree.
final class Evaluator {
    /// The variables of one block. Reading goes outwards, writing stays here.
    static final class Scope {
        private final @Nullable Scope outer;
        private final Map<String, @Nullable Object> names;

        Scope(@Nullable Scope outer) {
            this(outer, new HashMap<>(8));
        }

        Scope(@Nullable Scope outer, Map<String, @Nullable Object> names) {
            this.outer = outer;
            this.names = names;
        }

        void set(String name, @Nullable Object value) {
            names.put(name, value);
        }

        @Nullable Object get(String name) {
            for (Scope scope = this; scope != null; scope = scope.outer) {
                Object value = scope.names.get(name);
                if (value != null || scope.names.containsKey(name)) {
                    return value;
                }
            }
            return new Value.Undefined("'" + name + "' is undefined");
        }
    }

    private final Budget budget;

    Evaluator(Budget budget) {
        this.budget = budget;
    }

    @Nullable Object value(Expr expr, Scope scope) {
        budget.step();
        budget.enter();
        Object value =
                switch (expr) {
                    case Node.Constant constant -> constant.value();
                    case Node.Name name -> scope.get(name.name());
                    case Node.Attribute node ->
                            Attributes.attribute(budget, value(node.target(), scope), node.name());
                    case Node.Item node ->
                            Attributes.item(
                                    budget, value(node.target(), scope), value(node.key(), scope));
                    case Node.Call node -> call(node, scope);
                    case Node.Filter node -> filter(node, scope, null);
                    case Node.Test node -> test(node, scope);
                    case Node.Compare node -> compare(node, scope);
                    case Node.Arith node ->
                            Arithmetic.apply(
                                    budget,
                                    node.op(),
                                    value(node.left(), scope),
                                    value(node.right(), scope));
                    case Node.Concat node -> concat(node, scope);
                    default -> more(expr, scope);
                };
        budget.leave();
        return value;
    }

    private @Nullable Object more(Expr expr, Scope scope) {
        return switch (expr) {
            case Node.And node -> {
                Object left = value(node.left(), scope);
                yield Value.truth(left) ? value(node.right(), scope) : left;
            }
            case Node.Or node -> {
                Object left = value(node.left(), scope);
                yield Value.truth(left) ? left : value(node.right(), scope);
            }
            case Node.Not node -> !Value.truth(value(node.operand(), scope));
            case Node.Sign node -> {
                Object operand = value(node.operand(), scope);
                yield node.negative() ? Arithmetic.negate(operand) : Arithmetic.plus(operand);
            }
            case Node.Conditional node -> conditional(node, scope);
            case Node.ListOf node -> values(node.items(), scope);
            case Node.TupleOf node -> new Value.Tuple(values(node.items(), scope));
            case Node.DictOf node -> dict(node, scope);
            case Node.SliceOf node -> slice(node, scope);
            default -> throw new IllegalStateException("unhandled " + expr.getClass());
        };
    }

    boolean truth(Expr expr, Scope scope) {
        return Value.truth(value(expr, scope));
    }

    String text(Expr expr, Scope scope) {
        return Spelling.text(budget, value(expr, scope));
    }

    /// Applies a filter chain to what a block enclosed.
    @Nullable Object filtered(Expr chain, Scope scope, String enclosed) {
        return filter((Node.Filter) chain, scope, enclosed);
    }

    private @Nullable Object filter(Node.Filter node, Scope scope, @Nullable String enclosed) {
        Expr target = node.target();
        Object input;
        if (target == null) {
            input = enclosed;
        } else if (enclosed != null && target instanceof Node.Filter inner) {
            input = filter(inner, scope, enclosed);
        } else {
            input = value(target, scope);
        }
        return node.filter().apply(budget, input, arguments(node.args(), scope));
    }

    private boolean test(Node.Test node, Scope scope) {
        return node.test()
                .holds(budget, value(node.target(), scope), arguments(node.args(), scope));
    }

    private boolean compare(Node.Compare node, Scope scope) {
        Object left = value(node.first(), scope);
        for (Node.Operand operand : node.operands()) {
            Object right = value(operand.value(), scope);
            if (!Comparison.test(budget, operand.relation(), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private String concat(Node.Concat node, Scope scope) {
        StringBuilder out = new StringBuilder();
        for (Expr part : node.parts()) {
            String text = text(part, scope);
            budget.characters(text.length());
            out.append(text);
        }
        return out.toString();
    }

    private @Nullable Object conditional(Node.Conditional node, Scope scope) {
        if (truth(node.test(), scope)) {
            return value(node.then(), scope);
        }
        return node.otherwise() == null
                ? new Value.Undefined("an 'if' expression without 'else' was false")
                : value(node.otherwise(), scope);
    }

    private List<@Nullable Object> values(List<Expr> items, Scope scope) {
        List<@Nullable Object> values = new ArrayList<>(items.size());
        for (Expr item : items) {
            values.add(value(item, scope));
        }
        return values;
    }

    private Map<@Nullable Object, @Nullable Object> dict(Node.DictOf node, Scope scope) {
        Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
        for (Node.Pair pair : node.pairs()) {
            Object key = value(pair.key(), scope);
            Object value = value(pair.value(), scope);
            map.put(Comparison.key(budget, map, key), value);
        }
        return map;
    }

    private Object slice(Node.SliceOf node, Scope scope) {
        Object target = value(node.target(), scope);
        Node.Slice slice = node.slice();
        return Attributes.slice(
                budget,
                target,
                bound(slice.start(), scope),
                bound(slice.stop(), scope),
                bound(slice.step(), scope));
    }

    private @Nullable Object bound(@Nullable Expr expr, Scope scope) {
        return expr == null ? null : value(expr, scope);
    }

    private @Nullable Object call(Node.Call node, Scope scope) {
        Object target = value(node.target(), scope);
        return call(target, arguments(node.args(), scope));
    }

    /// Calls what a template calls; a `call` block adds its own argument before.
    @Nullable Object call(@Nullable Object target, Value.Arguments args) {
        return switch (target) {
            case Value.Callable callable -> callable.call(budget, args);
            case Value.Undefined missing -> throw missing.fault();
            case null, default ->
                    throw new Fault("a value of type " + Value.type(target) + " cannot be called");
        };
    }

    Value.Arguments arguments(Node.Args args, Scope scope) {
        if (Value.identical(args, Node.Args.NONE)) {
            return Value.Arguments.NONE;
        }
        List<@Nullable Object> positional = values(args.positional(), scope);
        Map<String, @Nullable Object> named = new LinkedHashMap<>();
        for (Node.Keyword keyword : args.named()) {
            name(named, keyword.name(), value(keyword.value(), scope));
        }
        if (args.starred() != null) {
            List<@Nullable Object> more = Value.elements(budget, value(args.starred(), scope));
            budget.steps(more.size());
            positional.addAll(more);
        }
        if (args.doubleStarred() != null) {
            if (!(value(args.doubleStarred(), scope) instanceof Map<?, ?> map)) {
                throw new Fault("'**' in a call needs a dict");
            }
            budget.steps(map.size());
            map.forEach((key, value) -> name(named, String.valueOf(key), value));
        }
        return new Value.Arguments(positional, named);
    }

    private static void name(
            Map<String, @Nullable Object> named, String name, @Nullable Object value) {
        if (named.containsKey(name)) {
            throw new Fault("the argument '" + name + "' is given twice");
        }
        named.put(name, value);
    }
}
