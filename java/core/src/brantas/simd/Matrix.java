package brantas.simd;

import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.UNIT;

import brantas.op.Weight;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.IntVector;

/// Stored matrices stacked by rows, used where they lie: `[out, in]` of bf16, f16 or f32. It widens
/// rows to fp32 in the permuted order of [Lanes#slot]; the products are elsewhere.
final class Matrix implements Weight {
    /// Rows that one item of a row-by-row product takes.
    record Block(Part part, int from, int to) {}

    /// One stored tensor.
    ///
    /// @param from first row in the stack
    /// @param to row after the last
    record Part(HostTensor tensor, long address, int from, int to, boolean direct) {}

    private static final int BLOCK_BYTES = 1 << 18;

    private final String name;
    private final long bytes;
    private final int in;
    private final int inPadded;
    private final Part[] parts;
    private final Block[] blocks;

    /// @param tensors `[outᵢ, in]` each, native memory that outlives this
    Matrix(List<HostTensor> tensors) {
        this.name = tensors.getFirst().name();
        this.in = (int) (tensors.getFirst().elements() / tensors.getFirst().dim(0));
        this.inPadded = Lanes.pad(in, UNIT);
        this.parts = new Part[tensors.size()];
        long size = 0;
        int row = 0;
        List<Block> all = new ArrayList<>();
        for (int i = 0; i < parts.length; i++) {
            HostTensor t = tensors.get(i);
            int rows = t.dim(0);
            if (t.elements() != (long) rows * in || !t.dtype().real() || !t.data().isNative()) {
                throw new IllegalArgumentException(t + " is no native part of a matrix [*, " + in);
            }
            boolean direct = t.dtype() == DType.BF16 && in % UNIT == 0;
            parts[i] = new Part(t, t.data().address(), row, row + rows, direct);
            int step = Math.max(4, BLOCK_BYTES / Math.max(1, in * t.dtype().bytes()) / 4 * 4);
            for (int from = 0; from < rows; from += step) {
                all.add(new Block(parts[i], row + from, row + Math.min(rows, from + step)));
            }
            row += rows;
            size += t.data().byteSize();
        }
        this.bytes = size;
        this.blocks = all.toArray(Block[]::new);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    /// Rows.
    int out() {
        return parts[parts.length - 1].to;
    }

    /// Columns.
    int in() {
        return in;
    }

    /// Columns with the zeros that fill the last unit.
    int inPadded() {
        return inPadded;
    }

    int blocks() {
        return blocks.length;
    }

    Block block(int index) {
        return blocks[index];
    }

    /// The part that holds a row.
    Part partOf(int row) {
        int i = 0;
        while (row >= parts[i].to) {
            i++;
        }
        return parts[i];
    }

    /// Widens columns `[k, k + count)` of a row into `dst`, permuted; zero behind the last column.
    ///
    /// @param k multiple of `UNIT`
    /// @param count multiple of `UNIT`, within the padded columns
    static void widen(Part part, int row, int k, int count, float[] dst, int at) {
        HostTensor t = part.tensor;
        int columns = (int) (t.elements() / t.dim(0));
        long first = (long) (row - part.from) * columns + k;
        if (part.direct) {
            widenPairs(part.address + 2 * first, count, dst, at);
            return;
        }
        int present = Math.min(count, columns - k);
        Arrays.fill(dst, at, at + count, 0f);
        for (int i = 0; i < present; i++) {
            dst[at + Lanes.slot(i)] = t.at(first + i);
        }
    }

    /// Writes a row as it is stored, in order: an embedding.
    void row(int row, long to) {
        if (row < 0 || row >= out()) {
            throw new IllegalArgumentException("row " + row + " of " + this);
        }
        Part part = partOf(row);
        long first = (long) (row - part.from) * in;
        if (!part.direct) {
            for (int k = 0; k < in; k++) {
                Lanes.set(to + 4L * k, part.tensor.at(first + k));
            }
            return;
        }
        long from = part.address + 2 * first;
        for (int k = 0; k < in; k += UNIT) {
            IntVector pairs = Lanes.pairs(from + 2L * k);
            Lanes.interleave(Lanes.even(pairs), Lanes.odd(pairs), to + 4L * k);
        }
    }

    private static void widenPairs(long address, int count, float[] dst, int at) {
        for (int i = 0; i < count; i += UNIT) {
            IntVector pairs = Lanes.pairs(address + 2L * i);
            Lanes.even(pairs).intoArray(dst, at + i);
            Lanes.odd(pairs).intoArray(dst, at + i + L);
        }
    }

    @Override
    public String toString() {
        return name + " [" + out() + ", " + in + "]";
    }
}
