package brantas.jinja;

import brantas.jinja.Lexer.Kind;
import brantas.jinja.Lexer.Token;
import brantas.jinja.Node.Expr;
import brantas.jinja.Node.Stmt;
import brantas.jinja.Node.Target;
import brantas.jinja.Template.Fault;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Reads a whole template: text, print statements and blocks. A block's tag decides which method
/// reads it; unknown tags and the ones that load other templates fail here, at load time. `break`
/// and `continue` are accepted inside loops only.
final class StatementParser extends ExpressionParser {
    private static final Set<String> CONSTANTS =
            Set.of("true", "false", "none", "True", "False", "None");
    private static final Set<String> LOADING = Set.of("include", "import", "from", "extends");

    private final List<Token> all;
    private int loops;

    StatementParser(List<Token> tokens) {
        super(tokens);
        this.all = tokens;
    }

    List<Stmt> template() {
        return body("the template");
    }

    // ---- bodies ----

    /// Statements up to one of the tags in `ends`, whose name stays current.
    private List<Stmt> body(String block, String... ends) {
        Set<String> wanted = Set.of(ends);
        int begin = current().line();
        List<Stmt> statements = new ArrayList<>();
        enter();
        while (current().kind() != Kind.END) {
            Token token = next();
            switch (token.kind()) {
                case TEXT -> statements.add(new Node.Text(token.line(), token.text()));
                case PRINT_BEGIN -> {
                    statements.add(new Node.Print(token.line(), tuple(true, false)));
                    expect(Kind.PRINT_END, "the end of the print statement");
                }
                default -> {
                    if (current().kind() == Kind.NAME && wanted.contains(current().text())) {
                        leave();
                        return statements;
                    }
                    statements.add(statement(token.line()));
                }
            }
        }
        leave();
        if (ends.length > 0) {
            throw Fault.at(
                    begin, block + " that begins here has no '" + ends[ends.length - 1] + "'");
        }
        return statements;
    }

    /// A body that ends at its own end tag.
    private List<Stmt> closed(String block, String end) {
        List<Stmt> statements = body("the '" + block + "' block", end);
        next();
        endOfBlock();
        return statements;
    }

    /// A body of which `break` and `continue` cannot leave.
    private List<Stmt> isolated(String block, String end) {
        int outer = loops;
        loops = 0;
        List<Stmt> statements = closed(block, end);
        loops = outer;
        return statements;
    }

    private void expect(Kind kind, String wanted) {
        if (current().kind() != kind) {
            throw unexpected(wanted);
        }
        next();
    }

    private void endOfBlock() {
        expect(Kind.BLOCK_END, "the end of the statement");
    }

    private Stmt statement(int line) {
        if (current().kind() != Kind.NAME) {
            throw unexpected("the name of a statement");
        }
        String tag = next().text();
        return switch (tag) {
            case "if" -> conditional(line);
            case "for" -> loop(line);
            case "set" -> assignment(line);
            case "macro" -> macro(line);
            case "call" -> callBlock(line);
            case "filter" -> {
                Expr filter = filterChain(null);
                endOfBlock();
                yield new Node.FilterBlock(line, filter, closed(tag, "endfilter"));
            }
            case "with" -> with(line);
            case "generation" -> {
                endOfBlock();
                yield new Node.With(line, List.of(), isolated(tag, "endgeneration"));
            }
            case "block" -> {
                expectName();
                endOfBlock();
                yield block(line);
            }
            case "print" -> {
                Expr value = tuple(true, false);
                endOfBlock();
                yield new Node.Print(line, value);
            }
            case "break", "continue" -> jump(line, tag);
            default -> throw unknown(line, tag);
        };
    }

    private static Fault unknown(int line, String tag) {
        return LOADING.contains(tag)
                ? Fault.at(
                        line,
                        "the tag '" + tag + "' would load another template, which is not supported")
                : Fault.at(line, "the tag '" + tag + "' is unknown here");
    }

    private Stmt jump(int line, String tag) {
        if (loops == 0) {
            throw Fault.at(line, "'" + tag + "' stands outside a loop");
        }
        endOfBlock();
        return tag.equals("break") ? new Node.Break(line) : new Node.Continue(line);
    }

    /// A named block without inheritance is its body in a scope of its own.
    private Stmt block(int line) {
        int outer = loops;
        loops = 0;
        List<Stmt> statements = body("the 'block' block", "endblock");
        next();
        if (current().kind() == Kind.NAME) {
            next();
        }
        endOfBlock();
        loops = outer;
        return new Node.With(line, List.of(), statements);
    }

    // ---- blocks ----

    private Stmt conditional(int line) {
        List<Node.Branch> branches = new ArrayList<>();
        int at = line;
        while (true) {
            Expr test = tuple(false, false);
            endOfBlock();
            List<Stmt> then = body("the 'if' block", "elif", "else", "endif");
            branches.add(new Node.Branch(at, test, then));
            at = current().line();
            String tag = next().text();
            if (tag.equals("elif")) {
                continue;
            }
            endOfBlock();
            return new Node.If(
                    line, branches, tag.equals("else") ? closed("if", "endif") : List.of());
        }
    }

    private Stmt loop(int line) {
        Target target = target(false, "in");
        if (!skipWord("in")) {
            throw unexpected("'in'");
        }
        Expr items = tuple(false, false);
        Expr filter = skipWord("if") ? expression() : null;
        boolean recursive = skipWord("recursive");
        endOfBlock();
        loops++;
        List<Stmt> body = body("the 'for' block", "else", "endfor");
        loops--;
        boolean otherwise = next().text().equals("else");
        endOfBlock();
        return new Node.For(
                line,
                target,
                items,
                new Node.Loop(filter, recursive, body),
                otherwise ? closed("for", "endfor") : List.of());
    }

    private Stmt assignment(int line) {
        Target target = target(true, "=");
        if (skipOperator("=")) {
            Expr value = tuple(true, false);
            endOfBlock();
            return new Node.Assign(line, target, value);
        }
        Expr filter = isOperator("|") ? filterChain(null) : null;
        endOfBlock();
        return new Node.AssignBlock(line, target, filter, closed("set", "endset"));
    }

    private Stmt with(int line) {
        List<Node.Assign> assigns = new ArrayList<>();
        while (current().kind() != Kind.BLOCK_END) {
            if (!assigns.isEmpty()) {
                expectOperator(",");
            }
            Target target = primaryTarget(false);
            expectOperator("=");
            assigns.add(new Node.Assign(line, target, expression()));
        }
        endOfBlock();
        return new Node.With(line, assigns, closed("with", "endwith"));
    }

    private Stmt macro(int line) {
        String name = expectName();
        List<String> parameters = new ArrayList<>();
        List<@Nullable Expr> defaults = new ArrayList<>();
        parameters(parameters, defaults);
        endOfBlock();
        int from = position();
        List<Stmt> body = isolated("macro", "endmacro");
        return new Node.MacroDef(line, signature(name, parameters, defaults, from), body);
    }

    private Stmt callBlock(int line) {
        List<String> parameters = new ArrayList<>();
        List<@Nullable Expr> defaults = new ArrayList<>();
        if (isOperator("(")) {
            parameters(parameters, defaults);
        }
        if (!(expression() instanceof Node.Call call)) {
            throw Fault.at(line, "'call' needs a call");
        }
        endOfBlock();
        int from = position();
        List<Stmt> body = isolated("call", "endcall");
        return new Node.CallBlock(
                line, call, signature("caller", parameters, defaults, from), body);
    }

    private void parameters(List<String> names, List<@Nullable Expr> defaults) {
        expectOperator("(");
        Set<String> seen = new HashSet<>();
        boolean optional = false;
        while (!isOperator(")")) {
            if (!names.isEmpty()) {
                expectOperator(",");
            }
            int line = current().line();
            String name = nameTarget();
            if (!seen.add(name)) {
                throw Fault.at(line, "the parameter '" + name + "' occurs twice");
            }
            boolean given = skipOperator("=");
            if (optional && !given) {
                throw Fault.at(
                        line, "the parameter '" + name + "' needs a default like the one before");
            }
            optional |= given;
            names.add(name);
            defaults.add(given ? expression() : null);
        }
        next();
    }

    /// A macro takes surplus arguments only if its body reads them.
    private Node.Signature signature(
            String name, List<String> parameters, List<@Nullable Expr> defaults, int from) {
        boolean varargs = false;
        boolean kwargs = false;
        boolean caller = false;
        for (int i = from; i < position(); i++) {
            Token token = all.get(i);
            if (token.kind() == Kind.NAME) {
                varargs |= token.text().equals("varargs");
                kwargs |= token.text().equals("kwargs");
                caller |= token.text().equals("caller");
            }
        }
        return new Node.Signature(name, parameters, defaults, varargs, kwargs, caller);
    }

    // ---- targets ----

    private Target target(boolean fields, String end) {
        List<Target> items = new ArrayList<>();
        boolean comma = false;
        boolean ended = false;
        while (!ended) {
            items.add(primaryTarget(fields));
            ended = !skipOperator(",");
            comma |= !ended;
            ended |= isWord(end) || isOperator(end) || current().kind() == Kind.BLOCK_END;
        }
        return comma ? new Node.TupleTarget(items) : items.getFirst();
    }

    private Target primaryTarget(boolean fields) {
        if (skipOperator("(")) {
            enter();
            List<Target> items = new ArrayList<>();
            boolean comma = false;
            while (!isOperator(")")) {
                items.add(primaryTarget(fields));
                if (!isOperator(")")) {
                    expectOperator(",");
                    comma = true;
                }
            }
            next();
            leave();
            return items.size() == 1 && !comma ? items.getFirst() : new Node.TupleTarget(items);
        }
        String name = nameTarget();
        return fields && skipOperator(".")
                ? new Node.FieldTarget(name, expectName())
                : new Node.NameTarget(name);
    }

    private String nameTarget() {
        int line = current().line();
        String name = expectName();
        if (CONSTANTS.contains(name)) {
            throw Fault.at(line, "'" + name + "' is a constant and cannot be assigned");
        }
        return name;
    }
}
