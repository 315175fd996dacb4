package brantas.cache;

/// Free recurrent-state slots by number. Whoever takes one must have it zeroed before use (trap
/// 26).
public final class SlotPool {
    private final int[] free;
    private int available;

    /// @param slots how many there are
    public SlotPool(int slots) {
        this.free = new int[slots];
        this.available = slots;
        for (int i = 0; i < slots; i++) {
            free[i] = slots - 1 - i;
        }
    }

    /// Slots nobody has.
    public int available() {
        return available;
    }

    int take() {
        return free[--available];
    }

    void give(int slot) {
        free[available++] = slot;
    }
}
