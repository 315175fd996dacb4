package brantas;

import brantas.engine.FinishReason;
import brantas.engine.Generation;
import brantas.text.OutputParser;
import brantas.text.StopMatcher;
import brantas.token.Detokenizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// An answer while it is being generated: iterate for its pieces, then ask for the [Reply]. Closing
/// it early cancels the request. Belongs to one thread.
public final class TokenStream implements Iterable<Piece>, AutoCloseable {
    private final Generation generation;
    private final Detokenizer detokenizer;
    private final @Nullable OutputParser parser;
    private final StopMatcher stops;
    private final Usage start;
    private final long begin = System.nanoTime();
    private final ArrayDeque<Piece> ready = new ArrayDeque<>();
    private final StringBuilder text = new StringBuilder();
    private final StringBuilder content = new StringBuilder();
    private final StringBuilder reasoning = new StringBuilder();
    private final List<Reply.ToolCall> calls = new ArrayList<>();
    private final List<Runnable> whenDone = new ArrayList<>();
    private boolean reasoned;
    private boolean ended;
    private int tokens;
    private int reasoningTokens;
    private double first;
    private double last;

    TokenStream(
            Generation generation,
            Detokenizer detokenizer,
            @Nullable OutputParser parser,
            StopMatcher stops,
            Usage start) {
        this.generation = generation;
        this.detokenizer = detokenizer;
        this.parser = parser;
        this.stops = stops;
        this.start = start;
    }

    /// The pieces that are still to come; every call continues the same stream.
    @Override
    public Iterator<Piece> iterator() {
        return new Iterator<>() {
            @Override
            public boolean hasNext() {
                return TokenStream.this.hasNext();
            }

            @Override
            public Piece next() {
                return TokenStream.this.next();
            }
        };
    }

    /// Whether another piece comes; waits for it.
    public boolean hasNext() {
        while (ready.isEmpty() && !ended) {
            advance();
        }
        return !ready.isEmpty();
    }

    /// The next piece.
    public Piece next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return ready.remove();
    }

    private void advance() {
        int id = generation.next();
        if (id < 0) {
            end();
            return;
        }
        last = (System.nanoTime() - begin) * 1e-9;
        if (tokens++ == 0) {
            first = last;
        }
        take(detokenizer.next(id));
        if (stops.matched()) {
            generation.cancel();
            ended = true;
            done();
        }
    }

    private void take(String piece) {
        text.append(piece);
        if (parser == null) {
            content(stops.accept(piece));
        } else {
            boolean thinking = content.isEmpty() && calls.isEmpty();
            int before = reasoning.length();
            for (OutputParser.Event event : parser.accept(piece)) {
                take(event);
            }
            reasoningTokens += thinking && reasoning.length() > before ? 1 : 0;
        }
    }

    private void take(OutputParser.Event event) {
        switch (event) {
            case OutputParser.Event.Reasoning r -> {
                reasoned = true;
                reasoning.append(r.text());
                ready.add(new Piece.Reasoning(r.text()));
            }
            case OutputParser.Event.Content c -> content(stops.accept(c.text()));
            case OutputParser.Event.Call c -> {
                content(stops.flush());
                calls.add(new Reply.ToolCall(c.name(), c.arguments()));
                ready.add(new Piece.Call(c.name(), c.arguments()));
            }
        }
    }

    private void content(String part) {
        if (!part.isEmpty()) {
            content.append(part);
            ready.add(new Piece.Content(part));
        }
    }

    private void end() {
        ended = true;
        take(detokenizer.flush());
        if (parser != null) {
            boolean truncated = generation.finishReason() != FinishReason.STOP;
            parser.finish(truncated).forEach(this::take);
        }
        content(stops.flush());
        done();
    }

    private void done() {
        whenDone.forEach(Runnable::run);
        whenDone.clear();
    }

    /// Runs something once, when the answer is complete.
    void whenDone(Runnable action) {
        whenDone.add(action);
    }

    /// Reads to the end and gives the whole answer.
    public Reply reply() {
        while (!ended) {
            advance();
        }
        return new Reply(
                text.toString(),
                content.toString(),
                reasoned ? Optional.of(reasoning.toString()) : Optional.empty(),
                List.copyOf(calls),
                finishReason(),
                usage());
    }

    /// What it has cost so far.
    public Usage usage() {
        return new Usage(
                start.promptTokens(),
                tokens,
                reasoningTokens,
                first,
                Math.max(first, last),
                start.seed());
    }

    private String finishReason() {
        if (stops.matched()) {
            return "stop";
        }
        FinishReason reason = generation.finishReason();
        if (reason == FinishReason.STOP) {
            return calls.isEmpty() ? "stop" : "tool_calls";
        }
        return reason == FinishReason.LENGTH ? "length" : "cancelled";
    }

    /// Cancels the request if it still runs.
    @Override
    public void close() {
        generation.cancel();
    }
}
