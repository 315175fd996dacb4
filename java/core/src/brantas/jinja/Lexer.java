package brantas.jinja;

import brantas.jinja.Template.Fault;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Cuts a template into text, tags and the tokens inside tags, in one pass over the source. Knows
/// white space control: `trim_blocks` and `lstrip_blocks` are on, a final newline is dropped, `-`
/// strips and `+` keeps. Comments and raw blocks end here; the parsers never see them. String
/// literals arrive unescaped, numbers as values.
final class Lexer {
    enum Kind {
        TEXT,
        PRINT_BEGIN,
        PRINT_END,
        BLOCK_BEGIN,
        BLOCK_END,
        NAME,
        STRING,
        INTEGER,
        FLOAT,
        OPERATOR,
        END
    }

    /// @param text the spelling: an identifier, an operator, a literal's content, or plain text
    /// @param value a number literal's value
    /// @param line 1-based
    record Token(Kind kind, String text, @Nullable Object value, int line) {
        boolean is(Kind wanted, String spelling) {
            return kind == wanted && text.equals(spelling);
        }

        String show() {
            return switch (kind) {
                case PRINT_END -> "the end of a print statement";
                case BLOCK_END -> "the end of a statement";
                case END -> "the end of the template";
                case STRING -> "a string";
                default -> "'" + (text.length() > 40 ? text.substring(0, 40) + "…" : text) + "'";
            };
        }
    }

    private static final List<String> LONG_OPERATORS = List.of("//", "**", "==", "!=", ">=", "<=");
    private static final String SHORT_OPERATORS = "+-/*%~[](){}><=.:|,;";
    private static final int MAX_DIGITS = 4300;

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int pos;
    private int line = 1;

    Lexer(String template) {
        String text = template.replace("\r\n", "\n").replace('\r', '\n');
        this.source = text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    }

    List<Token> tokens() {
        while (pos < source.length()) {
            int tag = nextTag();
            if (tag < 0) {
                text(pos, source.length(), '+', false);
                pos = source.length();
            } else {
                tag(tag);
            }
        }
        add(Kind.END, "", null);
        return tokens;
    }

    private void tag(int tag) {
        char type = source.charAt(tag + 1);
        char sign = signAt(tag + 2);
        text(pos, tag, sign, type != '{');
        pos = tag + (sign == 0 ? 2 : 3);
        switch (type) {
            case '#' -> comment();
            case '{' -> {
                add(Kind.PRINT_BEGIN, "{{", null);
                inside("}}", Kind.PRINT_END);
            }
            default -> {
                int body = rawBody();
                if (body >= 0) {
                    raw(body);
                } else {
                    add(Kind.BLOCK_BEGIN, "{%", null);
                    inside("%}", Kind.BLOCK_END);
                }
            }
        }
    }

    private int nextTag() {
        int brace = source.indexOf('{', pos);
        while (brace >= 0 && brace + 1 < source.length()) {
            char next = source.charAt(brace + 1);
            if (next == '%' || next == '{' || next == '#') {
                return brace;
            }
            brace = source.indexOf('{', brace + 1);
        }
        return -1;
    }

    private char signAt(int at) {
        char sign = at < source.length() ? source.charAt(at) : 0;
        return sign == '-' || sign == '+' ? sign : 0;
    }

    /// Emits the text `[from, to)` in front of a tag, less what the tag's sign takes away.
    private void text(int from, int to, char sign, boolean block) {
        int end = to;
        if (sign == '-') {
            while (end > from && Spelling.space(source.charAt(end - 1))) {
                end--;
            }
        } else if (sign != '+' && block) {
            int start = to;
            while (start > from
                    && source.charAt(start - 1) != '\n'
                    && Spelling.space(source.charAt(start - 1))) {
                start--;
            }
            if (start == 0 || source.charAt(start - 1) == '\n') {
                end = start;
            }
        }
        if (end > from) {
            add(Kind.TEXT, source.substring(from, end), null);
        }
        countLines(from, to);
    }

    private void comment() {
        int close = source.indexOf("#}", pos);
        if (close < 0) {
            throw Fault.at(line, "a comment that begins here has no end '#}'");
        }
        countLines(pos, close);
        char sign = close > pos ? source.charAt(close - 1) : 0;
        pos = close + 2;
        afterTag(sign);
    }

    /// Skips what a block's or comment's end takes away behind it.
    private void afterTag(char sign) {
        if (sign == '-') {
            skipSpace();
        } else if (sign != '+' && pos < source.length() && source.charAt(pos) == '\n') {
            countLines(pos, pos + 1);
            pos++;
        }
    }

    /// Where the text of a raw block begins if the tag at `pos` opens one, else -1.
    private int rawBody() {
        int at = keyword(pos, "raw");
        if (at >= 0 && source.startsWith("%}", at)) {
            return at + 2;
        }
        return at >= 0 && source.startsWith("-%}", at) ? at + 3 : -1;
    }

    /// The position behind optional space, `word` and optional space, or -1.
    private int keyword(int from, String word) {
        int at = pastSpace(from);
        return source.startsWith(word, at) ? pastSpace(at + word.length()) : -1;
    }

    private void raw(int body) {
        countLines(pos, body);
        boolean strip = source.charAt(body - 3) == '-';
        pos = body;
        if (strip) {
            skipSpace();
        }
        int tag = source.indexOf("{%", pos);
        while (tag >= 0) {
            char sign = signAt(tag + 2);
            int at = keyword(tag + (sign == 0 ? 2 : 3), "endraw");
            char endSign = at >= 0 ? signAt(at) : 0;
            int close = endSign == 0 ? at : at + 1;
            if (at >= 0 && source.startsWith("%}", close)) {
                text(pos, tag, sign, true);
                countLines(tag, close);
                pos = close + 2;
                afterTag(endSign);
                return;
            }
            tag = source.indexOf("{%", tag + 2);
        }
        throw Fault.at(line, "a raw block that begins here has no 'endraw'");
    }

    private void inside(String close, Kind end) {
        Deque<Character> open = new ArrayDeque<>();
        while (true) {
            skipSpace();
            if (pos >= source.length()) {
                return;
            }
            char sign = signAt(pos);
            if (open.isEmpty() && (end == Kind.BLOCK_END || sign != '+')) {
                int at = sign == 0 ? pos : pos + 1;
                if (source.startsWith(close, at)) {
                    add(end, close, null);
                    pos = at + 2;
                    if (end == Kind.BLOCK_END || sign == '-') {
                        afterTag(sign);
                    }
                    return;
                }
            }
            token(open);
        }
    }

    private void token(Deque<Character> open) {
        char c = source.charAt(pos);
        if (c >= '0' && c <= '9') {
            number();
        } else if (c == '\'' || c == '"') {
            string(c);
        } else if (Spelling.nameStart(source.codePointAt(pos))) {
            int from = pos;
            while (pos < source.length() && Spelling.namePart(source.codePointAt(pos))) {
                pos += Character.charCount(source.codePointAt(pos));
            }
            add(Kind.NAME, source.substring(from, pos), null);
        } else {
            operator(open);
        }
    }

    private void operator(Deque<Character> open) {
        String two = pos + 2 <= source.length() ? source.substring(pos, pos + 2) : "";
        char c = source.charAt(pos);
        if (LONG_OPERATORS.contains(two)) {
            add(Kind.OPERATOR, two, null);
            pos += 2;
            return;
        }
        if (SHORT_OPERATORS.indexOf(c) < 0) {
            throw Fault.at(
                    line,
                    "the character '"
                            + Character.toString(source.codePointAt(pos))
                            + "' has no meaning here");
        }
        switch (c) {
            case '(' -> open.push(')');
            case '[' -> open.push(']');
            case '{' -> open.push('}');
            case ')', ']', '}' -> {
                if (open.isEmpty() || open.pop() != c) {
                    throw Fault.at(line, "the bracket '" + c + "' closes nothing");
                }
            }
            default -> {}
        }
        add(Kind.OPERATOR, String.valueOf(c), null);
        pos++;
    }

    private void number() {
        int from = pos;
        boolean afterDot = from > 0 && source.charAt(from - 1) == '.';
        int whole = Spelling.digits(source, from, false);
        int at = whole;
        if (!afterDot) {
            if (at < source.length() && source.charAt(at) == '.') {
                at =
                        Spelling.digits(source, at + 1, false) > at + 1
                                ? Spelling.digits(source, at + 1, false)
                                : at;
            }
            at = exponent(at);
            if (at > whole) {
                pos = at;
                String digits = source.substring(from, at).replace("_", "");
                add(Kind.FLOAT, digits, Double.valueOf(digits));
                return;
            }
        }
        integer(from);
    }

    private int exponent(int at) {
        if (at >= source.length() || (source.charAt(at) | 0x20) != 'e') {
            return at;
        }
        int digits = signAt(at + 1) == 0 ? at + 1 : at + 2;
        int end = Spelling.digits(source, digits, false);
        return end > digits ? end : at;
    }

    private void integer(int from) {
        int radix = 10;
        int digits = from;
        if (source.charAt(from) == '0' && from + 1 < source.length()) {
            radix =
                    switch (source.charAt(from + 1) | 0x20) {
                        case 'x' -> 16;
                        case 'o' -> 8;
                        case 'b' -> 2;
                        default -> 10;
                    };
            digits = radix == 10 ? from : from + 2;
        }
        pos = Spelling.digits(source, digits, radix == 16);
        String spelling = source.substring(digits, pos).replace("_", "");
        if (spelling.isEmpty() || spelling.length() > MAX_DIGITS) {
            throw Fault.at(line, "a number has no digits or more than " + MAX_DIGITS);
        }
        if (radix == 10
                && spelling.length() > 1
                && spelling.charAt(0) == '0'
                && !spelling.matches("0+")) {
            throw Fault.at(line, "the number '" + spelling + "' begins with a zero");
        }
        try {
            add(Kind.INTEGER, spelling, Arithmetic.integer(new BigInteger(spelling, radix)));
        } catch (NumberFormatException e) {
            throw Fault.at(line, "the number '" + source.substring(from, pos) + "' is malformed");
        }
    }

    private void string(char quote) {
        int from = ++pos;
        int at = from;
        while (at < source.length() && source.charAt(at) != quote) {
            at += source.charAt(at) == '\\' ? 2 : 1;
        }
        if (at >= source.length()) {
            throw Fault.at(line, "a string that begins here has no end " + quote);
        }
        String body = source.substring(from, at);
        add(Kind.STRING, Spelling.unescape(body, line), null);
        countLines(from, at);
        pos = at + 1;
    }

    private void skipSpace() {
        int to = pastSpace(pos);
        countLines(pos, to);
        pos = to;
    }

    private int pastSpace(int from) {
        int at = from;
        while (at < source.length() && Spelling.space(source.charAt(at))) {
            at++;
        }
        return at;
    }

    private void countLines(int from, int to) {
        for (int i = from; i < to; i++) {
            if (source.charAt(i) == '\n') {
                line++;
            }
        }
    }

    private void add(Kind kind, String text, @Nullable Object value) {
        tokens.add(new Token(kind, text, value, line));
    }
}
