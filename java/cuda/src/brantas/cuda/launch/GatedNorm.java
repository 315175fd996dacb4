package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.op.DeltaShape;
import java.util.List;

/// The gated norm behind the delta rule: the kernel of `gated_norm.cu`. Grid: x one block a row, y
/// one a group of 16 value heads.
public final class GatedNorm {
    /// Value heads of a block: each takes half a warp.
    private static final int HEADS = 16;

    private static final int VALUE_DIM = 128;

    private static final Kernel KERNEL =
            Kernel.named("gated_norm")
                    .address("dst")
                    .address("o")
                    .address("projected")
                    .address("weight")
                    .rows("rows")
                    .int32("heads")
                    .int32("z")
                    .int32("dst_stride")
                    .int32("o_stride")
                    .int32("projected_stride")
                    .float32("eps")
                    .block(256)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public GatedNorm(Module module) {
        function = module.function(KERNEL);
    }

    /// What the kernel reads and writes.
    ///
    /// @param dst bf16 `[rows, valueWidth]`, may be `o`
    /// @param o bf16 `[rows, valueWidth]`
    /// @param projected bf16 `[rows, shape.projected()]`, for z
    /// @param weight address of fp32 `[valueDim]`, not zero-centred
    public record Operands(Matrix dst, Matrix o, Matrix projected, long weight) {}

    /// `dst = o · rsqrt(mean(o²) + eps) · weight · SiLU(z)` per value head.
    public void launch(Stream stream, Operands operands, DeltaShape shape, Rows rows) {
        if (shape.valueDim() != VALUE_DIM) {
            throw new IllegalArgumentException(
                    "gated_norm is built for value heads of 128, not of " + shape.valueDim());
        }
        function.begin()
                .address(operands.dst().address())
                .address(operands.o().address())
                .address(operands.projected().address())
                .address(operands.weight())
                .rows(rows)
                .int32(shape.valueHeads())
                .int32(shape.z())
                .int32(operands.dst().stride())
                .int32(operands.o().stride())
                .int32(operands.projected().stride())
                .float32(shape.eps())
                .launch(stream, rows.count(), Math.ceilDiv(shape.valueHeads(), HEADS), 1);
    }
}
