package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Zero-centred RMSNorm of rows: the kernel of `rms_norm.cu`. Grid: one block a row.
public final class RmsNorm {
    private static final Kernel KERNEL =
            Kernel.named("rms_norm")
                    .address("dst")
                    .address("x")
                    .address("weight")
                    .rows("rows")
                    .int32("cols")
                    .int32("dst_stride")
                    .int32("x_stride")
                    .float32("eps")
                    .block(256)
                    .shared(32)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public RmsNorm(Module module) {
        function = module.function(KERNEL);
    }

    /// `dst = x · rsqrt(mean(x²) + eps) · (1 + weight)`.
    ///
    /// @param dst bf16 `[rows, hidden]`, may be `x`
    /// @param x bf16 `[rows, hidden]`
    /// @param weight address of fp32 `[hidden]`, the deviation from one
    public void launch(Stream stream, Matrix dst, Matrix x, long weight, Rows rows, float eps) {
        function.begin()
                .address(dst.address())
                .address(x.address())
                .address(weight)
                .rows(rows)
                .int32(dst.cols())
                .int32(dst.stride())
                .int32(x.stride())
                .float32(eps)
                .launch(stream, rows.count(), 1, 1);
    }
}
