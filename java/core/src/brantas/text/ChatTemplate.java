package brantas.text;

import brantas.jinja.Template;
import brantas.settings.BrantasException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A model's chat template: messages in, prompt out (specification section 8.5). Prepares the
/// variables as the reference does and leaves the rest to the template, of which it knows nothing.
/// Immutable; any number of threads may render.
public final class ChatTemplate {
    private static final String TAG = "CONTINUE_FINAL_MESSAGE_TAG ";
    private static final List<String> REASONING =
            List.of("reasoning_content", "thinking", "reasoning");

    private final String name;
    private final Template template;

    /// Reads a template.
    ///
    /// @param name what messages call it, for example its file name
    /// @param source the template's text
    /// @throws BrantasException naming template, line and token for anything unknown or malformed
    public ChatTemplate(String name, String source) {
        this.name = name;
        this.template = Template.parse(name, source);
    }

    /// Renders a prompt.
    ///
    /// @throws BrantasException when the template refuses the request (the message is then the
    ///   template's own), and when the request does not fit the template
    public String render(ChatRequest request) {
        List<Map<String, @Nullable Object>> messages = new ArrayList<>();
        for (Map<String, ? extends @Nullable Object> message : request.messages()) {
            messages.add(withReasoning(message));
        }
        String field = request.continueFinalMessage();
        String tail = field == null ? null : tag(messages, field, request.addGenerationPrompt());
        Map<String, @Nullable Object> variables = new LinkedHashMap<>();
        variables.put("messages", messages);
        List<?> tools = request.tools();
        variables.put("tools", tools == null || tools.isEmpty() ? null : tools);
        variables.put("documents", null);
        variables.put("add_generation_prompt", request.addGenerationPrompt());
        variables.putAll(request.options());
        String prompt = template.render(variables);
        return tail == null ? prompt : cut(prompt, tail);
    }

    /// A copy of a message in which `reasoning_content` and `thinking` are both there if any of the
    /// three names for reasoning is.
    private static Map<String, @Nullable Object> withReasoning(
            Map<String, ? extends @Nullable Object> message) {
        Map<String, @Nullable Object> copy = new LinkedHashMap<>(message);
        for (String key : REASONING) {
            Object reasoning = copy.get(key);
            if (reasoning != null) {
                if (copy.get("reasoning_content") == null) {
                    copy.put("reasoning_content", reasoning);
                }
                if (copy.get("thinking") == null) {
                    copy.put("thinking", reasoning);
                }
                break;
            }
        }
        return copy;
    }

    /// Marks where the prompt has to end, in the last message's field, and returns what that
    /// field's text was.
    private String tag(
            List<Map<String, @Nullable Object>> messages, String field, boolean generate) {
        if (generate) {
            throw new BrantasException(
                    "A request cannot both continue the final message and add a generation prompt;"
                            + " switch one of them off.");
        }
        Map<String, @Nullable Object> last = messages.isEmpty() ? Map.of() : messages.getLast();
        Object value = last.get(field);
        if (value instanceof String text) {
            last.put(field, text + TAG);
            return text;
        }
        if (value instanceof List<?> items) {
            List<@Nullable Object> copy = new ArrayList<>(items);
            for (int i = copy.size() - 1; i >= 0; i--) {
                if (copy.get(i) instanceof Map<?, ?> item
                        && item.get("text") instanceof String text) {
                    Map<@Nullable Object, @Nullable Object> tagged = new LinkedHashMap<>(item);
                    tagged.put("text", text + TAG);
                    copy.set(i, tagged);
                    last.put(field, copy);
                    return text;
                }
            }
        }
        throw new BrantasException(
                "The last message has no text in '"
                        + field
                        + "' to continue; add it or do not ask to continue the final message.");
    }

    /// The prompt up to the tag. If the template trimmed the tag's own space, it trims the end of
    /// this field, and the white space in front of the tag goes too.
    private String cut(String prompt, String tail) {
        int at = prompt.lastIndexOf(TAG.strip());
        if (at < 0) {
            throw new BrantasException(
                    "The template '"
                            + name
                            + "' does not write the end of the last message, so it cannot be"
                            + " continued (it ends in '"
                            + tail.substring(Math.max(0, tail.length() - 20))
                            + "'); send it as a complete message.");
        }
        String head = prompt.substring(0, at);
        if (prompt.startsWith(TAG, at)) {
            return head;
        }
        int end = head.length();
        while (end > 0 && space(head.charAt(end - 1))) {
            end--;
        }
        return head.substring(0, end);
    }

    /// White space as templates trim it, which includes the non-breaking kinds.
    private static boolean space(char c) {
        return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85;
    }
}
