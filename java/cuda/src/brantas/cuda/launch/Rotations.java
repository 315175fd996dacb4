package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Cosine and sine of every row: the kernel of `rotations.cu`. Grid: one thread a row and pair, 128
/// a block.
public final class Rotations {
    private static final int BLOCK = 128;

    private static final Kernel KERNEL =
            Kernel.named("rotations")
                    .address("dst")
                    .address("frequencies")
                    .address("axis")
                    .address("step")
                    .rows("rows")
                    .int32("pairs")
                    .int32("dst_stride")
                    .float32("scale")
                    .int32("padding")
                    .block(BLOCK)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public Rotations(Module module) {
        function = module.function(KERNEL);
    }

    /// A [brantas.op.Rope] on the device.
    ///
    /// @param frequencies address of fp32 `[pairs]`
    /// @param axis address of i32 `[pairs]`, each 0, 1 or 2
    /// @param pairs of rotated channels, at least one
    /// @param scale factor of cosine and sine
    public record Turns(long frequencies, long axis, int pairs, float scale) {}

    /// `dst[row] = [cos × pairs | sin × pairs] · scale`, of `position[axis[j]] · frequencies[j]`.
    ///
    /// @param dst fp32 `[rows, 2 · pairs]`
    /// @param step address of the step block
    public void launch(Stream stream, Matrix dst, Turns turns, long step, Rows rows) {
        if (turns.pairs() < 1 || dst.cols() != 2 * turns.pairs()) {
            throw new IllegalArgumentException(
                    "rotations of "
                            + turns.pairs()
                            + " pairs fill twice as many columns, not "
                            + dst.cols());
        }
        int items = Math.multiplyExact(rows.count(), turns.pairs());
        function.begin()
                .address(dst.address())
                .address(turns.frequencies())
                .address(turns.axis())
                .address(step)
                .rows(rows)
                .int32(turns.pairs())
                .int32(dst.stride())
                .float32(turns.scale())
                .int32(0)
                .launch(stream, Math.ceilDiv(items, BLOCK), 1, 1);
    }
}
