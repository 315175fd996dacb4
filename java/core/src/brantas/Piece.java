package brantas;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A part of an answer as it streams.
public sealed interface Piece {
    /// Part of the answer itself.
    record Content(String text) implements Piece {}

    /// Part of the reasoning block.
    record Reasoning(String text) implements Piece {}

    /// A complete tool call; its name and typed arguments.
    record Call(String name, Map<String, @Nullable Object> arguments) implements Piece {}
}
