package brantas.text;

import brantas.text.TagLexer.Kind;
import brantas.text.TagLexer.Token;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Reads one tool call from the tag after `<function=NAME>` to its end. Values may hold the very
/// markup that ends them, so a closing tag counts only if what follows it could follow a value; a
/// whole call quoted inside a value is skipped by counting. Works on tokens, each looked at no more
/// than twice, so time is linear. The lenient form is for output that has no end under these rules.
final class CallReader {
    /// What a token did to the call.
    enum Outcome {
        MORE,
        /// The call is complete with this token.
        DONE,
        /// The call was complete before this token, which belongs to what follows.
        DONE_BEFORE,
        /// This is no call; the token is still to be read.
        REFUSED
    }

    /// A tag in a value whose meaning depends on the next tag.
    private enum Pending {
        NONE,
        PARAMETER_END,
        FUNCTION_END,
        CALL_END,
        NESTED_OPEN,
        NESTED_END
    }

    /// Text between parameters that is ignored, in characters.
    private static final int MOST_STRAY = 256;

    private final String name;
    private final ToolTypes tools;
    private final ToolTypes.Parameters types;
    private final boolean bare;
    private final boolean lenient;
    private final Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
    private final StringBuilder value = new StringBuilder();
    private final StringBuilder held = new StringBuilder();
    private @Nullable String key;
    private String trailing = "";
    private Pending pending = Pending.NONE;
    private int nested;
    private int stray;

    /// @param bare whether the function tag came without `<tool_call>`, so nothing need follow it
    /// @param lenient whether doubtful closing tags count
    CallReader(String name, ToolTypes tools, boolean bare, boolean lenient) {
        this.name = name;
        this.tools = tools;
        this.types = tools.of(name);
        this.bare = bare;
        this.lenient = lenient;
    }

    Outcome accept(Token token) {
        if (key == null) {
            return body(token);
        }
        if (pending == Pending.NONE) {
            return value(token);
        }
        if (token.blank()) {
            held.append(token.text());
            return Outcome.MORE;
        }
        return decide(token);
    }

    /// Whether the text read so far ends inside a value.
    boolean valueOpen() {
        return key != null && (pending == Pending.NONE || nesting());
    }

    /// Whether the call's end was seen, though what follows could still have refuted it.
    boolean closed() {
        return key != null && (pending == Pending.FUNCTION_END || pending == Pending.CALL_END);
    }

    /// Whether this is a call if it ends here. Mere text where parameters belong is arguments in
    /// some other notation, or prose about calls.
    boolean closable() {
        return key != null || stray == 0 || !arguments.isEmpty();
    }

    /// Ends an open value at the end of the output.
    void close() {
        if (nesting()) {
            value.append(held);
        }
        endValue();
    }

    /// Whitespace between the end of the call and the token that confirmed it.
    String trailing() {
        return trailing;
    }

    OutputParser.Event.Call call() {
        return new OutputParser.Event.Call(name, Collections.unmodifiableMap(arguments));
    }

    private boolean nesting() {
        return pending == Pending.NESTED_OPEN || pending == Pending.NESTED_END;
    }

    private Outcome body(Token token) {
        return switch (token.kind()) {
            case PARAMETER -> {
                key = token.name();
                yield Outcome.MORE;
            }
            case END_PARAMETER -> Outcome.MORE;
            case END_FUNCTION, END_TOOL_CALL -> closable() ? Outcome.DONE : Outcome.REFUSED;
            case TOOL_CALL, FUNCTION -> closable() ? Outcome.DONE_BEFORE : Outcome.REFUSED;
            default -> {
                stray += (int) token.text().chars().filter(c -> !Character.isWhitespace(c)).count();
                yield stray > MOST_STRAY ? Outcome.REFUSED : Outcome.MORE;
            }
        };
    }

    private Outcome value(Token token) {
        return switch (token.kind()) {
            case PARAMETER -> {
                if (startsNext(token.name())) {
                    endValue();
                    key = token.name();
                } else {
                    value.append(token.text());
                }
                yield Outcome.MORE;
            }
            case END_PARAMETER -> hold(token, nested > 0 ? Pending.NONE : Pending.PARAMETER_END);
            case END_FUNCTION ->
                    hold(token, nested > 0 ? Pending.NESTED_END : Pending.FUNCTION_END);
            case TOOL_CALL -> hold(token, lenient ? Pending.NONE : Pending.NESTED_OPEN);
            case END_TOOL_CALL -> {
                if (lenient) {
                    yield end(Outcome.DONE);
                }
                yield hold(token, nested > 0 ? Pending.NONE : Pending.CALL_END);
            }
            default -> hold(token, Pending.NONE);
        };
    }

    private Outcome hold(Token token, Pending meaning) {
        pending = meaning;
        (meaning == Pending.NONE ? value : held).append(token.text());
        return Outcome.MORE;
    }

    /// Whether a parameter tag inside a value is the next parameter, its predecessor left unclosed.
    private boolean startsNext(String next) {
        boolean fresh = !next.equals(key) && !arguments.containsKey(next);
        return fresh && nested == 0 && types.declares(next) && atLineStart();
    }

    private boolean atLineStart() {
        int at = value.length();
        while (at > 0 && (value.charAt(at - 1) == ' ' || value.charAt(at - 1) == '\t')) {
            at--;
        }
        return at > 0 && value.charAt(at - 1) == '\n';
    }

    private Outcome decide(Token token) {
        Kind kind = token.kind();
        return switch (pending) {
            case PARAMETER_END -> afterParameter(token);
            case FUNCTION_END -> {
                if (kind == Kind.END_TOOL_CALL) {
                    yield end(Outcome.DONE);
                }
                boolean next = kind == Kind.FUNCTION && tools.knows(token.name());
                boolean ends = kind == Kind.TOOL_CALL || next || bare || lenient;
                yield ends ? end(Outcome.DONE_BEFORE) : refute(token);
            }
            case CALL_END -> kind == Kind.TOOL_CALL ? end(Outcome.DONE_BEFORE) : refute(token);
            case NESTED_OPEN -> nest(token, kind == Kind.FUNCTION ? 1 : 0);
            case NESTED_END -> nest(token, kind == Kind.END_TOOL_CALL ? -1 : 0);
            case NONE -> refute(token);
        };
    }

    private Outcome afterParameter(Token token) {
        return switch (token.kind()) {
            case PARAMETER -> {
                if (!types.accepts(token.name())) {
                    yield refute(token);
                }
                endValue();
                key = token.name();
                yield Outcome.MORE;
            }
            case END_FUNCTION -> hold(token, Pending.FUNCTION_END);
            case END_TOOL_CALL -> end(Outcome.DONE);
            case TOOL_CALL -> end(Outcome.DONE_BEFORE);
            default -> refute(token);
        };
    }

    private Outcome nest(Token token, int step) {
        if (step == 0) {
            return refute(token);
        }
        nested += step;
        value.append(held).append(token.text());
        held.setLength(0);
        pending = Pending.NONE;
        return Outcome.MORE;
    }

    /// The held tag was part of the value.
    private Outcome refute(Token token) {
        value.append(held);
        held.setLength(0);
        pending = Pending.NONE;
        return value(token);
    }

    private Outcome end(Outcome outcome) {
        String tags = held.toString();
        trailing = outcome == Outcome.DONE ? "" : tags.substring(tags.stripTrailing().length());
        endValue();
        return outcome;
    }

    private void endValue() {
        String name = key;
        if (name != null && !arguments.containsKey(name)) {
            arguments.put(name, types.convert(name, unframed()));
        }
        key = null;
        value.setLength(0);
        held.setLength(0);
        pending = Pending.NONE;
    }

    /// The value without the line breaks the template puts around it; everything else is data.
    private String unframed() {
        int from = !value.isEmpty() && value.charAt(0) == '\n' ? 1 : 0;
        int to = value.length();
        return value.substring(from, to > from && value.charAt(to - 1) == '\n' ? to - 1 : to);
    }
}
