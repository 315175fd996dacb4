package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.ExpertGemv.Choice;
import java.util.List;

/// The weighted sum of the experts' outputs: the kernel of `expert_combine.cu`. Grid: x one block a
/// row, y one a span of 1024 columns.
public final class ExpertCombine {
    /// Columns of a block: 128 threads of eight.
    private static final int SPAN = 1024;

    private static final Kernel KERNEL =
            Kernel.named("expert_combine")
                    .address("dst")
                    .address("out")
                    .address("scales")
                    .address("gates")
                    .rows("rows")
                    .int32("dst_stride")
                    .int32("out_stride")
                    .int32("slots")
                    .int32("cols")
                    .block(128)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public ExpertCombine(Module module) {
        function = module.function(KERNEL);
    }

    /// `dst[row] += Σ scale · out[assignment] + gate · out[shared assignment]`.
    ///
    /// @param dst bf16 `[rows, hidden]`
    /// @param out fp32 `[rows.count() · (slots + 1), hidden]`: row · slots + slot counted from the
    ///   first of `rows`, the shared expert's rows behind
    /// @param choice the rows' weights, from [Route]
    public void launch(Stream stream, Matrix dst, Matrix out, Choice choice, Rows rows) {
        function.begin()
                .address(dst.address())
                .address(out.address())
                .address(choice.scales())
                .address(choice.gates())
                .rows(rows)
                .int32(dst.stride())
                .int32(out.stride())
                .int32(choice.slots())
                .int32(dst.cols())
                .launch(stream, rows.count(), Math.ceilDiv(dst.cols(), SPAN), 1);
    }
}
