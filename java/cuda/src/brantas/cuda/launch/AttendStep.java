package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import brantas.op.AttentionShape;
import java.util.List;

/// Gated attention of sequences with one row over the paged cache: the kernels of `attend_step.cu`.
/// Grids: x splits of a sequence's positions, y KV heads, z rows; then x groups of four heads, a
/// warp each, y rows. The splits of a sequence follow from its length alone, so that bounds do not
/// show in the result.
public final class AttendStep {
    private static final int SMALLEST_SPLIT = 256;
    private static final int MOST_SPLITS = 64;

    /// fp32 of a partial result.
    private static final int PARTIAL = 260;

    /// Heads of a block that combines.
    private static final int HEADS = 4;

    private static final Kernel KERNEL = kernel("attend_step", 68096);
    private static final Kernel COMBINE = kernel("attend_step_combine", 0);
    static final List<Kernel> KERNELS = List.of(KERNEL, COMBINE);

    private final Function function;
    private final Function combine;

    public AttendStep(Module module) {
        function = module.function(KERNEL);
        combine = module.function(COMBINE);
    }

    /// Room for the results of the splits, and with it the bounds of the grid. Layers may share
    /// one, since each uses it up.
    ///
    /// @param address of `bytes(shape, rows, splits)`, aligned to 16 bytes
    /// @param rows at least as many as there are single rows
    /// @param splits at least as many as the longest of their sequences has
    public record Partials(long address, int rows, int splits) {
        /// Bytes that partial results with these bounds take.
        public static long bytes(AttentionShape shape, int rows, int splits) {
            return (long) rows * shape.heads() * splits * PARTIAL * Float.BYTES;
        }
    }

    /// The most splits that any sequence of up to `longest` positions, the new one included, has.
    public static int mostSplits(int longest) {
        // 64 smallest splits are full at 16,384 positions; beyond, splits grow and may be fewer.
        return Math.min(MOST_SPLITS, Math.ceilDiv(longest, SMALLEST_SPLIT));
    }

    /// Writes the single rows.
    ///
    /// @param step address of the step block
    public void launch(
            Stream stream,
            AttendChunk.Operands operands,
            StoreKv.Pages pages,
            AttentionShape shape,
            long step,
            Partials partials) {
        AttendChunk.checkShape(shape);
        if (partials.rows() == 0) {
            return;
        }
        for (Function each : List.of(function, combine)) {
            each.begin()
                    .address(operands.dst().address())
                    .address(operands.q().address())
                    .address(operands.projected().address())
                    .address(pages.keys())
                    .address(pages.values())
                    .address(partials.address())
                    .address(step)
                    .int32(operands.dst().stride())
                    .int32(operands.q().stride())
                    .int32(operands.projected().stride())
                    .int32(shape.kvHeads())
                    .int32(shape.group())
                    .int32(pages.pageSize())
                    .int32(partials.splits())
                    .int32(0);
        }
        function.launch(stream, partials.splits(), shape.kvHeads(), partials.rows());
        combine.launch(stream, Math.ceilDiv(shape.heads(), HEADS), partials.rows(), 1);
    }

    private static Kernel kernel(String name, int sharedBytes) {
        return Kernel.named(name)
                .address("dst")
                .address("q")
                .address("projected")
                .address("keys")
                .address("values")
                .address("partials")
                .address("step")
                .int32("dst_stride")
                .int32("q_stride")
                .int32("projected_stride")
                .int32("kv_heads")
                .int32("group")
                .int32("page_size")
                .int32("splits")
                .int32("padding")
                .block(128)
                .shared(sharedBytes)
                .build();
    }
}
