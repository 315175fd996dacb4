package brantas;

import brantas.engine.TeacherForcing;
import brantas.format.ModelConfig;
import brantas.format.SafetensorsWriter;
import brantas.format.SafetensorsWriter.Declared;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The logits of given sequences at every position, written to a safetensors file: what parity
/// checks compare. All sequences run as one ragged batch.
///
/// @param sequences token ids, none empty
/// @param split lengths of the pieces in which each sequence is fed, the rest last; empty feeds it
///   whole
/// @param oneByOne whether every token is a piece of its own
/// @param taps whether the residual stream after every layer is written too
public record LogitsRun(
        List<int[]> sequences, List<Integer> split, boolean oneByOne, boolean taps) {
    /// Checks the arguments.
    public LogitsRun {
        if (sequences.isEmpty()) {
            throw new BrantasException("There is no sequence: give at least one token.");
        }
        for (int i = 0; i < sequences.size(); i++) {
            if (sequences.get(i).length == 0) {
                throw new BrantasException(
                        "Sequence " + i + " is empty: give it at least one token.");
            }
        }
        for (int length : split) {
            if (length < 1) {
                throw new BrantasException(
                        "A piece of --split has length " + length + ": use positive lengths.");
            }
        }
    }

    /// Runs the model over the sequences. One sequence gives the tensors `input_ids` (I64 `[n]`),
    /// `logits` (F32 `[n, vocabulary]`) and with taps `hidden.L` (F32 `[n, hidden]`); several give
    /// the same names followed by `.K`.
    ///
    /// @param folder the checkpoint
    /// @param out the file; it appears when it is complete
    public void write(Path folder, Options options, Path out) {
        long positions = 0;
        for (int[] ids : sequences) {
            positions += ids.length + 32L;
        }
        Options sized = options.withSequences(sequences.size());
        try (LoadedModel loaded = LoadedModel.open(folder, sized, positions)) {
            ModelConfig config = loaded.model().config();
            for (int[] ids : sequences) {
                Brantas.checkIds(ids, config.vocabSize());
            }
            try (SafetensorsWriter writer = new SafetensorsWriter(out, declare(config), Map.of());
                    Arena arena = Arena.ofConfined()) {
                for (int i = 0; i < sequences.size(); i++) {
                    writer.append(name("input_ids", i), longs(arena, sequences.get(i)));
                }
                TeacherForcing.Pieces pieces = new TeacherForcing.Pieces(split, oneByOne);
                TeacherForcing.run(loaded.model(), sequences, pieces, new FileSink(writer));
            }
        }
    }

    private List<Declared> declare(ModelConfig config) {
        List<Declared> all = new ArrayList<>();
        for (int i = 0; i < sequences.size(); i++) {
            long n = sequences.get(i).length;
            all.add(new Declared(name("input_ids", i), DType.I64, new long[] {n}));
            all.add(new Declared(name("logits", i), DType.F32, new long[] {n, config.vocabSize()}));
            for (int layer = 0; taps && layer < config.layers(); layer++) {
                long[] shape = {n, config.hiddenSize()};
                all.add(new Declared(name("hidden." + layer, i), DType.F32, shape));
            }
        }
        return all;
    }

    private String name(String tensor, int sequence) {
        return sequences.size() == 1 ? tensor : tensor + "." + sequence;
    }

    private static MemorySegment longs(Arena arena, int[] ids) {
        MemorySegment data = arena.allocate(8L * ids.length, 8);
        for (int i = 0; i < ids.length; i++) {
            data.setAtIndex(ValueLayout.JAVA_LONG, i, ids[i]);
        }
        return data;
    }

    /// Rows of a sequence come in order, so appending is enough.
    private final class FileSink implements TeacherForcing.Sink {
        private final SafetensorsWriter writer;

        FileSink(SafetensorsWriter writer) {
            this.writer = writer;
        }

        @Override
        public void logits(int sequence, int position, int count, MemorySegment rows) {
            writer.append(name("logits", sequence), rows);
        }

        @Override
        public void hidden(int layer, int sequence, int position, int count, MemorySegment rows) {
            writer.append(name("hidden." + layer, sequence), rows);
        }

        @Override
        public boolean taps() {
            return taps;
        }
    }
}
