package brantas.tensor;

/// The bfloat16 format: the upper half of an fp32.
public final class Bf16 {
    private Bf16() {}

    /// The nearest bfloat16, ties to even; not-a-number stays one.
    public static short of(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > 0x7f800000) {
            return 0x7fff;
        }
        return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
    }

    /// Exact.
    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /// An fp32 rounded to bfloat16 precision.
    public static float round(float value) {
        return toFloat(of(value));
    }
}
