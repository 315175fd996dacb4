package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The rows whose logits are wanted: the kernel of `gather_rows.cu`. Grid: one block a row of the
/// destination.
public final class GatherRows {
    private static final Kernel KERNEL =
            Kernel.named("gather_rows")
                    .address("dst")
                    .address("src")
                    .address("step")
                    .rows("rows")
                    .int32("cols")
                    .int32("dst_stride")
                    .int32("src_stride")
                    .int32("padding")
                    .block(256)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public GatherRows(Module module) {
        function = module.function(KERNEL);
    }

    /// `dst[i] = src[output_row[window_from + i]]` for the rows `i`, and never beyond the window.
    ///
    /// @param dst bf16 `[window rows, hidden]`
    /// @param src bf16 `[rows, hidden]`
    /// @param step address of the step block
    /// @param rows of `dst`
    public void launch(Stream stream, Matrix dst, Matrix src, long step, Rows rows) {
        function.begin()
                .address(dst.address())
                .address(src.address())
                .address(step)
                .rows(rows)
                .int32(dst.cols())
                .int32(dst.stride())
                .int32(src.stride())
                .int32(0)
                .launch(stream, rows.count(), 1, 1);
    }
}
