package brantas.cli;

import brantas.Reply;
import brantas.Usage;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Replies in the shape of the OpenAI chat API: the message, its tool calls, the completion around
/// it.
final class Completion {
    private Completion() {}

    /// A `chat.completion` object.
    ///
    /// @param id its identifier; calls are numbered after it
    static Map<String, @Nullable Object> of(Reply reply, String id, String model, long created) {
        Map<String, @Nullable Object> choice = new LinkedHashMap<>();
        choice.put("index", 0);
        choice.put("message", message(reply, id));
        choice.put("finish_reason", reply.finishReason());
        Map<String, @Nullable Object> completion = new LinkedHashMap<>();
        completion.put("id", id);
        completion.put("object", "chat.completion");
        completion.put("created", created);
        completion.put("model", model);
        completion.put("choices", List.of(choice));
        completion.put("usage", usage(reply.usage()));
        return completion;
    }

    /// Calls with their arguments as JSON text; null without a call.
    static @Nullable List<Object> toolCalls(Reply reply, String id) {
        if (reply.toolCalls().isEmpty()) {
            return null;
        }
        List<Object> calls = new ArrayList<>();
        for (Reply.ToolCall call : reply.toolCalls()) {
            Map<String, @Nullable Object> function = new LinkedHashMap<>();
            function.put("name", call.name());
            function.put("arguments", Json.write(call.arguments()));
            Map<String, @Nullable Object> item = new LinkedHashMap<>();
            item.put("id", id + "-" + calls.size());
            item.put("type", "function");
            item.put("function", function);
            calls.add(item);
        }
        return calls;
    }

    private static Map<String, @Nullable Object> message(Reply reply, String id) {
        Map<String, @Nullable Object> message = new LinkedHashMap<>();
        List<Object> calls = toolCalls(reply, id.replaceFirst("^chatcmpl", "call"));
        message.put("role", "assistant");
        message.put("content", calls != null && reply.content().isEmpty() ? null : reply.content());
        Optional<String> reasoning = reply.reasoning();
        if (reasoning.isPresent()) {
            message.put("reasoning_content", reasoning.get());
        }
        if (calls != null) {
            message.put("tool_calls", calls);
        }
        return message;
    }

    private static Map<String, @Nullable Object> usage(Usage usage) {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        map.put("prompt_tokens", usage.promptTokens());
        map.put("completion_tokens", usage.completionTokens());
        map.put("total_tokens", usage.promptTokens() + usage.completionTokens());
        map.put("completion_tokens_details", Map.of("reasoning_tokens", usage.reasoningTokens()));
        return map;
    }
}
