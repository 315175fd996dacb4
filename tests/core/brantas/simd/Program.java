package brantas.simd;

import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;

/// One op under test: it runs some sequences on a backend and gives what came out of each, so that
/// backends, batches and thread counts can be compared. Inputs depend on the seed and on the
/// sequence alone, never on the batch.
public abstract class Program {
    /// A sequence of the test.
    ///
    /// @param id names its data, its slot and its pages
    /// @param past rows of a first step
    /// @param rows rows of the second step, whose outputs count
    public record Seq(int id, int past, int rows) {}

    static final int PAGES = 64;

    private final String name;
    public final long seed;

    Program(String name, long seed) {
        this.name = name;
        this.seed = seed;
    }

    /// Outputs of the second step by sequence.
    public abstract Map<Integer, float[]> run(Backend ops, List<Seq> sequences);

    /// Values of a row, the same wherever it stands.
    float[] row(Seq s, int position, int cols, int salt) {
        long key = ((seed * 31 + s.id()) * 100_003 + position) * 31 + salt;
        SplittableRandom random = new SplittableRandom(key);
        float[] values = new float[cols];
        for (int c = 0; c < cols; c++) {
            values[c] = (float) (2 * random.nextDouble() - 1);
        }
        return values;
    }

    /// Fills a buffer with the rows of a step.
    Buffer input(Backend ops, StepBatch batch, List<Seq> step, int cols, int salt) {
        Buffer buffer = ops.buffer("input", Math.max(1, batch.rows()), cols);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment rows = arena.allocate(4L * Math.max(1, batch.rows()) * cols, 4);
            long at = 0;
            for (int i = 0; i < step.size(); i++) {
                for (int r = 0; r < step.get(i).rows(); r++) {
                    for (float v : row(step.get(i), step.get(i).past() + r, cols, salt)) {
                        rows.setAtIndex(ValueLayout.JAVA_FLOAT, at++, v);
                    }
                }
            }
            ops.upload(buffer, 0, batch.rows(), rows);
        }
        return buffer;
    }

    static Map<Integer, float[]> output(Backend ops, Buffer dst, StepBatch b, List<Seq> step) {
        Map<Integer, float[]> all = new TreeMap<>();
        try (Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < step.size(); i++) {
                int count = b.rowCount(i) * dst.cols();
                MemorySegment rows = arena.allocate(4L * count, 4);
                ops.download(rows, dst, b.rowStart(i), b.rowCount(i));
                all.put(step.get(i).id(), rows.toArray(ValueLayout.JAVA_FLOAT));
            }
        }
        return all;
    }

    /// The first step: every sequence's past as rows; sequences without one are absent.
    static List<Seq> first(List<Seq> sequences) {
        List<Seq> step = new ArrayList<>();
        for (Seq s : sequences) {
            if (s.past() > 0) {
                step.add(new Seq(s.id(), 0, s.past()));
            }
        }
        return ordered(step);
    }

    /// Sequences with one row first.
    static List<Seq> ordered(List<Seq> sequences) {
        List<Seq> step = new ArrayList<>();
        sequences.stream().filter(s -> s.rows() == 1).forEach(step::add);
        sequences.stream().filter(s -> s.rows() != 1).forEach(step::add);
        return step;
    }

    static StepBatch batch(List<Seq> step) {
        int rows = step.stream().mapToInt(Seq::rows).sum();
        StepBatch batch =
                new StepBatch(Math.max(1, rows), Math.max(1, step.size()), 1 + step.size() * PAGES);
        batch.clear();
        for (Seq s : step) {
            batch.addSequence(s.past(), s.id());
            for (int p = 0; p < PAGES; p++) {
                batch.addPage((s.id() * 7 + p) % 16 * PAGES + p);
            }
            for (int r = 0; r < s.rows(); r++) {
                int t = s.past() + r;
                batch.addRow((t * 7 + s.id()) % 11, t, t + 3, t / 2, true);
            }
        }
        batch.seal();
        return batch;
    }

    /// A random tensor that lies two bytes off every alignment.
    public static HostTensor tensor(
            SplittableRandom random, DType type, double scale, long... shape) {
        int count = (int) HostTensor.elements(shape);
        MemorySegment room = Arena.ofAuto().allocate((long) count * type.bytes() + 64, 64);
        MemorySegment data = room.asSlice(2, (long) count * type.bytes());
        for (int i = 0; i < count; i++) {
            float v = (float) (scale * (2 * random.nextDouble() - 1));
            switch (type) {
                case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, v);
                case F16 -> data.set(shorts(), 2L * i, Float.floatToFloat16(v));
                default -> data.set(shorts(), 2L * i, (short) (Float.floatToIntBits(v) >> 16));
            }
        }
        return new HostTensor("t", type, shape, data);
    }

    private static ValueLayout.OfShort shorts() {
        return ValueLayout.JAVA_SHORT_UNALIGNED;
    }

    @Override
    public String toString() {
        return name + ", seed " + seed;
    }
}
