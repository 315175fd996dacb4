package brantas;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A finished answer, taken apart.
///
/// @param text everything the model wrote, special tokens dropped
/// @param content the answer without reasoning and tool calls
/// @param reasoning the reasoning block, if there was one
/// @param toolCalls calls in order
/// @param finishReason `stop`, `length`, `tool_calls` or `cancelled`
/// @param usage what it cost
public record Reply(
        String text,
        String content,
        Optional<String> reasoning,
        List<ToolCall> toolCalls,
        String finishReason,
        Usage usage) {
    /// One call of a tool.
    ///
    /// @param name of the function
    /// @param arguments by name, typed by the tool's schema
    public record ToolCall(String name, Map<String, @Nullable Object> arguments) {}
}
