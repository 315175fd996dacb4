package brantas.predict;

import java.util.List;

/// What matters of a GPU, in SI units.
///
/// @param name short, as one types it
/// @param capability compute capability, 9.0 for Hopper
/// @param clock cycles per second
/// @param bandwidth bytes per second
/// @param tensorFlops bf16, dense, fp32 accumulation, by the data sheet
/// @param sharedPerBlock bytes of shared memory that a block may ask for
/// @param mmaCycles of an m16n8k16 product on a quarter of a multiprocessor, by the data sheet
/// @param mmaFraction of that rate which `mma.sync` can reach
/// @param sources the figures as they stand in the file, with where they come from
public record Gpu(
        String name,
        String title,
        double capability,
        int multiprocessors,
        double clock,
        double bandwidth,
        double memory,
        double tensorFlops,
        double sharedPerBlock,
        double sharedPerMultiprocessor,
        int threadsPerMultiprocessor,
        double mmaCycles,
        double mmaFraction,
        List<String> sources) {
    private static final int REGISTERS = 65_536;
    private static final int MOST_BLOCKS = 24;

    /// Shared memory that the driver keeps of each block.
    private static final int RESERVED = 1_024;

    static Gpu of(Figures.Section s) {
        return new Gpu(
                s.name(),
                s.title(),
                s.value("compute_capability"),
                (int) s.value("multiprocessors"),
                s.value("clock_mhz") * 1e6,
                s.value("bandwidth_gb_s") * 1e9,
                s.value("memory_gb") * 1e9,
                s.value("bf16_tflops") * 1e12,
                s.value("shared_kb_per_block") * 1024,
                s.value("shared_kb_per_sm") * 1024,
                (int) s.value("threads_per_sm"),
                s.value("mma_cycles"),
                s.value("mma_fraction"),
                s.lines());
    }

    /// Blocks of a kernel that a multiprocessor holds at once.
    int resident(KernelForm form) {
        int warpRegisters = (int) (Math.ceil(form.registers() / 8) * 8 * 32);
        int byRegisters = REGISTERS / warpRegisters / (int) Math.max(1, form.threads() / 32);
        int byThreads = threadsPerMultiprocessor / (int) form.threads();
        int byShared = (int) (sharedPerMultiprocessor / (form.shared() + RESERVED));
        int least = Math.min(Math.min(byRegisters, byThreads), Math.min(byShared, MOST_BLOCKS));
        return Math.max(1, least);
    }
}
