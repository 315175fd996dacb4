package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The activation of the dense feed-forward: the kernel of `swiglu.cu`. Grid: x one block a row, y
/// one a span of 2048 columns.
public final class SwiGlu {
    /// Columns of a block: 256 threads of eight.
    private static final int SPAN = 2048;

    private static final Kernel KERNEL =
            Kernel.named("swiglu")
                    .address("dst")
                    .address("gate_up")
                    .rows("rows")
                    .int32("inner")
                    .int32("dst_stride")
                    .int32("gate_up_stride")
                    .int32("padding")
                    .block(256)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public SwiGlu(Module module) {
        function = module.function(KERNEL);
    }

    /// `dst = SiLU(gate) · up`.
    ///
    /// @param dst bf16 `[rows, inner]`
    /// @param gateUp bf16 `[rows, 2 · inner]`: gate first
    public void launch(Stream stream, Matrix dst, Matrix gateUp, Rows rows) {
        int inner = dst.cols();
        if (gateUp.cols() != 2 * inner) {
            throw new IllegalArgumentException(
                    "swiglu takes gate and up side by side: "
                            + gateUp.cols()
                            + " columns are not twice "
                            + inner);
        }
        function.begin()
                .address(dst.address())
                .address(gateUp.address())
                .rows(rows)
                .int32(inner)
                .int32(dst.stride())
                .int32(gateUp.stride())
                .int32(0)
                .launch(stream, rows.count(), Math.ceilDiv(inner, SPAN), 1);
    }
}
