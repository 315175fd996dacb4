package brantas;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/// What to generate: a conversation (rendered by the checkpoint's template) or raw text or ids, and
/// how. What is not said comes from `generation_config.json`. Methods return the request itself.
public final class Request {
    final List<Map<String, @Nullable Object>> messages = new ArrayList<>();
    final Map<String, @Nullable Object> templateArguments = new LinkedHashMap<>();
    final List<String> stops = new ArrayList<>();
    @Nullable List<@Nullable Object> tools;
    @Nullable String raw;
    int @Nullable [] ids;
    boolean literal;
    Mode mode = Mode.DEFAULT;
    OptionalInt maxTokens = OptionalInt.empty();
    OptionalDouble temperature = OptionalDouble.empty();
    OptionalDouble topP = OptionalDouble.empty();
    OptionalInt topK = OptionalInt.empty();
    OptionalDouble minP = OptionalDouble.empty();
    OptionalDouble presencePenalty = OptionalDouble.empty();
    OptionalDouble frequencyPenalty = OptionalDouble.empty();
    OptionalDouble repetitionPenalty = OptionalDouble.empty();
    OptionalLong seed = OptionalLong.empty();

    private Request() {}

    /// An empty conversation, to be filled by [#message].
    public static Request chat() {
        return new Request();
    }

    /// One user message.
    public static Request of(String prompt) {
        return chat().message("user", prompt);
    }

    /// Text that goes to the model as it is, without template; control strings in it are control
    /// tokens.
    public static Request raw(String text) {
        Request request = new Request();
        request.raw = text;
        return request;
    }

    /// Token ids that go to the model as they are.
    public static Request ids(int... ids) {
        Request request = new Request();
        request.ids = ids.clone();
        return request;
    }

    /// Appends a message of plain text.
    public Request message(String role, String content) {
        Map<String, @Nullable Object> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message(message);
    }

    /// Appends a message in the shape of the OpenAI chat API: `role`, `content` (text or a list of
    /// items), `reasoning_content`, `tool_calls`, …
    public Request message(Map<String, @Nullable Object> message) {
        messages.add(message);
        return this;
    }

    /// The tools the model may call, in the shape of the OpenAI chat API.
    public Request tools(@Nullable List<@Nullable Object> value) {
        tools = value;
        return this;
    }

    /// Whether control strings such as `<|im_end|>` inside user and tool messages are read as plain
    /// text instead of control tokens. Off by default, as in the reference; switch it on for text
    /// from people you do not trust.
    public Request literalUserText(boolean value) {
        literal = value;
        return this;
    }

    /// Reasoning or not.
    public Request mode(Mode value) {
        mode = value;
        return this;
    }

    /// A variable for the chat template, such as `preserve_thinking` or `reasoning_effort`.
    public Request templateArgument(String name, @Nullable Object value) {
        templateArguments.put(name, value);
        return this;
    }

    /// Most tokens to generate, at least 1.
    public Request maxTokens(int value) {
        maxTokens = OptionalInt.of(value);
        return this;
    }

    /// Text that ends the answer; it is not part of it.
    public Request stop(String text) {
        stops.add(text);
        return this;
    }

    /// See [Sampling#temperature].
    public Request temperature(double value) {
        temperature = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#topP].
    public Request topP(double value) {
        topP = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#topK].
    public Request topK(int value) {
        topK = OptionalInt.of(value);
        return this;
    }

    /// See [Sampling#minP].
    public Request minP(double value) {
        minP = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#presencePenalty].
    public Request presencePenalty(double value) {
        presencePenalty = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#frequencyPenalty].
    public Request frequencyPenalty(double value) {
        frequencyPenalty = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#repetitionPenalty].
    public Request repetitionPenalty(double value) {
        repetitionPenalty = OptionalDouble.of(value);
        return this;
    }

    /// See [Sampling#seed]; without one, a seed is taken from the clock and reported in the usage.
    public Request seed(long value) {
        seed = OptionalLong.of(value);
        return this;
    }
}
