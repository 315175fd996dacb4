package brantas.plain;

import brantas.op.Weight;
import brantas.tensor.HostTensor;
import java.util.List;

/// Stored matrices stacked by rows, read element by element: `[out, in]`.
record Matrix(String name, List<HostTensor> parts, int rows, int cols) implements Weight {
    static Matrix of(List<HostTensor> parts) {
        int cols = (int) (parts.get(0).elements() / parts.get(0).dim(0));
        int rows = 0;
        for (HostTensor part : parts) {
            if (part.elements() != (long) part.dim(0) * cols) {
                throw new IllegalArgumentException(part + " has not " + cols + " columns");
            }
            rows += part.dim(0);
        }
        return new Matrix(parts.get(0).name(), List.copyOf(parts), rows, cols);
    }

    @Override
    public long bytes() {
        return parts.stream().mapToLong(p -> p.data().byteSize()).sum();
    }

    /// Row `row`, widened into `dst`.
    void row(int row, double[] dst) {
        int at = row;
        for (HostTensor part : parts) {
            if (at < part.dim(0)) {
                long from = (long) at * cols;
                for (int i = 0; i < cols; i++) {
                    dst[i] = part.at(from + i);
                }
                return;
            }
            at -= part.dim(0);
        }
        throw new IndexOutOfBoundsException("row " + row + " of " + name);
    }

    /// A vector: all values of the only part.
    float at(int index) {
        return parts.get(0).at(index);
    }
}
