package brantas.jinja;

import brantas.jinja.Lexer.Kind;
import brantas.jinja.Lexer.Token;
import brantas.jinja.Node.Args;
import brantas.jinja.Node.Expr;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Walks the token list and reads what operators stand between: literals, names, brackets, and the
/// subscripts, calls, filters and tests that follow them. Knows which filters and tests exist.
/// Nesting is limited, so that no template exhausts the stack. [ExpressionParser] adds operators.
abstract class OperandParser {
    private static final int MAX_NESTING = 100;

    private final List<Token> tokens;
    private int at;
    private int nesting;

    OperandParser(List<Token> tokens) {
        this.tokens = tokens;
    }

    // ---- tokens ----

    final Token current() {
        return tokens.get(at);
    }

    final Token ahead() {
        return tokens.get(Math.min(at + 1, tokens.size() - 1));
    }

    /// Where the current token stands in the list.
    final int position() {
        return at;
    }

    final Token next() {
        Token token = tokens.get(at);
        at = Math.min(at + 1, tokens.size() - 1);
        return token;
    }

    final boolean isOperator(String sign) {
        return current().is(Kind.OPERATOR, sign);
    }

    final boolean isWord(String word) {
        return current().is(Kind.NAME, word);
    }

    final boolean skipOperator(String sign) {
        boolean found = isOperator(sign);
        if (found) {
            next();
        }
        return found;
    }

    final boolean skipWord(String word) {
        boolean found = isWord(word);
        if (found) {
            next();
        }
        return found;
    }

    final void expectOperator(String sign) {
        if (!skipOperator(sign)) {
            throw unexpected("'" + sign + "'");
        }
    }

    final String expectName() {
        if (current().kind() != Kind.NAME) {
            throw unexpected("a name");
        }
        return next().text();
    }

    final Fault unexpected(String wanted) {
        return Fault.at(current().line(), "found " + current().show() + " instead of " + wanted);
    }

    final void enter() {
        if (++nesting > MAX_NESTING) {
            throw Fault.at(
                    current().line(),
                    "brackets, operators or blocks are nested more than "
                            + MAX_NESTING
                            + " levels deep");
        }
    }

    final void leave() {
        nesting--;
    }

    // ---- operands ----

    /// A whole expression, `a if b else c` included.
    abstract Expr expression();

    /// An expression without `if`, for places where `if` means something else.
    abstract Expr or();

    final Expr primary() {
        Token token = current();
        return switch (token.kind()) {
            case NAME -> {
                next();
                yield switch (token.text()) {
                    case "true", "True" -> new Node.Constant(true);
                    case "false", "False" -> new Node.Constant(false);
                    case "none", "None" -> new Node.Constant(null);
                    default -> new Node.Name(token.text());
                };
            }
            case INTEGER, FLOAT -> new Node.Constant(next().value());
            case STRING -> {
                StringBuilder text = new StringBuilder();
                while (current().kind() == Kind.STRING) {
                    text.append(next().text());
                }
                yield new Node.Constant(text.toString());
            }
            case OPERATOR ->
                    switch (token.text()) {
                        case "(" -> {
                            next();
                            Expr inner = tuple(true, true);
                            expectOperator(")");
                            yield inner;
                        }
                        case "[" -> list();
                        case "{" -> dict();
                        default -> throw unexpected("an expression");
                    };
            default -> throw unexpected("an expression");
        };
    }

    /// One expression, or several with commas as a tuple.
    ///
    /// @param conditional whether `a if b` may stand here
    /// @param bracketed whether nothing at all is the empty tuple
    final Expr tuple(boolean conditional, boolean bracketed) {
        List<Expr> items = new ArrayList<>();
        boolean comma = false;
        while (!tupleEnds()) {
            items.add(conditional ? expression() : or());
            if (!skipOperator(",")) {
                break;
            }
            comma = true;
        }
        if (!comma && items.size() == 1) {
            return items.getFirst();
        }
        if (items.isEmpty() && !bracketed) {
            throw unexpected("an expression");
        }
        return new Node.TupleOf(items);
    }

    private boolean tupleEnds() {
        Kind kind = current().kind();
        return kind == Kind.PRINT_END
                || kind == Kind.BLOCK_END
                || isOperator(")")
                || isWord("recursive");
    }

    private Expr list() {
        next();
        List<Expr> items = new ArrayList<>();
        while (!isOperator("]")) {
            items.add(expression());
            if (!isOperator("]")) {
                expectOperator(",");
            }
        }
        next();
        return new Node.ListOf(items);
    }

    private Expr dict() {
        next();
        List<Node.Pair> pairs = new ArrayList<>();
        while (!isOperator("}")) {
            Expr key = expression();
            expectOperator(":");
            pairs.add(new Node.Pair(key, expression()));
            if (!isOperator("}")) {
                expectOperator(",");
            }
        }
        next();
        return new Node.DictOf(pairs);
    }

    // ---- what follows an operand ----

    final Expr postfix(Expr operand) {
        Expr value = operand;
        while (current().kind() == Kind.OPERATOR) {
            if (isOperator(".") || isOperator("[")) {
                value = subscript(value);
            } else if (isOperator("(")) {
                value = new Node.Call(value, arguments());
            } else {
                break;
            }
        }
        return value;
    }

    final Expr filters(Expr operand) {
        Expr value = operand;
        while (true) {
            if (isOperator("|")) {
                value = filterChain(value);
            } else if (isWord("is")) {
                value = test(value);
            } else if (isOperator("(")) {
                value = new Node.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    /// `| a | b(c)` onto `target`, or onto what a block encloses if that is null; the first `|` is
    /// absent in a `filter` block.
    final Expr filterChain(@Nullable Expr target) {
        Expr value = target;
        boolean first = !isOperator("|");
        while (first || skipOperator("|")) {
            first = false;
            int line = current().line();
            String name = dotted();
            Filters.Filter filter = Filters.find(name);
            if (filter == null) {
                throw Fault.at(line, "there is no filter named '" + name + "'");
            }
            value = new Node.Filter(value, filter, isOperator("(") ? arguments() : Args.NONE);
        }
        if (value == null) {
            throw unexpected("a filter");
        }
        return value;
    }

    private Expr test(Expr target) {
        next();
        boolean negated = skipWord("not");
        int line = current().line();
        String name = dotted();
        Builtins.Test test = Builtins.test(name);
        if (test == null) {
            throw Fault.at(line, "there is no test named '" + name + "'");
        }
        Expr value = new Node.Test(target, test, testArguments());
        return negated ? new Node.Not(value) : value;
    }

    private Args testArguments() {
        if (isOperator("(")) {
            return arguments();
        }
        boolean argument =
                switch (current().kind()) {
                    case STRING, INTEGER, FLOAT -> true;
                    case NAME -> !isWord("else") && !isWord("or") && !isWord("and");
                    case OPERATOR -> isOperator("[") || isOperator("{");
                    default -> false;
                };
        if (!argument) {
            return Args.NONE;
        }
        if (isWord("is")) {
            throw Fault.at(current().line(), "tests cannot follow each other with 'is'");
        }
        enter();
        Expr value = postfix(primary());
        leave();
        return new Args(List.of(value), List.of(), null, null);
    }

    private String dotted() {
        StringBuilder name = new StringBuilder(expectName());
        while (skipOperator(".")) {
            name.append('.').append(expectName());
        }
        return name.toString();
    }

    private Expr subscript(Expr target) {
        if (next().text().equals(".")) {
            Token name = next();
            return switch (name.kind()) {
                case NAME -> new Node.Attribute(target, name.text());
                case INTEGER -> new Node.Item(target, new Node.Constant(name.value()));
                default ->
                        throw Fault.at(
                                name.line(),
                                "found " + name.show() + " instead of a name or number");
            };
        }
        enter();
        Node first = subscripted();
        List<Expr> items = new ArrayList<>();
        while (skipOperator(",")) {
            items.add(plain(subscripted()));
        }
        expectOperator("]");
        leave();
        if (!items.isEmpty()) {
            items.addFirst(plain(first));
            return new Node.Item(target, new Node.TupleOf(items));
        }
        return first instanceof Node.Slice slice
                ? new Node.SliceOf(target, slice)
                : new Node.Item(target, plain(first));
    }

    private Expr plain(Node part) {
        if (part instanceof Expr value) {
            return value;
        }
        throw Fault.at(current().line(), "a slice cannot be one of several subscripts");
    }

    private Node subscripted() {
        Expr start = isOperator(":") ? null : expression();
        if (start != null && !isOperator(":")) {
            return start;
        }
        next();
        Expr stop = isOperator(":") || isOperator("]") || isOperator(",") ? null : expression();
        Expr step = null;
        if (skipOperator(":") && !isOperator("]") && !isOperator(",")) {
            step = expression();
        }
        return new Node.Slice(start, stop, step);
    }

    /// `(a, *b, c=d, **e)`.
    final Args arguments() {
        expectOperator("(");
        List<Expr> positional = new ArrayList<>();
        List<Node.Keyword> named = new ArrayList<>();
        Expr starred = null;
        Expr doubleStarred = null;
        while (!isOperator(")")) {
            if (isOperator("*") && starred == null && doubleStarred == null) {
                next();
                starred = expression();
            } else if (isOperator("**") && doubleStarred == null) {
                next();
                doubleStarred = expression();
            } else if (current().kind() == Kind.NAME
                    && ahead().is(Kind.OPERATOR, "=")
                    && doubleStarred == null) {
                String name = next().text();
                next();
                named.add(new Node.Keyword(name, expression()));
            } else if (named.isEmpty() && starred == null && doubleStarred == null) {
                positional.add(expression());
            } else {
                throw unexpected("a named argument");
            }
            if (!isOperator(")")) {
                expectOperator(",");
            }
        }
        next();
        return new Args(positional, named, starred, doubleStarred);
    }
}
