package brantas.jinja;

import brantas.jinja.Lexer.Kind;
import brantas.jinja.Lexer.Token;
import brantas.jinja.Node.Binary;
import brantas.jinja.Node.Expr;
import brantas.jinja.Node.Relation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Reads whole expressions, by recursive descent with Jinja's own precedence: `if`, `or`, `and`,
/// `not`, comparisons, `+ -`, `~`, `* / // %`, `**` (from the left), signs, then filters and tests,
/// which bind tighter than any operator. [StatementParser] builds on it.
class ExpressionParser extends OperandParser {
    private static final Map<String, Relation> RELATIONS =
            Map.of(
                    "==", Relation.EQUAL,
                    "!=", Relation.NOT_EQUAL,
                    "<", Relation.LESS,
                    "<=", Relation.LESS_EQUAL,
                    ">", Relation.GREATER,
                    ">=", Relation.GREATER_EQUAL);

    /// Left-associative operators from loose to tight; `~` stands between the first two rows.
    private static final List<Map<String, Binary>> LEVELS =
            List.of(
                    Map.of("+", Binary.ADD, "-", Binary.SUBTRACT),
                    Map.of(
                            "*", Binary.MULTIPLY,
                            "/", Binary.DIVIDE,
                            "//", Binary.FLOOR_DIVIDE,
                            "%", Binary.MODULO),
                    Map.of("**", Binary.POWER));

    ExpressionParser(List<Token> tokens) {
        super(tokens);
    }

    @Override
    final Expr expression() {
        enter();
        Expr value = or();
        while (skipWord("if")) {
            Expr test = or();
            Expr otherwise = skipWord("else") ? expression() : null;
            value = new Node.Conditional(test, value, otherwise);
        }
        leave();
        return value;
    }

    @Override
    final Expr or() {
        Expr left = and();
        while (skipWord("or")) {
            left = new Node.Or(left, and());
        }
        return left;
    }

    private Expr and() {
        Expr left = not();
        while (skipWord("and")) {
            left = new Node.And(left, not());
        }
        return left;
    }

    private Expr not() {
        int count = 0;
        while (skipWord("not")) {
            enter();
            count++;
        }
        Expr operand = comparison();
        for (int i = 0; i < count; i++) {
            operand = new Node.Not(operand);
            leave();
        }
        return operand;
    }

    private Expr comparison() {
        Expr first = arithmetic(0);
        List<Node.Operand> operands = new ArrayList<>();
        while (true) {
            Relation relation =
                    current().kind() == Kind.OPERATOR ? RELATIONS.get(current().text()) : null;
            if (relation == null && isWord("in")) {
                relation = Relation.IN;
            } else if (relation == null && isWord("not") && ahead().is(Kind.NAME, "in")) {
                relation = Relation.NOT_IN;
                next();
            }
            if (relation == null) {
                return operands.isEmpty() ? first : new Node.Compare(first, operands);
            }
            next();
            operands.add(new Node.Operand(relation, arithmetic(0)));
        }
    }

    private Expr arithmetic(int level) {
        Expr left = tighter(level);
        while (current().kind() == Kind.OPERATOR) {
            Binary op = LEVELS.get(level).get(current().text());
            if (op == null) {
                break;
            }
            next();
            left = new Node.Arith(op, left, tighter(level));
        }
        return left;
    }

    private Expr tighter(int level) {
        return switch (level) {
            case 0 -> concatenation();
            case 1 -> arithmetic(2);
            default -> unary(true);
        };
    }

    private Expr concatenation() {
        Expr first = arithmetic(1);
        if (!isOperator("~")) {
            return first;
        }
        List<Expr> parts = new ArrayList<>();
        parts.add(first);
        while (skipOperator("~")) {
            parts.add(arithmetic(1));
        }
        return new Node.Concat(parts);
    }

    private Expr unary(boolean filters) {
        enter();
        Expr value;
        if (isOperator("-") || isOperator("+")) {
            boolean negative = next().text().equals("-");
            value = new Node.Sign(negative, unary(false));
        } else {
            value = primary();
        }
        value = postfix(value);
        value = filters ? filters(value) : value;
        leave();
        return value;
    }
}
