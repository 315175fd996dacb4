package brantas.predict;

/// A kernel that a step launches, once or, for the same purpose in other layers, several times.
///
/// @param name of the entry point, without the variant
/// @param form the variant whose figures hold
/// @param purpose what it computes, in words
/// @param calls in the step
/// @param cost of one call
record Launch(String name, String form, String purpose, int calls, Cost cost) {
    Launch(String name, String purpose, int calls, Cost cost) {
        this(name, name, purpose, calls, cost);
    }
}
