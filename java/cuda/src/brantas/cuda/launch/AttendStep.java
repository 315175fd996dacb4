package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import brantas.op.AttentionShape;
import java.util.List;

/// Gated attention of sequences with one row over the paged cache: the kernel of `attend_step.cu`.
/// Grid: x splits of a sequence's positions, y KV heads, z rows; the last block of a row and KV
/// head merges. The splits of a sequence follow from its length alone, so that bounds do not show
/// in the result.
public final class AttendStep {
    private static final int SMALLEST_SPLIT = 256;
    private static final int MOST_SPLITS = 64;

    /// fp32 of a partial result.
    private static final int PARTIAL = 260;

    private static final Kernel KERNEL =
            Kernel.named("attend_step")
                    .address("dst")
                    .address("q")
                    .address("projected")
                    .address("keys")
                    .address("values")
                    .address("partials")
                    .address("arrivals")
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
                    .shared(68096)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public AttendStep(Module module) {
        function = module.function(KERNEL);
    }

    /// Room for the results of the splits, and with it the bounds of the grid. Layers may share
    /// one, since each uses it up.
    ///
    /// @param address of `bytes(shape, rows, splits)`, aligned to 16 bytes
    /// @param arrivals of `arrivalBytes(shape, rows)`: whoever allocates them makes them zero, and
    ///     each launch leaves them so
    /// @param rows at least as many as there are single rows
    /// @param splits at least as many as the longest of their sequences has
    public record Partials(long address, long arrivals, int rows, int splits) {
        /// Bytes that partial results with these bounds take.
        public static long bytes(AttentionShape shape, int rows, int splits) {
            return (long) rows * shape.heads() * splits * PARTIAL * Float.BYTES;
        }

        /// Bytes that the counters of blocks that are done take, one for each row and KV head.
        public static long arrivalBytes(AttentionShape shape, int rows) {
            return (long) rows * shape.kvHeads() * Integer.BYTES;
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
        function.begin()
                .address(operands.dst().address())
                .address(operands.q().address())
                .address(operands.projected().address())
                .address(pages.keys())
                .address(pages.values())
                .address(partials.address())
                .address(partials.arrivals())
                .address(step)
                .int32(operands.dst().stride())
                .int32(operands.q().stride())
                .int32(operands.projected().stride())
                .int32(shape.kvHeads())
                .int32(shape.group())
                .int32(pages.pageSize())
                .int32(partials.splits())
                .int32(0)
                .launch(stream, partials.splits(), shape.kvHeads(), partials.rows());
    }
}
