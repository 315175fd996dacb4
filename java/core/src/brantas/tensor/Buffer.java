package brantas.tensor;

/// Working memory that a backend made: `[rows, cols]`, in the precision that the backend chose.
/// Opaque: only the backend that made it looks inside, so that it can live on a device.
public interface Buffer {
    /// What it holds, for messages.
    String name();

    /// Capacity in rows; a step uses the first `batch.rows()` of them.
    int rows();

    /// Values of one row.
    int cols();
}
