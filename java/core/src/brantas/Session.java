package brantas;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// A conversation: remembers its messages and sends them all with each turn. Sessions of one model
/// share its engine and may run at the same time, each on its own thread.
public final class Session {
    private final Brantas model;
    private final List<Map<String, @Nullable Object>> messages = new ArrayList<>();
    private UnaryOperator<Request> defaults = request -> request;

    Session(Brantas model) {
        this.model = model;
    }

    /// Sets the system message.
    public Session system(String text) {
        if (!messages.isEmpty() && "system".equals(messages.get(0).get("role"))) {
            messages.remove(0);
        }
        messages.add(0, message("system", text));
        return this;
    }

    /// How every turn is asked: mode, sampling, limits.
    public Session with(UnaryOperator<Request> settings) {
        defaults = settings;
        return this;
    }

    /// Sends a user message; the answer joins the conversation when the stream is read to its end.
    public TokenStream send(String text) {
        return send(message("user", text));
    }

    /// Sends any message in the shape of the OpenAI chat API, for example a tool's result.
    public TokenStream send(Map<String, @Nullable Object> message) {
        messages.add(message);
        Request request = defaults.apply(Request.chat());
        for (Map<String, @Nullable Object> m : messages) {
            request.message(m);
        }
        TokenStream stream;
        try {
            stream = model.stream(request);
        } catch (RuntimeException e) {
            messages.removeLast();
            throw e;
        }
        stream.whenDone(() -> remember(stream.reply()));
        return stream;
    }

    /// Sends a user message and waits for the whole answer.
    public Reply ask(String text) {
        try (TokenStream stream = send(text)) {
            return stream.reply();
        }
    }

    /// Forgets everything but the system message.
    public void clear() {
        messages.removeIf(m -> !"system".equals(m.get("role")));
    }

    /// The messages so far.
    public List<Map<String, @Nullable Object>> messages() {
        return List.copyOf(messages);
    }

    private void remember(Reply reply) {
        Map<String, @Nullable Object> message = message("assistant", reply.content());
        reply.reasoning().ifPresent(r -> message.put("reasoning_content", r));
        if (!reply.toolCalls().isEmpty()) {
            List<@Nullable Object> calls = new ArrayList<>();
            for (Reply.ToolCall call : reply.toolCalls()) {
                Map<String, @Nullable Object> function = new LinkedHashMap<>();
                function.put("name", call.name());
                function.put("arguments", call.arguments());
                calls.add(new LinkedHashMap<>(Map.of("type", "function", "function", function)));
            }
            message.put("tool_calls", calls);
        }
        messages.add(message);
    }

    private static Map<String, @Nullable Object> message(String role, String content) {
        Map<String, @Nullable Object> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message;
    }
}
