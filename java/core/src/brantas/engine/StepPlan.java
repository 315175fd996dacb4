package brantas.engine;

import java.util.ArrayList;
import java.util.List;

/// Which sequences take part in a step, with how many rows each; those with one row come first.
/// Reused every step.
final class StepPlan {
    private final List<Sequence> sequences = new ArrayList<>();
    private final List<Integer> counts = new ArrayList<>();

    void clear() {
        sequences.clear();
        counts.clear();
    }

    void add(Sequence sequence, int count) {
        sequences.add(sequence);
        counts.add(count);
    }

    int size() {
        return sequences.size();
    }

    Sequence sequence(int index) {
        return sequences.get(index);
    }

    int count(int index) {
        return counts.get(index);
    }
}
