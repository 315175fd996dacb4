package brantas.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// The tree of a parsed template: expressions that have a value and statements that write text.
/// Immutable and without behaviour, so one template may be rendered by many threads; [Evaluator]
/// and [Renderer] walk it. Names of filters and tests are already resolved.
sealed interface Node {
    /// Something with a value.
    sealed interface Expr extends Node {}

    /// Something that is done; `line` is 1-based.
    sealed interface Stmt extends Node {
        int line();
    }

    enum Binary {
        ADD("+"),
        SUBTRACT("-"),
        MULTIPLY("*"),
        DIVIDE("/"),
        FLOOR_DIVIDE("//"),
        MODULO("%"),
        POWER("**");

        private final String sign;

        Binary(String sign) {
            this.sign = sign;
        }

        String sign() {
            return sign;
        }
    }

    enum Relation {
        EQUAL("=="),
        NOT_EQUAL("!="),
        LESS("<"),
        LESS_EQUAL("<="),
        GREATER(">"),
        GREATER_EQUAL(">="),
        IN("in"),
        NOT_IN("not in");

        private final String sign;

        Relation(String sign) {
            this.sign = sign;
        }

        String sign() {
            return sign;
        }
    }

    record Constant(@Nullable Object value) implements Expr {}

    record Name(String name) implements Expr {}

    record ListOf(List<Expr> items) implements Expr {}

    record TupleOf(List<Expr> items) implements Expr {}

    record DictOf(List<Pair> pairs) implements Expr {}

    record Pair(Expr key, Expr value) implements Node {}

    record Conditional(Expr test, Expr then, @Nullable Expr otherwise) implements Expr {}

    record And(Expr left, Expr right) implements Expr {}

    record Or(Expr left, Expr right) implements Expr {}

    record Not(Expr operand) implements Expr {}

    record Sign(boolean negative, Expr operand) implements Expr {}

    record Arith(Binary op, Expr left, Expr right) implements Expr {}

    /// `a ~ b ~ c`.
    record Concat(List<Expr> parts) implements Expr {}

    /// `first < a == b in c`, each operand evaluated once.
    record Compare(Expr first, List<Operand> operands) implements Expr {}

    record Operand(Relation relation, Expr value) implements Node {}

    record Attribute(Expr target, String name) implements Expr {}

    record Item(Expr target, Expr key) implements Expr {}

    record Slice(@Nullable Expr start, @Nullable Expr stop, @Nullable Expr step) implements Node {}

    record SliceOf(Expr target, Slice slice) implements Expr {}

    record Call(Expr target, Args args) implements Expr {}

    /// `target | name(args)`; a null target is what a `filter` or `set` block encloses.
    record Filter(@Nullable Expr target, Filters.Filter filter, Args args) implements Expr {}

    record Test(Expr target, Builtins.Test test, Args args) implements Expr {}

    /// Arguments of a call: positional, `name=value`, `*list`, `**dict`.
    record Args(
            List<Expr> positional,
            List<Keyword> named,
            @Nullable Expr starred,
            @Nullable Expr doubleStarred)
            implements Node {
        static final Args NONE = new Args(List.of(), List.of(), null, null);
    }

    record Keyword(String name, Expr value) implements Node {}

    /// What a `set`, a `for` or a macro argument stores into.
    sealed interface Target extends Node {}

    record NameTarget(String name) implements Target {}

    record FieldTarget(String namespace, String field) implements Target {}

    record TupleTarget(List<Target> items) implements Target {}

    record Text(int line, String text) implements Stmt {}

    record Print(int line, Expr value) implements Stmt {}

    record If(int line, List<Branch> branches, List<Stmt> otherwise) implements Stmt {}

    record Branch(int line, Expr test, List<Stmt> body) implements Node {}

    record For(int line, Target target, Expr items, Loop loop, List<Stmt> otherwise)
            implements Stmt {}

    /// The repeated part of a `for`.
    record Loop(@Nullable Expr filter, boolean recursive, List<Stmt> body) implements Node {}

    record Assign(int line, Target target, Expr value) implements Stmt {}

    /// `{% set x | filter %}body{% endset %}`.
    record AssignBlock(int line, Target target, @Nullable Expr filter, List<Stmt> body)
            implements Stmt {}

    record MacroDef(int line, Signature signature, List<Stmt> body) implements Stmt {}

    /// @param defaults as many as parameters, null where there is none
    /// @param usesVarargs whether the body reads `varargs`; likewise the other two
    record Signature(
            String name,
            List<String> parameters,
            List<@Nullable Expr> defaults,
            boolean usesVarargs,
            boolean usesKwargs,
            boolean usesCaller)
            implements Node {}

    record CallBlock(int line, Call call, Signature signature, List<Stmt> body) implements Stmt {}

    record FilterBlock(int line, Expr filter, List<Stmt> body) implements Stmt {}

    record With(int line, List<Assign> assigns, List<Stmt> body) implements Stmt {}

    record Break(int line) implements Stmt {}

    record Continue(int line) implements Stmt {}
}
