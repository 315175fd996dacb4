package brantas.cuda.launch;

/// How the delta rule runs over a sequence of several rows: how many tokens make a chunk, and in
/// which format the products' operands are. All agree with the recurrence; the last bits differ.
public enum DeltaForm {
    /// Chunks of 64, fp16 operands, relative error near 4e-4: for devices with room for it.
    CHUNK_64("c64", 64, 11_280),

    /// Chunks of 32, fp16 operands, relative error near 4e-4: for any device.
    CHUNK_32("c32", 32, 3_600),

    /// Chunks of 32, operands as pairs of bf16, relative error near 5e-6 at two to three times the
    /// work: for comparisons.
    EXACT("exact", 32, 6_672);

    /// Shared memory of the largest kernel of CHUNK_64.
    private static final int CHUNK_64_SHARED = 104_480;

    /// Ending of the entry points.
    final String suffix;

    /// Tokens of a chunk.
    final int chunk;

    /// Bytes that the first half leaves of a chunk and value head.
    final int record;

    DeltaForm(String suffix, int chunk, int record) {
        this.suffix = suffix;
        this.chunk = chunk;
        this.record = record;
    }

    /// The faster form of those that a device can run.
    ///
    /// @param sharedMemory bytes of shared memory that a block may ask for
    public static DeltaForm of(int sharedMemory) {
        return sharedMemory >= CHUNK_64_SHARED ? CHUNK_64 : CHUNK_32;
    }

    /// Chunks that a batch has at most: every sequence begins its own.
    int chunks(int rows, int sequences) {
        return Math.toIntExact((rows + (long) sequences * (chunk - 1)) / chunk);
    }
}
