package brantas.conformance;

import brantas.engine.TeacherForcing;
import brantas.engine.TeacherForcing.Pieces;
import brantas.model.Qwen35;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// Logits of several sequences at all positions, kept in arrays: the sink of a teacher-forced run.
final class Logits implements TeacherForcing.Sink {
    private final int vocabulary;
    private final List<float[]> rows = new ArrayList<>();

    private Logits(List<int[]> sequences, int vocabulary) {
        this.vocabulary = vocabulary;
        for (int[] ids : sequences) {
            rows.add(new float[ids.length * vocabulary]);
        }
    }

    /// Runs all sequences as one ragged batch.
    static Logits of(Qwen35 model, List<int[]> sequences, Pieces pieces) {
        Logits logits = new Logits(sequences, model.config().vocabSize());
        TeacherForcing.run(model, sequences, pieces, logits);
        return logits;
    }

    /// Logits of one sequence, `[n × vocabulary]`.
    float[] of(int sequence) {
        return rows.get(sequence);
    }

    float at(int sequence, int position, int id) {
        return rows.get(sequence)[position * vocabulary + id];
    }

    @Override
    public void logits(int sequence, int position, int count, MemorySegment data) {
        MemorySegment.copy(
                data,
                ValueLayout.JAVA_FLOAT,
                0,
                rows.get(sequence),
                position * vocabulary,
                count * vocabulary);
    }

    @Override
    public void hidden(int layer, int sequence, int position, int count, MemorySegment data) {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean taps() {
        return false;
    }
}
