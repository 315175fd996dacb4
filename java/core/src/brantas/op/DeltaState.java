package brantas.op;

/// Recurrent state (fp32, spec 4.7) and convolution window of one delta-rule layer for a number of
/// slots.
public interface DeltaState {
    /// Slots there are.
    int slots();

    /// Zeroes a slot: a new sequence starts from nothing (trap 26).
    void clear(int slot);
}
