package brantas.format;

/// Told how far a long reading or filling has come. Called from one thread at a time, perhaps not
/// always the same one; `done` never falls within one `what`.
@FunctionalInterface
public interface Progress {
    /// Ignores everything.
    Progress NONE = (_, _, _) -> {};

    /// @param what file or activity, for showing
    /// @param done bytes so far
    /// @param total bytes altogether
    void at(String what, long done, long total);
}
