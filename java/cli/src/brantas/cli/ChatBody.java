package brantas.cli;

import brantas.Request;
import brantas.settings.BrantasException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// The body of an OpenAI chat request, read strictly: what would change the answer and is not
/// supported is refused by name, what cannot change it is passed over.
final class ChatBody {
    /// Bookkeeping for a service; no effect on the answer.
    private static final Set<String> IDLE =
            Set.of(
                    "model",
                    "user",
                    "metadata",
                    "store",
                    "service_tier",
                    "safety_identifier",
                    "prompt_cache_key");

    /// Fields that must have the one value that changes nothing.
    private static final Map<String, Predicate<Object>> NEUTRAL =
            Map.of(
                    "n", v -> v.equals(1L),
                    "stream", v -> v.equals(false),
                    "logprobs", v -> v.equals(false),
                    "top_logprobs", v -> v.equals(0L),
                    "tool_choice", v -> v.equals("auto"),
                    "parallel_tool_calls", v -> v.equals(true),
                    "logit_bias", v -> v instanceof Map<?, ?> m && m.isEmpty(),
                    "response_format",
                            v -> v instanceof Map<?, ?> m && "text".equals(m.get("type")));

    private static final int MOST_STOPS = 64;

    private final Request request = Request.chat();
    private int maxTokens;

    private ChatBody(int maxTokens) {
        this.maxTokens = maxTokens;
    }

    /// A body as a request.
    ///
    /// @param maxTokens most tokens where the body says nothing; 0 leaves it to the model
    /// @throws BrantasException naming the field
    static Request request(Map<String, @Nullable Object> body, int maxTokens) {
        ChatBody reader = new ChatBody(maxTokens);
        if (body.get("messages") == null) {
            throw new BrantasException("body.messages is missing: give a list of messages.");
        }
        boolean said = body.get("max_tokens") != null || body.get("max_completion_tokens") != null;
        reader.maxTokens = said ? 0 : maxTokens;
        body.forEach((name, value) -> {
            if (value != null) {
                reader.field(name, value);
            }
        });
        if (reader.maxTokens != 0) {
            reader.request.maxTokens(reader.maxTokens);
        }
        return reader.request;
    }

    private void field(String name, Object value) {
        String what = "body." + name;
        switch (name) {
            case "messages" -> messages(what, value).forEach(request::message);
            case "tools" -> tools(what, value);
            case "temperature" -> request.temperature(Json.number(what, value));
            case "top_p" -> request.topP(Json.number(what, value));
            case "top_k" -> request.topK(Json.small(what, value));
            case "min_p" -> request.minP(Json.number(what, value));
            case "presence_penalty" -> request.presencePenalty(Json.number(what, value));
            case "frequency_penalty" -> request.frequencyPenalty(Json.number(what, value));
            case "repetition_penalty" -> request.repetitionPenalty(Json.number(what, value));
            case "seed" -> request.seed(Json.integer(what, value));
            case "stop" -> stops(what, value);
            case "max_tokens", "max_completion_tokens" -> limit(what, value);
            case "chat_template_kwargs" ->
                    Json.object(what, value).forEach(request::templateArgument);
            default -> other(name, value);
        }
    }

    private static void other(String name, Object value) {
        if (IDLE.contains(name)) {
            return;
        }
        Predicate<Object> neutral = NEUTRAL.get(name);
        if (neutral == null) {
            throw new BrantasException("body." + name + " is not supported: leave it out.");
        }
        if (!neutral.test(value)) {
            throw new BrantasException(
                    "body."
                            + name
                            + " is "
                            + Json.kind(value)
                            + ", which is not supported: leave it out.");
        }
    }

    private void limit(String what, Object value) {
        int limit = Json.small(what, value);
        if (limit < 1) {
            throw new BrantasException(what + " is " + limit + ": use at least 1.");
        }
        maxTokens = maxTokens == 0 ? limit : Math.min(maxTokens, limit);
    }

    private void stops(String what, Object value) {
        List<@Nullable Object> stops =
                value instanceof String ? List.of(value) : Json.list(what, value);
        if (stops.size() > MOST_STOPS) {
            throw new BrantasException(
                    what + " has " + stops.size() + " strings: use at most " + MOST_STOPS + ".");
        }
        for (Object stop : stops) {
            request.stop(Json.string(what, stop));
        }
    }

    private void tools(String what, Object value) {
        List<@Nullable Object> tools = new ArrayList<>();
        for (Map<String, @Nullable Object> tool : Json.objects(what, value)) {
            String place = what + "[" + tools.size() + "]";
            if (!"function".equals(tool.get("type"))) {
                throw new BrantasException(
                        place
                                + ".type is "
                                + Json.kind(tool.get("type"))
                                + ": only \"function\" is supported.");
            }
            Map<String, @Nullable Object> function =
                    Json.object(place + ".function", tool.get("function"));
            Json.string(place + ".function.name", function.get("name"));
            tools.add(tool);
        }
        request.tools(tools.isEmpty() ? null : tools);
    }

    /// Messages with the arguments of their calls as objects, as templates want them.
    ///
    /// @param what names the list in errors
    static List<Map<String, @Nullable Object>> messages(String what, @Nullable Object value) {
        List<Map<String, @Nullable Object>> messages = Json.objects(what, value);
        if (messages.isEmpty()) {
            throw new BrantasException(what + " is empty: give at least one message.");
        }
        for (int i = 0; i < messages.size(); i++) {
            message(what + "[" + i + "]", messages.get(i));
        }
        return messages;
    }

    private static void message(String what, Map<String, @Nullable Object> message) {
        Json.string(what + ".role", message.get("role"));
        switch (message.get("content")) {
            case null -> {}
            case String s -> {}
            case List<?> items -> items(what + ".content", items);
            case Object o ->
                    throw new BrantasException(
                            what
                                    + ".content is "
                                    + Json.kind(o)
                                    + ": give a string or a list of items.");
        }
        if (message.get("tool_calls") != null) {
            List<@Nullable Object> calls = new ArrayList<>();
            for (Map<String, @Nullable Object> call :
                    Json.objects(what + ".tool_calls", message.get("tool_calls"))) {
                calls.add(call(what + ".tool_calls[" + calls.size() + "]", call));
            }
            message.put("tool_calls", calls);
        }
    }

    private static void items(String what, List<?> items) {
        for (Map<String, @Nullable Object> item : Json.objects(what, items)) {
            if (!"text".equals(item.get("type"))) {
                throw new BrantasException(
                        what
                                + " has an item of type "
                                + Json.kind(item.get("type"))
                                + ": only \"text\" is supported.");
            }
            Json.string(what + ".text", item.get("text"));
        }
    }

    private static Map<String, @Nullable Object> call(
            String what, Map<String, @Nullable Object> call) {
        Map<String, @Nullable Object> function =
                Json.object(what + ".function", call.get("function"));
        Json.string(what + ".function.name", function.get("name"));
        String place = what + ".function.arguments";
        Object arguments = function.get("arguments");
        if (arguments instanceof String text) {
            arguments = text.isBlank() ? new LinkedHashMap<>() : Json.read(place, text);
        }
        function.put(
                "arguments",
                arguments == null ? new LinkedHashMap<>() : Json.object(place, arguments));
        call.put("function", function);
        return call;
    }
}
