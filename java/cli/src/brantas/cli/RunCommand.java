package brantas.cli;

import brantas.Brantas;
import brantas.Piece;
import brantas.Reply;
import brantas.Request;
import brantas.TokenStream;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// One prompt, one answer. On a terminal the answer streams with its reasoning dim; in a pipe it is
/// the answer and tool calls only, unless the reasoning is asked for.
@Command(description = "Answers one prompt.")
final class RunCommand implements Callable<Integer> {
    private final Streams io;

    @Mixin ModelOptions model = new ModelOptions();
    @Mixin SamplingOptions sampling = new SamplingOptions();

    @Option(names = "--raw", description = "Sends the prompt as it is, without the chat template.")
    boolean raw;

    @Option(names = "--json", description = "Prints one JSON object instead of text.")
    boolean json;

    @Option(names = "--show-reasoning", description = "Prints the reasoning in a pipe too.")
    boolean showReasoning;

    @Parameters(
            arity = "0..1",
            paramLabel = "PROMPT",
            description = "The prompt; - reads standard input.")
    @Nullable String prompt;

    RunCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        Request request = request(prompt(prompt, io));
        try (Brantas open = Brantas.open(model.folder(), model.options(io));
                TokenStream stream = open.stream(request)) {
            if (json) {
                io.line(Json.write(result(stream.reply(), open)));
            } else {
                AnswerPrinter printer = new AnswerPrinter(io, io.shown() || showReasoning);
                printer.print(stream);
            }
        }
        return 0;
    }

    private Request request(String text) {
        if (raw) {
            if (sampling.system != null) {
                throw new BrantasException(
                        "--system has no place in a --raw prompt: write it into the prompt.");
            }
            return sampling.apply(Request.raw(text));
        }
        Request request = Request.chat();
        if (sampling.system != null) {
            request.message("system", sampling.system);
        }
        return sampling.apply(request.message("user", text));
    }

    private static String prompt(@Nullable String given, Streams io) {
        if (given == null) {
            throw new BrantasException(
                    "There is no prompt: give one, or - to read it from standard input.");
        }
        if (!given.equals("-")) {
            return given;
        }
        try {
            byte[] bytes = io.in().readNBytes(JsonLines.LONGEST + 1);
            if (bytes.length > JsonLines.LONGEST) {
                throw new BrantasException(
                        "Standard input has more than "
                                + JsonLines.LONGEST
                                + " bytes: give a shorter prompt.");
            }
            return Json.text("Standard input", bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Map<String, @Nullable Object> result(Reply reply, Brantas open) {
        Map<String, @Nullable Object> result = new LinkedHashMap<>();
        result.put("text", reply.text());
        result.put("content", reply.content());
        result.put("reasoning", reply.reasoning().orElse(null));
        result.put("tool_calls", Completion.toolCalls(reply, "call"));
        result.put("finish_reason", reply.finishReason());
        Map<String, @Nullable Object> usage = new LinkedHashMap<>();
        usage.put("prompt_tokens", reply.usage().promptTokens());
        usage.put("completion_tokens", reply.usage().completionTokens());
        usage.put("reasoning_tokens", reply.usage().reasoningTokens());
        usage.put("total_tokens", reply.usage().promptTokens() + reply.usage().completionTokens());
        usage.put("first_token_seconds", reply.usage().firstTokenSeconds());
        usage.put("decode_tokens_per_second", reply.usage().decodeTokensPerSecond());
        result.put("usage", usage);
        result.put("model", model.name());
        result.put("backend", open.backend());
        result.put("seed", reply.usage().seed());
        return result;
    }

    /// Prints an answer as it comes: calls as the model writes them, reasoning dim or between its
    /// tags.
    static final class AnswerPrinter {
        private final Streams io;
        private final boolean reasoning;
        private boolean thinking;
        private String last = "\n";

        AnswerPrinter(Streams io, boolean reasoning) {
            this.io = io;
            this.reasoning = reasoning;
        }

        /// Prints all of an answer, unless nobody reads any more.
        void print(TokenStream stream) {
            for (Piece piece : stream) {
                print(piece);
                if (io.out().checkError()) {
                    stream.close();
                }
            }
            stopThinking();
            if (!last.endsWith("\n")) {
                io.print("\n");
            }
        }

        private void print(Piece piece) {
            switch (piece) {
                case Piece.Reasoning r -> {
                    if (reasoning) {
                        think(r.text());
                    }
                }
                case Piece.Content c -> say(c.text());
                case Piece.Call c -> say((last.endsWith("\n") ? "" : "\n") + written(c));
            }
        }

        private void think(String text) {
            if (!thinking && !io.shown()) {
                io.print("<think>\n");
            }
            thinking = true;
            io.dim(text);
            last = text.isEmpty() ? last : text;
        }

        private void say(String text) {
            stopThinking();
            io.print(text);
            last = text.isEmpty() ? last : text;
        }

        private void stopThinking() {
            if (thinking) {
                thinking = false;
                String line = last.endsWith("\n") ? "" : "\n";
                io.print(io.shown() ? line + "\n" : line + "</think>\n\n");
                last = "\n";
            }
        }

        /// The shape that the chat template gives a call.
        private static String written(Piece.Call call) {
            StringBuilder text = new StringBuilder("<tool_call>\n<function=" + call.name() + ">\n");
            call.arguments()
                    .forEach((name, value) -> {
                        String shown = value instanceof String s ? s : Json.write(value);
                        text.append("<parameter=").append(name).append(">\n").append(shown);
                        text.append("\n</parameter>\n");
                    });
            return text.append("</function>\n</tool_call>").toString();
        }
    }
}
