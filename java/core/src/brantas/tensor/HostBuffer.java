package brantas.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A `Buffer` in native host memory, 64-byte aligned and zeroed: what both CPU backends compute in.
/// Off the Java heap so that the heap limit does not bound the model and addresses never move.
public final class HostBuffer implements Buffer {
    private final String name;
    private final int rows;
    private final int cols;
    private final boolean rounded;
    private final MemorySegment data;

    /// @param arena owns the memory
    /// @param name what it holds
    /// @param rows capacity
    /// @param cols fp32 values of one row
    public HostBuffer(Arena arena, String name, int rows, int cols) {
        this(arena, name, rows, cols, false);
    }

    /// @param arena owns the memory
    /// @param name what it holds
    /// @param rows capacity
    /// @param cols fp32 values of one row
    /// @param rounded whether every value set is rounded to bf16 first
    public HostBuffer(Arena arena, String name, int rows, int cols, boolean rounded) {
        this.name = name;
        this.rows = rows;
        this.cols = cols;
        this.rounded = rounded;
        this.data = arena.allocate(Math.max(4L, 4L * rows * cols), 64);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int cols() {
        return cols;
    }

    /// The memory, `rows × cols` fp32.
    public MemorySegment data() {
        return data;
    }

    /// One value.
    public float get(int row, int col) {
        return data.getAtIndex(ValueLayout.JAVA_FLOAT, (long) row * cols + col);
    }

    /// Sets one value.
    public void set(int row, int col, double value) {
        float stored = rounded ? Bf16.round((float) value) : (float) value;
        data.setAtIndex(ValueLayout.JAVA_FLOAT, (long) row * cols + col, stored);
    }

    /// Byte offset of a row.
    public long offset(int row) {
        return 4L * row * cols;
    }

    /// Copies row `fromRow` of another buffer of the same width to row `row`.
    public void copyRow(int row, HostBuffer from, int fromRow) {
        MemorySegment.copy(from.data, from.offset(fromRow), data, offset(row), 4L * cols);
    }

    /// Copies `count` rows from row `row` on out to packed fp32.
    public void read(int row, int count, MemorySegment to) {
        MemorySegment.copy(data, offset(row), to, 0, 4L * count * cols);
    }

    /// Copies `count` rows of packed fp32 in, from row `row` on, rounding as [#set] does.
    public void write(int row, int count, MemorySegment from) {
        if (!rounded) {
            MemorySegment.copy(from, 0, data, offset(row), 4L * count * cols);
            return;
        }
        for (long i = 0; i < (long) count * cols; i++) {
            float value = from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i);
            data.set(ValueLayout.JAVA_FLOAT, offset(row) + 4 * i, Bf16.round(value));
        }
    }

    @Override
    public String toString() {
        return name + " [" + rows + ", " + cols + "]";
    }
}
