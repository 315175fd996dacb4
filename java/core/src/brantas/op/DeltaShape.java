package brantas.op;

/// Sizes of a gated delta-rule layer (spec 4).
///
/// The projected row is `[q keyHeads × keyDim | k keyHeads × keyDim | v valueHeads × valueDim | z
/// valueHeads × valueDim | b valueHeads | a valueHeads]`; the convolution runs over the first three
/// parts.
///
/// @param keyHeads query and key heads
/// @param valueHeads value heads; value head `h` uses key head `h / (valueHeads / keyHeads)`
/// @param keyDim values of a key head
/// @param valueDim values of a value head
/// @param convWidth taps of the causal convolution
/// @param eps of the gated norm
public record DeltaShape(
        int keyHeads, int valueHeads, int keyDim, int valueDim, int convWidth, float eps) {
    /// Inside the root of the l2 norm of queries and keys, added to the sum of squares (spec 4.3
    /// step 7).
    public static final float L2_EPS = 1e-6f;

    /// Width of all key heads.
    public int keyWidth() {
        return keyHeads * keyDim;
    }

    /// Width of all value heads.
    public int valueWidth() {
        return valueHeads * valueDim;
    }

    /// Channels of the convolution.
    public int channels() {
        return 2 * keyWidth() + valueWidth();
    }

    /// First column of z in a projected row.
    public int z() {
        return channels();
    }

    /// First column of b in a projected row.
    public int b() {
        return channels() + valueWidth();
    }

    /// First column of a in a projected row.
    public int a() {
        return b() + valueHeads;
    }

    /// Width of a projected row.
    public int projected() {
        return a() + valueHeads;
    }

    /// Value heads that share a key head.
    public int group() {
        return valueHeads / keyHeads;
    }
}
