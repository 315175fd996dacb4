package brantas;

/// What a request cost.
///
/// @param promptTokens tokens of the rendered prompt
/// @param completionTokens tokens generated, end token not counted
/// @param reasoningTokens of these, tokens inside the reasoning block
/// @param firstTokenSeconds from submitting to the first token
/// @param seconds from submitting to the last token
/// @param seed the seed that repeats the answer
public record Usage(
        int promptTokens,
        int completionTokens,
        int reasoningTokens,
        double firstTokenSeconds,
        double seconds,
        long seed) {
    /// Tokens per second after the first one; 0 for fewer than two tokens.
    public double decodeTokensPerSecond() {
        return completionTokens < 2 ? 0 : (completionTokens - 1) / (seconds - firstTokenSeconds);
    }
}
