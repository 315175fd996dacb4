package brantas.text;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a chat template turns into a prompt: the conversation and the switches around it. Values
/// inside are plain Java as in [brantas.jinja.Template#render]; nothing is changed.
///
/// @param messages the conversation, each with `role`, `content` and so on; order of keys matters
/// @param tools tool descriptions in the shape of the OpenAI interface, or null for none
/// @param addGenerationPrompt whether the prompt ends with the opening of an assistant turn
/// @param continueFinalMessage the field of the last message that the model continues (`content`,
///   `reasoning_content`), or null to render complete turns
/// @param options template variables such as `enable_thinking`; absent is undefined, null is none
public record ChatRequest(
        List<? extends Map<String, ? extends @Nullable Object>> messages,
        @Nullable List<? extends @Nullable Object> tools,
        boolean addGenerationPrompt,
        @Nullable String continueFinalMessage,
        Map<String, ? extends @Nullable Object> options) {
    /// The messages alone, with a generation prompt.
    public static ChatRequest of(List<? extends Map<String, ? extends @Nullable Object>> messages) {
        return new ChatRequest(messages, null, true, null, Map.of());
    }
}
