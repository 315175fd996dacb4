package brantas.engine;

/// Why a sequence ended.
public enum FinishReason {
    /// An end token was drawn.
    STOP,
    /// The token limit or the context limit was reached.
    LENGTH,
    /// Whoever asked, or the engine's closing, ended it.
    CANCELLED
}
