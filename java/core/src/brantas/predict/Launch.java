package brantas.predict;

/// A kernel that a step launches, once or, for the same purpose in other layers, several times.
///
/// @param name of the entry point
/// @param form whose figures hold: one name for kernels that differ in their results alone
/// @param purpose what it computes, in words
/// @param calls in the step
/// @param staged bytes of shared memory of a block beside what the figures say: rows of this size
/// @param cost of one call
record Launch(String name, String form, String purpose, int calls, double staged, Cost cost) {
    Launch(String name, String form, String purpose, int calls, Cost cost) {
        this(name, form, purpose, calls, 0, cost);
    }

    Launch(String name, String purpose, int calls, Cost cost) {
        this(name, name, purpose, calls, cost);
    }
}
