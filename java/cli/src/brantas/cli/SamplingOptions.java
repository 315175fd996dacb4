package brantas.cli;

import brantas.Mode;
import brantas.Request;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// How an answer is drawn: the options of `run` and `chat`. What is not given comes from the
/// checkpoint's `generation_config.json`.
final class SamplingOptions {
    @Option(names = "--mode", paramLabel = "MODE", description = "thinking, fast or default.")
    Mode mode = Mode.DEFAULT;

    @Option(names = "--system", paramLabel = "TEXT", description = "System message.")
    @Nullable String system;

    @Option(names = "--max-tokens", paramLabel = "N", description = "Most tokens to generate.")
    @Nullable Integer maxTokens;

    @Option(names = "--temperature", paramLabel = "T", description = "0 is greedy.")
    @Nullable Double temperature;

    @Option(names = "--top-p", paramLabel = "P", description = "Nucleus mass; 1 is off.")
    @Nullable Double topP;

    @Option(names = "--top-k", paramLabel = "K", description = "Candidates kept; 0 is off.")
    @Nullable Integer topK;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Least relative probability; 0 is off.")
    @Nullable Double minP;

    @Option(names = "--presence-penalty", paramLabel = "X", description = "-2 to 2; 0 is off.")
    @Nullable Double presencePenalty;

    @Option(names = "--frequency-penalty", paramLabel = "X", description = "-2 to 2; 0 is off.")
    @Nullable Double frequencyPenalty;

    @Option(names = "--repetition-penalty", paramLabel = "X", description = "1 is off.")
    @Nullable Double repetitionPenalty;

    @Option(names = "--seed", paramLabel = "N", description = "Same seed, same answer.")
    @Nullable Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", description = "Ends the answer; repeatable.")
    List<String> stops = new ArrayList<>();

    @Option(
            names = "--literal-user-text",
            description = "Control strings in user messages are plain text.")
    boolean literal;

    /// Writes what was given into a request.
    Request apply(Request request) {
        request.mode(mode).literalUserText(literal);
        set(maxTokens, request::maxTokens);
        set(temperature, request::temperature);
        set(topP, request::topP);
        set(topK, request::topK);
        set(minP, request::minP);
        set(presencePenalty, request::presencePenalty);
        set(frequencyPenalty, request::frequencyPenalty);
        set(repetitionPenalty, request::repetitionPenalty);
        set(seed, request::seed);
        stops.forEach(request::stop);
        return request;
    }

    private static <T> void set(@Nullable T value, java.util.function.Consumer<T> target) {
        if (value != null) {
            target.accept(value);
        }
    }
}
