package brantas.cuda.bench;

import brantas.cuda.StepBlock;
import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.Matrix;
import brantas.op.StepBatch;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// A device with a stream, the launchers, and memory for one case at a time: matrices of noise,
/// rooms for results, small tables, and step blocks.
final class Workbench {
    private static final int NOISE_BYTES = 4 << 20;

    /// Positions of a page.
    static final int PAGE = 32;

    private final Device device;
    private final Stream stream;
    private final Launchers launchers;
    private final PinnedMemory staging;
    private final List<DeviceMemory> kept = new ArrayList<>();
    private final SplittableRandom random = new SplittableRandom(1);

    Workbench(Device device, Stream stream, Launchers launchers) {
        this.device = device;
        this.stream = stream;
        this.launchers = launchers;
        this.staging = device.allocatePinned("noise", NOISE_BYTES);
    }

    Device device() {
        return device;
    }

    Stream stream() {
        return stream;
    }

    Launchers launchers() {
        return launchers;
    }

    boolean emulated() {
        return device.info().emulated();
    }

    /// Zeroed memory that lives until [#clear].
    DeviceMemory room(String name, long bytes) {
        DeviceMemory memory = device.allocate(name, Math.max(16, bytes));
        kept.add(memory);
        return memory;
    }

    /// Memory full of bf16 values in ±`scale`, repeated every 4 MiB.
    DeviceMemory noise(String name, long values, double scale) {
        MemorySegment block = staging.segment();
        long some = Math.min(values, NOISE_BYTES / 2);
        for (long i = 0; i < some; i++) {
            float value = (float) ((2 * random.nextDouble() - 1) * scale);
            short bits = (short) (Float.floatToRawIntBits(value) >>> 16);
            block.setAtIndex(ValueLayout.JAVA_SHORT, i, bits);
        }
        DeviceMemory memory = room(name, 2 * values);
        for (long at = 0; at < values; at += some) {
            long count = Math.min(some, values - at);
            stream.copyIn(memory, 2 * at, staging, 0, 2 * count);
        }
        stream.synchronize();
        return memory;
    }

    /// A bf16 matrix of noise.
    ///
    /// @param cols a multiple of 8, so that rows follow each other without gaps
    Matrix noise(String name, int rows, int cols, double scale) {
        return matrix(noise(name, (long) rows * whole(cols), scale), rows, cols);
    }

    /// A matrix over memory that is there.
    static Matrix matrix(DeviceMemory memory, int rows, int cols) {
        return new Matrix(memory.address(), rows, cols, whole(cols));
    }

    private static int whole(int cols) {
        if (cols % 8 != 0) {
            throw new IllegalArgumentException("a row of " + cols + " values would need padding");
        }
        return cols;
    }

    /// A small table of fp32 in ±`scale`.
    DeviceMemory floats(String name, int count, double scale) {
        int[] bits = new int[count];
        for (int i = 0; i < count; i++) {
            bits[i] = Float.floatToRawIntBits((float) ((2 * random.nextDouble() - 1) * scale));
        }
        return ints(name, bits);
    }

    /// Distinct numbers below `bound`, so many for each row.
    int[] choices(int rows, int slots, int bound) {
        int[] all = new int[rows * slots];
        for (int row = 0; row < rows; row++) {
            int[] chosen = random.ints(0, bound).distinct().limit(Math.min(slots, bound)).toArray();
            System.arraycopy(chosen, 0, all, row * slots, chosen.length);
        }
        return all;
    }

    /// A small table.
    DeviceMemory ints(String name, int[] values) {
        DeviceMemory memory = room(name, 4L * values.length);
        MemorySegment from = MemorySegment.ofArray(values);
        for (long at = 0; at < from.byteSize(); at += NOISE_BYTES) {
            long bytes = Math.min(NOISE_BYTES, from.byteSize() - at);
            staging.segment().asSlice(0, bytes).copyFrom(from.asSlice(at, bytes));
            stream.copyIn(memory, at, staging, 0, bytes);
            stream.synchronize();
        }
        return memory;
    }

    /// Address of a step of single rows, each with so many positions, the new one included, and
    /// pages of its own.
    long singles(int rows, int context) {
        int pages = Math.ceilDiv(context, PAGE);
        StepBatch batch = new StepBatch(rows, rows, rows * pages);
        batch.clear();
        for (int row = 0; row < rows; row++) {
            sequence(batch, row, context - 1, pages);
            batch.addRow(row % 64, context - 1, context - 1, context - 1, true);
        }
        return upload(batch);
    }

    /// Address of a step of one sequence with so many rows and nothing before them.
    long prompt(int rows) {
        StepBatch batch = new StepBatch(rows, 1, Math.ceilDiv(rows, PAGE));
        batch.clear();
        sequence(batch, 0, 0, Math.ceilDiv(rows, PAGE));
        for (int t = 0; t < rows; t++) {
            batch.addRow(t % 64, t, t, t, t == rows - 1);
        }
        return upload(batch);
    }

    private static void sequence(StepBatch batch, int slot, int past, int pages) {
        batch.addSequence(past, slot);
        for (int p = 0; p < pages; p++) {
            batch.addPage(slot * pages + p);
        }
    }

    /// Address of a step.
    long upload(StepBatch batch) {
        batch.seal();
        StepBlock block = new StepBlock(device, stream, batch);
        block.upload(batch);
        stream.synchronize();
        return block.address();
    }

    /// Positions of the pages that so many sequences of `context` positions take.
    static long positions(int sequences, int context) {
        return (long) sequences * Math.ceilDiv(context, PAGE) * PAGE;
    }

    /// Gives the memory of a case back to the system.
    void clear() {
        stream.synchronize();
        kept.forEach(DeviceMemory::close);
        kept.clear();
        device.trim();
    }
}
