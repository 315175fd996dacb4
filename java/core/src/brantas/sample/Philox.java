package brantas.sample;

/// The counter-based generator Philox 4×32-10 (Salmon et al. 2011): a pure function of (seed,
/// position), so that a token does not depend on the batch it was drawn in, and so that any device
/// can compute it.
final class Philox {
    private static final int M0 = 0xD2511F53;
    private static final int M1 = 0xCD9E8D57;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;

    private Philox() {}

    /// A number in [0, 1) with 53 random bits.
    ///
    /// @param seed the key
    /// @param position index of the token in its sequence, the counter
    static double uniform(long seed, long position) {
        int c0 = (int) position;
        int c1 = (int) (position >>> 32);
        int c2 = 0;
        int c3 = 0;
        int k0 = (int) seed;
        int k1 = (int) (seed >>> 32);
        for (int round = 0; round < 10; round++) {
            long p0 = (M0 & 0xFFFFFFFFL) * (c0 & 0xFFFFFFFFL);
            long p1 = (M1 & 0xFFFFFFFFL) * (c2 & 0xFFFFFFFFL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c1 = (int) p1;
            c3 = (int) p0;
            c0 = n0;
            c2 = n2;
            k0 += W0;
            k1 += W1;
        }
        long bits = (((long) c0) << 32 | (c1 & 0xFFFFFFFFL)) >>> 11;
        return bits * 0x1.0p-53;
    }
}
