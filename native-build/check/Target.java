import java.util.List;

/// What a multiprocessor of an architecture holds at a time, and how many blocks of a kernel follow
/// from it. Registers are handed out to warps in units of 256 from four equal files of 16,384;
/// shared memory in units of 128 bytes, and the system takes 1 KiB of it for each block. It is
/// assumed that the device gives shared memory all that its division with the cache allows.
///
/// @param sm architecture, 90 for sm_90
/// @param shared KiB for all blocks; one block gets a KiB less
record Target(int sm, int threads, int blocks, int shared) {
    private static final int FILES = 4;
    private static final int FILE_REGISTERS = 16384;
    private static final int REGISTER_UNIT = 256;
    private static final int SHARED_UNIT = 128;
    private static final int KIB = 1024;

    /// Everything that is shipped for.
    static final List<Target> ALL =
            List.of(
                    new Target(80, 2048, 32, 164),
                    new Target(86, 1536, 16, 100),
                    new Target(89, 1536, 24, 100),
                    new Target(90, 2048, 32, 228),
                    new Target(100, 2048, 32, 228),
                    new Target(120, 1536, 24, 100));

    /// @param limit what keeps it from being more: registers, shared, threads or blocks
    record Occupancy(int blocks, int warps, String limit) {}

    static Target of(String sm) {
        return ALL.stream()
                .filter(t -> String.valueOf(t.sm).equals(sm))
                .findFirst()
                .orElseThrow(() ->
                        new Refused(
                                "nothing is known about sm_%s: add its limits to"
                                        + " native-build/check/Target.java.",
                                sm));
    }

    String name() {
        return "sm_" + sm;
    }

    /// @param block threads
    /// @param bytes static and dynamic shared memory
    Occupancy occupancy(int registers, int block, int bytes) {
        int warps = up(block, 32) / 32;
        int each = Math.max(REGISTER_UNIT, up(registers * 32, REGISTER_UNIT));
        int byRegisters = FILES * (FILE_REGISTERS / each) / warps;
        int byShared = bytes > (shared - 1) * KIB ? 0 : shared * KIB / up(bytes + KIB, SHARED_UNIT);
        int byThreads = threads / 32 / warps;
        int most = Math.min(Math.min(byRegisters, byShared), Math.min(byThreads, blocks));
        String limit =
                most == byShared
                        ? "shared"
                        : most == byRegisters
                                ? "registers"
                                : most == byThreads ? "threads" : "blocks";
        return new Occupancy(most, most * warps, limit);
    }

    private static int up(int value, int unit) {
        return (value + unit - 1) / unit * unit;
    }
}
