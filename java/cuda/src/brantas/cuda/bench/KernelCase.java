package brantas.cuda.bench;

import brantas.cuda.driver.DeviceMemory;
import java.util.List;
import java.util.function.IntConsumer;

/// A launch that can be measured: what it is, what it must move and do at least, and how its memory
/// is made.
///
/// @param phase `decode`, `prefill` or `table`, see [brantas.spi.KernelLab.KernelTime]
/// @param kernel what is launched
/// @param purpose its work in the model
/// @param shape rows and sizes, for people
/// @param bytes that must be moved
/// @param flops that must be done
/// @param footprint bytes of what a copy of the rotating memory takes
/// @param setup makes the memory
record KernelCase(
        String phase,
        String kernel,
        String purpose,
        String shape,
        double bytes,
        double flops,
        long footprint,
        Setup setup) {
    /// Footprint of memory that does not take turns: no part of it stays in a cache, or all does.
    static final long ONE_COPY = Long.MAX_VALUE;

    /// Makes the memory of a case on a workbench.
    interface Setup {
        /// @param copies of the memory that takes turns
        Run on(Workbench bench, int copies);
    }

    /// A case that is ready.
    ///
    /// @param launch launches with the given copy
    /// @param results what copy 0 writes, its state included
    record Run(IntConsumer launch, List<DeviceMemory> results) {}

    /// The same case as part of a published table.
    KernelCase inTable(String as) {
        return new KernelCase("table", kernel, as, shape, bytes, flops, footprint, setup);
    }
}
