package brantas.op;

/// A parameter in the form a backend wants it; only the backend that made it looks inside.
public interface Weight {
    /// The checkpoint name of its first part.
    String name();

    /// Bytes that reading the whole weight once moves.
    long bytes();
}
