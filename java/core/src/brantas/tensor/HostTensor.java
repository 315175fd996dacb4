package brantas.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/// A stored tensor in host memory, row-major, little-endian: a name, a type, a shape and the bytes,
/// which often lie in a mapped file. It does not own its memory. No arithmetic beyond reading one
/// element.
///
/// @param name as in the checkpoint
/// @param dtype element type
/// @param shape sizes, outermost first; empty for a scalar
/// @param data exactly `elements × dtype.bytes()` bytes of native memory, perhaps unaligned
public record HostTensor(String name, DType dtype, long[] shape, MemorySegment data) {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// Checks that the bytes fit the shape.
    public HostTensor {
        if (elements(shape) * dtype.bytes() != data.byteSize()) {
            throw new IllegalArgumentException(
                    name + ": " + Arrays.toString(shape) + " " + dtype + " in " + data);
        }
    }

    /// The number of elements of a shape; 1 for an empty one.
    public static long elements(long[] shape) {
        long n = 1;
        for (long s : shape) {
            n = Math.multiplyExact(n, s);
        }
        return n;
    }

    /// The number of elements.
    public long elements() {
        return elements(shape);
    }

    /// Size of one dimension.
    public int dim(int index) {
        return Math.toIntExact(shape[index]);
    }

    /// Element `index` in row-major order, widened exactly to fp32. For bf16, f16 and f32 tensors.
    public float at(long index) {
        return switch (dtype) {
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, 2 * index) << 16);
            case F16 -> Float.float16ToFloat(data.get(SHORT, 2 * index));
            case F32 -> data.get(FLOAT, 4 * index);
            default -> throw new IllegalStateException(name + " holds " + dtype);
        };
    }

    /// All elements widened to fp32, for small tensors (norm weights, gates).
    public float[] toFloats() {
        float[] out = new float[Math.toIntExact(elements())];
        for (int i = 0; i < out.length; i++) {
            out[i] = at(i);
        }
        return out;
    }

    /// The slice `index` of the outermost dimension: for `[E, a, b]` the matrix `[a, b]` of one
    /// expert.
    public HostTensor slice(int index) {
        long[] inner = Arrays.copyOfRange(shape, 1, shape.length);
        long bytes = elements(inner) * dtype.bytes();
        return new HostTensor(
                name + "[" + index + "]", dtype, inner, data.asSlice(index * bytes, bytes));
    }

    /// Rows `from` (inclusive) to `to` (exclusive) of the outermost dimension.
    public HostTensor rows(int from, int to) {
        long[] part = shape.clone();
        part[0] = (long) to - from;
        long bytes = data.byteSize() / shape[0];
        return new HostTensor(
                name, dtype, part, data.asSlice(from * bytes, ((long) to - from) * bytes));
    }

    /// The same bytes under another shape of equally many elements.
    public HostTensor reshape(long... other) {
        return new HostTensor(name, dtype, other, data);
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }

    @Override
    public String toString() {
        return name + " " + dtype + " " + Arrays.toString(shape);
    }
}
