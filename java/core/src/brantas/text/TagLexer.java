package brantas.text;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Splits model output that arrives in pieces into markup tags and the text between them. Knows
/// spelling only: which tag means something at its place is decided by [OutputParser] and
/// [CallReader]. Withholds at most one unfinished tag, so a tag may be cut anywhere; every
/// character comes out exactly once, in order.
final class TagLexer {
    /// Longest name in `<function=…>` and `<parameter=…>`, in characters.
    static final int LONGEST_NAME = 128;

    enum Kind {
        TEXT(""),
        THINK("<think>"),
        END_THINK("</think>"),
        TOOL_CALL("<tool_call>"),
        END_TOOL_CALL("</tool_call>"),
        FUNCTION("<function="),
        END_FUNCTION("</function>"),
        PARAMETER("<parameter="),
        END_PARAMETER("</parameter>");

        private final String spelling;

        Kind(String spelling) {
            this.spelling = spelling;
        }

        private boolean named() {
            return this == FUNCTION || this == PARAMETER;
        }
    }

    /// @param text as it stood in the output
    /// @param name of a function or parameter, otherwise empty
    record Token(Kind kind, String text, String name) {
        boolean blank() {
            return kind == Kind.TEXT && text.isBlank();
        }
    }

    private static final Kind[] TAGS = {
        Kind.THINK,
        Kind.END_THINK,
        Kind.TOOL_CALL,
        Kind.END_TOOL_CALL,
        Kind.FUNCTION,
        Kind.END_FUNCTION,
        Kind.PARAMETER,
        Kind.END_PARAMETER
    };
    private static final int ALL = (1 << TAGS.length) - 1;

    private final Consumer<Token> sink;
    private final StringBuilder text = new StringBuilder();
    private final StringBuilder held = new StringBuilder();

    /// Bit i: the held text may still become TAGS[i].
    private int alive;

    private @Nullable Kind named;

    TagLexer(Consumer<Token> sink) {
        this.sink = sink;
    }

    void feed(String piece) {
        int at = 0;
        while (at < piece.length()) {
            at = held.isEmpty() ? plain(piece, at) : tag(piece, at);
        }
        flushText();
    }

    /// Gives out what was withheld; the lexer is then as new.
    void finish() {
        refute();
        flushText();
    }

    private int plain(String piece, int from) {
        int open = piece.indexOf('<', from);
        if (open < 0) {
            text.append(piece, from, piece.length());
            return piece.length();
        }
        text.append(piece, from, open);
        held.append('<');
        alive = ALL;
        return open + 1;
    }

    /// Takes the character at `at` into the held tag. A character that refutes the tag is left for
    /// the next round, as it may open another one.
    private int tag(String piece, int at) {
        char c = piece.charAt(at);
        if (named != null) {
            return name(named, c, at);
        }
        alive = narrowed(c);
        if (alive == 0) {
            refute();
            return at;
        }
        held.append(c);
        Kind kind = TAGS[Integer.numberOfTrailingZeros(alive)];
        if (kind.spelling.length() == held.length()) {
            if (kind.named()) {
                named = kind;
            } else {
                emit(kind, "");
            }
        }
        return at + 1;
    }

    private int name(Kind kind, char c, int at) {
        int start = kind.spelling.length();
        boolean tooLong = held.length() - start >= LONGEST_NAME && c != '>';
        boolean empty = held.length() == start && c == '>';
        if (c == '<' || c == '\n' || c == '\r' || tooLong || empty) {
            refute();
            return at;
        }
        held.append(c);
        if (c == '>') {
            emit(kind, held.substring(start, held.length() - 1));
        }
        return at + 1;
    }

    private int narrowed(char c) {
        int rest = 0;
        int index = held.length();
        for (int i = 0; i < TAGS.length; i++) {
            String spelling = TAGS[i].spelling;
            boolean fits = spelling.length() > index && spelling.charAt(index) == c;
            rest |= (alive >> i & 1) != 0 && fits ? 1 << i : 0;
        }
        return rest;
    }

    private void refute() {
        text.append(held);
        held.setLength(0);
        named = null;
    }

    private void emit(Kind kind, String name) {
        flushText();
        Token token = new Token(kind, held.toString(), name);
        held.setLength(0);
        named = null;
        sink.accept(token);
    }

    private void flushText() {
        if (!text.isEmpty()) {
            Token token = new Token(Kind.TEXT, text.toString(), "");
            text.setLength(0);
            sink.accept(token);
        }
    }
}
