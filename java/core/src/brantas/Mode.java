package brantas;

/// How the model answers: with a reasoning block, without one, or as its template does by default.
public enum Mode {
    /// As the checkpoint's template does when nothing is said.
    DEFAULT,
    /// Reason first (`enable_thinking` true).
    THINKING,
    /// Answer at once (`enable_thinking` false).
    FAST
}
