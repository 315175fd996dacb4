package brantas.jinja;

import brantas.jinja.Evaluator.Scope;
import brantas.jinja.Node.Stmt;
import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Runs the statements of one rendering and collects the text. Loops, macros, `call`, `filter` and
/// `with` blocks have scopes of their own, `if` has not; a macro sees the variables around its
/// definition as they are when it is called.
final class Renderer {
    /// How a list of statements ended.
    private enum Flow {
        DONE,
        BREAK,
        CONTINUE
    }

    private final Budget budget;
    private final Evaluator evaluator;

    private Renderer(Budget budget) {
        this.budget = budget;
        this.evaluator = new Evaluator(budget);
    }

    static String render(Budget budget, Map<String, @Nullable Object> variables, List<Stmt> body) {
        Scope globals = new Scope(null, Builtins.GLOBALS);
        Scope scope = new Scope(new Scope(globals, variables));
        return new Renderer(budget).text(body, scope);
    }

    private String text(List<Stmt> body, Scope scope) {
        StringBuilder out = new StringBuilder();
        run(body, scope, out);
        return out.toString();
    }

    private void write(StringBuilder out, String text) {
        budget.characters(text.length());
        if (out.length() + text.length() > Budget.MAX_OUTPUT) {
            throw new Fault("it writes more than " + Budget.MAX_OUTPUT + " characters");
        }
        out.append(text);
    }

    private Flow run(List<Stmt> body, Scope scope, StringBuilder out) {
        budget.enter();
        for (Stmt statement : body) {
            Flow flow = run(statement, scope, out);
            if (flow != Flow.DONE) {
                budget.leave();
                return flow;
            }
        }
        budget.leave();
        return Flow.DONE;
    }

    private Flow run(Stmt statement, Scope scope, StringBuilder out) {
        budget.step();
        budget.line(statement.line());
        switch (statement) {
            case Node.Text node -> write(out, node.text());
            case Node.Print node -> write(out, evaluator.text(node.value(), scope));
            case Node.Assign node ->
                    assign(node.target(), evaluator.value(node.value(), scope), scope);
            case Node.AssignBlock node -> assignBlock(node, scope);
            case Node.MacroDef node ->
                    scope.set(
                            node.signature().name(),
                            new Macro(node.signature(), node.body(), scope));
            case Node.CallBlock node -> write(out, callBlock(node, scope));
            case Node.FilterBlock node -> {
                String enclosed = text(node.body(), new Scope(scope));
                String filtered =
                        Value.textOrNull(evaluator.filtered(node.filter(), scope, enclosed));
                if (filtered == null) {
                    throw new Fault("the filter of a 'filter' block must give a string");
                }
                write(out, filtered);
            }
            case Node.If node -> {
                return conditional(node, scope, out);
            }
            case Node.For node -> {
                return new Loop(node, scope, 0).run(evaluator.value(node.items(), scope), out);
            }
            case Node.With node -> {
                return with(node, scope, out);
            }
            case Node.Break _ -> {
                return Flow.BREAK;
            }
            case Node.Continue _ -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.DONE;
    }

    private Flow conditional(Node.If node, Scope scope, StringBuilder out) {
        for (Node.Branch branch : node.branches()) {
            budget.line(branch.line());
            if (evaluator.truth(branch.test(), scope)) {
                return run(branch.body(), scope, out);
            }
        }
        return run(node.otherwise(), scope, out);
    }

    private Flow with(Node.With node, Scope scope, StringBuilder out) {
        Scope inner = new Scope(scope);
        for (Node.Assign assign : node.assigns()) {
            assign(assign.target(), evaluator.value(assign.value(), scope), inner);
        }
        return run(node.body(), inner, out);
    }

    private void assignBlock(Node.AssignBlock node, Scope scope) {
        String enclosed = text(node.body(), new Scope(scope));
        Object value =
                node.filter() == null
                        ? enclosed
                        : evaluator.filtered(node.filter(), scope, enclosed);
        assign(node.target(), value, scope);
    }

    private void assign(Node.Target target, @Nullable Object value, Scope scope) {
        switch (target) {
            case Node.NameTarget name -> scope.set(name.name(), value);
            case Node.FieldTarget field -> {
                if (!(scope.get(field.namespace()) instanceof Value.Namespace space)) {
                    throw new Fault(
                            "'"
                                    + field.namespace()
                                    + "."
                                    + field.field()
                                    + "' is assigned, but '"
                                    + field.namespace()
                                    + "' is no namespace");
                }
                Builtins.store(space, field.field(), value);
            }
            case Node.TupleTarget tuple -> {
                List<@Nullable Object> values = Value.elements(budget, value);
                if (values.size() != tuple.items().size()) {
                    throw new Fault(
                            tuple.items().size()
                                    + " values are to be unpacked, but there are "
                                    + values.size());
                }
                for (int i = 0; i < values.size(); i++) {
                    assign(tuple.items().get(i), values.get(i), scope);
                }
            }
        }
    }

    private String callBlock(Node.CallBlock node, Scope scope) {
        Value.Arguments given = evaluator.arguments(node.call().args(), scope);
        Map<String, @Nullable Object> named = new LinkedHashMap<>(given.named());
        named.put("caller", new Macro(node.signature(), node.body(), scope));
        Object target = evaluator.value(node.call().target(), scope);
        Value.Arguments args = new Value.Arguments(given.positional(), named);
        return Spelling.text(budget, evaluator.call(target, args));
    }

    /// A `for` statement while it runs; the template knows it as `loop`, and a recursive one can be
    /// called.
    private final class Loop implements Value.Host, Value.Callable {
        private final Node.For node;
        private final Scope scope;
        private final int depth;
        private List<@Nullable Object> items = List.of();
        private @Nullable List<@Nullable Object> last;
        private int index;

        Loop(Node.For node, Scope scope, int depth) {
            this.node = node;
            this.scope = scope;
            this.depth = depth;
        }

        Flow run(@Nullable Object iterable, StringBuilder out) {
            items = filtered(Value.elements(budget, iterable));
            if (items.isEmpty()) {
                return Renderer.this.run(node.otherwise(), new Scope(scope), out);
            }
            for (index = 0; index < items.size(); index++) {
                budget.step();
                Scope inner = new Scope(scope);
                inner.set("loop", this);
                assign(node.target(), items.get(index), inner);
                if (Renderer.this.run(node.loop().body(), inner, out) == Flow.BREAK) {
                    break;
                }
            }
            return Flow.DONE;
        }

        private List<@Nullable Object> filtered(List<@Nullable Object> all) {
            Node.Expr filter = node.loop().filter();
            if (filter == null) {
                return all;
            }
            List<@Nullable Object> kept = new ArrayList<>();
            for (Object item : all) {
                Scope inner = new Scope(scope);
                assign(node.target(), item, inner);
                if (evaluator.truth(filter, inner)) {
                    kept.add(item);
                }
            }
            return kept;
        }

        @Override
        public @Nullable Object attribute(String name) {
            return switch (name) {
                case "index" -> index + 1L;
                case "index0" -> (long) index;
                case "revindex" -> (long) items.size() - index;
                case "revindex0" -> items.size() - index - 1L;
                case "first" -> index == 0;
                case "last" -> index == items.size() - 1;
                case "length" -> (long) items.size();
                case "depth" -> depth + 1L;
                case "depth0" -> (long) depth;
                case "previtem" -> neighbour(index - 1, "previous");
                case "nextitem" -> neighbour(index + 1, "next");
                case "cycle" -> new Value.Function(name, (_, args) -> cycle(args));
                case "changed" -> new Value.Function(name, this::changed);
                default -> Attributes.NONE;
            };
        }

        private @Nullable Object neighbour(int at, String which) {
            return at >= 0 && at < items.size()
                    ? items.get(at)
                    : new Value.Undefined("there is no " + which + " item");
        }

        private @Nullable Object cycle(Value.Arguments args) {
            if (args.size() == 0) {
                throw new Fault("loop.cycle() needs at least one value");
            }
            return args.positional().get(index % args.size());
        }

        private boolean changed(Budget budget, Value.Arguments args) {
            List<@Nullable Object> before = last;
            last = args.positional();
            return before == null || !Comparison.equal(budget, before, last);
        }

        @Override
        public String print() {
            return "<LoopContext " + (index + 1) + "/" + items.size() + ">";
        }

        @Override
        public String name() {
            return "loop";
        }

        @Override
        public @Nullable Object call(Budget budget, Value.Arguments args) {
            if (!node.loop().recursive()) {
                throw new Fault("a loop is called that is not marked 'recursive'");
            }
            args.expect("loop", 1, "iterable");
            budget.enterCall();
            StringBuilder out = new StringBuilder();
            new Loop(node, scope, depth + 1).run(args.get(0, "iterable"), out);
            budget.leaveCall();
            return out.toString();
        }
    }

    /// A macro, or the body of a `call` block.
    private final class Macro implements Value.Host, Value.Callable {
        private final Node.Signature signature;
        private final List<Stmt> body;
        private final Scope scope;

        Macro(Node.Signature signature, List<Stmt> body, Scope scope) {
            this.signature = signature;
            this.body = body;
            this.scope = scope;
        }

        @Override
        public String name() {
            return signature.name();
        }

        @Override
        public @Nullable Object call(Budget budget, Value.Arguments args) {
            budget.enterCall();
            int line = budget.line();
            String text = text(body, bound(args));
            budget.line(line);
            budget.leaveCall();
            return text;
        }

        private Scope bound(Value.Arguments args) {
            Scope inner = new Scope(scope);
            Map<String, @Nullable Object> rest = new LinkedHashMap<>(args.named());
            List<String> names = signature.parameters();
            for (int i = 0; i < names.size(); i++) {
                String name = names.get(i);
                Object value;
                if (i < args.size()) {
                    value = args.positional().get(i);
                } else if (rest.containsKey(name)) {
                    value = rest.remove(name);
                } else {
                    Node.Expr fallback = signature.defaults().get(i);
                    value =
                            fallback == null
                                    ? new Value.Undefined("parameter '" + name + "' was not given")
                                    : evaluator.value(fallback, inner);
                }
                inner.set(name, value);
            }
            surplus(args, rest, inner);
            return inner;
        }

        private void surplus(
                Value.Arguments args, Map<String, @Nullable Object> rest, Scope inner) {
            int known = signature.parameters().size();
            if (signature.usesCaller() && !signature.parameters().contains("caller")) {
                inner.set(
                        "caller",
                        rest.containsKey("caller")
                                ? rest.remove("caller")
                                : new Value.Undefined("there is no 'call' block around"));
            }
            if (signature.usesKwargs()) {
                inner.set("kwargs", rest);
            } else if (!rest.isEmpty()) {
                throw new Fault(
                        "macro '"
                                + name()
                                + "' has no parameter '"
                                + rest.keySet().iterator().next()
                                + "'");
            }
            if (signature.usesVarargs()) {
                List<@Nullable Object> all = args.positional();
                int from = Math.min(known, all.size());
                inner.set("varargs", new Value.Tuple(all.subList(from, all.size())));
            } else if (args.size() > known) {
                throw new Fault(
                        "macro '" + name() + "' takes " + known + " arguments, not " + args.size());
            }
        }

        @Override
        public @Nullable Object attribute(String name) {
            return switch (name) {
                case "name" -> name();
                case "arguments" -> new Value.Tuple(new ArrayList<>(signature.parameters()));
                case "catch_kwargs" -> signature.usesKwargs();
                case "catch_varargs" -> signature.usesVarargs();
                case "caller" -> signature.usesCaller();
                default -> Attributes.NONE;
            };
        }

        @Override
        public String print() {
            return "<Macro '" + name() + "'>";
        }
    }
}
