package brantas.tensor;

import java.util.Locale;

/// The element types of stored tensors. Names are those of the safetensors header.
public enum DType {
    BF16(2),
    F16(2),
    F32(4),
    I32(4),
    I64(8);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes of one element.
    public int bytes() {
        return bytes;
    }

    /// Whether the values are real numbers (a weight can have this type).
    public boolean real() {
        return this == BF16 || this == F16 || this == F32;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
