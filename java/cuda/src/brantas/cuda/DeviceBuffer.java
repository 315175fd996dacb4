package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.launch.Matrix;
import brantas.tensor.Bf16;
import brantas.tensor.Buffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Working memory on the device: activations in bf16, rotations and logits in fp32. Rows begin 16
/// bytes aligned; what lies between the last column and the next row is zero and stays zero.
///
/// @param wide whether values are fp32
record DeviceBuffer(String name, Matrix matrix, boolean wide, DeviceMemory memory)
        implements Buffer {
    /// Elements of a row with so many values.
    static int stride(int cols, boolean wide) {
        int whole = wide ? 4 : 8;
        return Math.ceilDiv(cols, whole) * whole;
    }

    /// Bytes of a matrix.
    static long bytes(int rows, int cols, boolean wide) {
        return (wide ? 4L : 2L) * rows * stride(cols, wide);
    }

    @Override
    public int rows() {
        return matrix.rows();
    }

    @Override
    public int cols() {
        return matrix.cols();
    }

    /// Bytes of one row.
    long rowBytes() {
        return (wide ? 4L : 2L) * matrix.stride();
    }

    /// Widens `count` rows as they lie on the device to packed fp32.
    void unpack(MemorySegment rows, int count, MemorySegment to) {
        for (int r = 0; r < count; r++) {
            long from = r * rowBytes();
            long at = 4L * r * cols();
            if (wide) {
                MemorySegment.copy(rows, from, to, at, 4L * cols());
                continue;
            }
            for (int i = 0; i < cols(); i++) {
                short bits = rows.get(ValueLayout.JAVA_SHORT, from + 2L * i);
                to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + 4L * i, Bf16.toFloat(bits));
            }
        }
    }

    /// The other way: rounds packed fp32 to rows as they lie on the device.
    void pack(MemorySegment from, int count, MemorySegment rows) {
        for (int r = 0; r < count; r++) {
            long to = r * rowBytes();
            long at = 4L * r * cols();
            if (wide) {
                MemorySegment.copy(from, at, rows, to, 4L * cols());
                continue;
            }
            for (int i = 0; i < cols(); i++) {
                float value = from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + 4L * i);
                rows.set(ValueLayout.JAVA_SHORT, to + 2L * i, Bf16.of(value));
            }
        }
    }
}
