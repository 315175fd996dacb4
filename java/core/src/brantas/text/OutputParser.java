package brantas.text;

import brantas.text.TagLexer.Kind;
import brantas.text.TagLexer.Token;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Takes model output apart into reasoning, content and tool calls while it streams (spec 8.6). The
/// law: concatenated texts and the list of calls do not depend on how the output is cut into
/// pieces. Nothing it reads is an error; markup that does not make a call comes out as content. It
/// does not run tools and does not check arguments against their schemas. Belongs to one thread.
public final class OutputParser {
    /// A part of the output, in order.
    public sealed interface Event {
        /// More of the reasoning block.
        record Reasoning(String text) implements Event {}

        /// More of the answer.
        record Content(String text) implements Event {}

        /// A complete tool call; arguments are in the order of the output, typed by the schema.
        record Call(String name, Map<String, @Nullable Object> arguments) implements Event {}
    }

    /// A whole output, taken apart.
    ///
    /// @param reasoning absent if the output had none
    /// @param content without reasoning and calls
    /// @param calls in order
    public record Parsed(Optional<String> reasoning, String content, List<Event.Call> calls) {}

    private enum State {
        START,
        REASONING,
        CONTENT,
        OPEN,
        CALL
    }

    /// `<tool_call>` and the whitespace before `<function=`, in characters; beyond it the tag is
    /// prose.
    private static final int LONGEST_OPENING = "<tool_call>".length() + 64;

    private static final Pattern FUNCTION_NAME = Pattern.compile("[A-Za-z0-9_.:/-]{1,128}");

    private final State first;
    private final ToolTypes types;
    private final TagLexer lexer = new TagLexer(this::token);
    private List<Event> events = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();

    /// Whitespace that is written only if text of the same kind follows.
    private final StringBuilder gap = new StringBuilder();

    /// The markup of the call being read, to be written as content if it turns out to be none.
    private final StringBuilder raw = new StringBuilder();

    private State state = State.START;
    private @Nullable CallReader call;
    private boolean bare;
    private boolean lenient;
    private boolean reasoned;
    private boolean answered;
    private boolean dropNewline;
    private boolean trimStart;
    private boolean afterCall;
    private boolean gapFixed;
    private char last;

    /// @param startsInReasoning whether the prompt ended inside an open `<think>` block
    /// @param tools tool objects in OpenAI shape as maps, for the types of arguments; null if none
    ///   were offered
    public OutputParser(boolean startsInReasoning, @Nullable List<@Nullable Object> tools) {
        this.first = startsInReasoning ? State.REASONING : State.CONTENT;
        this.types = ToolTypes.of(tools);
    }

    /// What a whole output holds.
    ///
    /// @param truncated whether generation was cut off rather than ended by the model
    public static Parsed parse(
            String text,
            boolean startsInReasoning,
            @Nullable List<@Nullable Object> tools,
            boolean truncated) {
        OutputParser parser = new OutputParser(startsInReasoning, tools);
        List<Event> events = new ArrayList<>(parser.accept(text));
        events.addAll(parser.finish(truncated));
        StringBuilder reasoning = new StringBuilder();
        StringBuilder content = new StringBuilder();
        List<Event.Call> calls = new ArrayList<>();
        for (Event event : events) {
            switch (event) {
                case Event.Reasoning r -> reasoning.append(r.text());
                case Event.Content c -> content.append(c.text());
                case Event.Call c -> calls.add(c);
            }
        }
        Optional<String> thought =
                reasoning.isEmpty() ? Optional.empty() : Optional.of(reasoning.toString());
        return new Parsed(thought, content.toString(), List.copyOf(calls));
    }

    /// What became certain with this piece; control strings such as `</think>` must be visible in
    /// it.
    public List<Event> accept(String piece) {
        lexer.feed(piece);
        return taken();
    }

    /// What was withheld, at the end of the output. A call that the model left without its closing
    /// tags counts; one that was cut off does not and its markup becomes content, as running half a
    /// command is worse than running none.
    ///
    /// @param truncated whether generation was cut off rather than ended by the model
    public List<Event> finish(boolean truncated) {
        lexer.finish();
        state = state == State.START ? first : state;
        endCall(truncated);
        boolean wanted =
                state == State.REASONING ? reasoned : !afterCall && (answered || !trimStart);
        if (wanted) {
            text.append(gap);
        }
        gap.setLength(0);
        return taken();
    }

    private void endCall(boolean truncated) {
        if (state == State.CALL && call != null && call.valueOpen() && !truncated && !lenient) {
            // No reading under the strict rules: once more, from the start of this call.
            lenient = true;
            String again = raw.toString();
            state = State.CONTENT;
            lexer.feed(again);
            lexer.finish();
        }
        if (state == State.OPEN) {
            refuse();
        } else if (state == State.CALL && call != null) {
            if (truncated ? call.closed() : call.closable()) {
                call.close();
                callDone(call);
            } else {
                refuse();
            }
        }
    }

    private void token(Token token) {
        switch (state) {
            case START -> start(token);
            case REASONING -> reasoning(token);
            case CONTENT -> content(token);
            case OPEN -> open(token);
            case CALL -> call(token);
        }
    }

    private void start(Token token) {
        if (token.blank()) {
            gap.append(token.text());
        } else if (token.kind() == Kind.THINK) {
            gap.setLength(0);
            state = State.REASONING;
            dropNewline = true;
        } else {
            state = first;
            token(token);
        }
    }

    private void reasoning(Token token) {
        if (token.kind() == Kind.END_THINK) {
            gap.setLength(0);
            flush();
            state = State.CONTENT;
            trimStart = true;
            return;
        }
        String part = token.text();
        if (dropNewline) {
            dropNewline = false;
            part = part.startsWith("\n") ? part.substring(1) : part;
        }
        int end = trimmedLength(part);
        if (end > 0) {
            text.append(gap).append(part, 0, end);
            gap.setLength(0);
            reasoned = true;
        }
        gap.append(part, end, part.length());
    }

    private void content(Token token) {
        switch (token.kind()) {
            case END_THINK -> strayEnd(token);
            case TOOL_CALL -> {
                raw.setLength(0);
                raw.append(token.text());
                bare = false;
                state = State.OPEN;
            }
            case FUNCTION -> {
                // The order matters: after a call the gap is not looked through again.
                boolean placed = afterCall || (types.knows(token.name()) && atLineStart());
                if (placed && isName(token)) {
                    raw.setLength(0);
                    bare |= !afterCall;
                    begin(token);
                } else {
                    write(token.text());
                }
            }
            case END_TOOL_CALL, END_FUNCTION, END_PARAMETER -> {
                if (!afterCall) {
                    write(token.text());
                }
            }
            default -> write(token.text());
        }
    }

    /// Models repeat `</think>`; that is dropped unless it is quoted, as in an answer about it.
    private void strayEnd(Token token) {
        if (gap.isEmpty() && (last == '`' || last == '"' || last == '\'')) {
            write(token.text());
        } else {
            trimStart |= !answered;
            gapFixed = !gap.isEmpty();
        }
    }

    private void open(Token token) {
        if (token.blank() && raw.length() + token.text().length() <= LONGEST_OPENING) {
            raw.append(token.text());
        } else if (isName(token)) {
            begin(token);
        } else {
            refuse();
            token(token);
        }
    }

    private void begin(Token function) {
        raw.append(function.text());
        call = new CallReader(function.name(), types, bare, lenient);
        state = State.CALL;
    }

    private void call(Token token) {
        CallReader reader = call;
        if (reader == null) {
            throw new AssertionError("no call in state " + state);
        }
        switch (reader.accept(token)) {
            case MORE -> raw.append(token.text());
            case DONE -> callDone(reader);
            case DONE_BEFORE -> {
                callDone(reader);
                write(reader.trailing());
                token(token);
            }
            case REFUSED -> {
                refuse();
                token(token);
            }
        }
    }

    private void callDone(CallReader reader) {
        flush();
        events.add(reader.call());
        raw.setLength(0);
        call = null;
        state = State.CONTENT;
        afterCall = true;
        gapFixed = !gap.isEmpty();
        trimStart |= !answered;
    }

    /// What looked like a call is content.
    private void refuse() {
        String markup = raw.toString();
        raw.setLength(0);
        call = null;
        state = State.CONTENT;
        write(markup);
    }

    /// Content, less whitespace at its end as long as nothing follows.
    private void write(String part) {
        int start = part.length() - part.stripLeading().length();
        if (!gapFixed) {
            gap.append(part, 0, start);
        }
        if (start == part.length()) {
            return;
        }
        boolean blankLines = trimStart && !answered;
        text.append(gap, blankLines ? gap.lastIndexOf("\n") + 1 : 0, gap.length());
        int end = trimmedLength(part);
        text.append(part, start, end);
        last = part.charAt(end - 1);
        gap.setLength(0);
        gap.append(part, end, part.length());
        answered = true;
        afterCall = false;
        gapFixed = false;
    }

    private boolean atLineStart() {
        int at = gap.length();
        while (at > 0 && (gap.charAt(at - 1) == ' ' || gap.charAt(at - 1) == '\t')) {
            at--;
        }
        return at > 0 ? gap.charAt(at - 1) == '\n' : !answered;
    }

    private static boolean isName(Token token) {
        return token.kind() == Kind.FUNCTION && FUNCTION_NAME.matcher(token.name()).matches();
    }

    private static int trimmedLength(String part) {
        return part.stripTrailing().length();
    }

    private void flush() {
        if (!text.isEmpty()) {
            String part = text.toString();
            text.setLength(0);
            events.add(
                    state == State.REASONING ? new Event.Reasoning(part) : new Event.Content(part));
        }
    }

    private List<Event> taken() {
        flush();
        List<Event> ready = events;
        events = new ArrayList<>();
        return ready;
    }
}
