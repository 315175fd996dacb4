package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.ArrayList;
import java.util.List;

/// `y[row] = W · x[row]` for rows that are alone in their sequence: the kernels of `gemv.cu`.
/// Weights are read once for 1, 2, 4 or 8 rows, by the rows that the launch has room for; the
/// choice does not show in the result. Grid: groups of rows × blocks of 16 outputs, the groups that
/// share weights side by side.
public final class Gemv {
    private static final List<Integer> TOGETHER = List.of(1, 2, 4, 8);
    private static final int OUTPUTS = 16;

    static final List<Kernel> KERNELS = kernels();

    private final List<Function> functions = new ArrayList<>();

    public Gemv(Module module) {
        for (Kernel kernel : KERNELS) {
            functions.add(module.function(kernel));
        }
    }

    /// `dst[row] = weight · x[row]`, or what `result` says.
    ///
    /// @param dst `[rows, out]`, bf16 or fp32 by `result`
    /// @param x bf16 `[rows, in]`
    /// @param weight bf16 `[out, in]`
    public void launch(
            Stream stream, Gemm.Result result, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        int variant = 0;
        while (variant < TOGETHER.size() - 1 && TOGETHER.get(variant) < rows.count()) {
            variant++;
        }
        Function function = functions.get(TOGETHER.size() * result.place + variant);
        Gemm.arguments(function, dst, x, weight, rows);
        int groups = Math.ceilDiv(rows.count(), TOGETHER.get(variant));
        function.launch(stream, groups * Math.ceilDiv(weight.rows(), OUTPUTS), 1, 1);
    }

    private static List<Kernel> kernels() {
        List<Kernel> all = new ArrayList<>();
        for (Gemm.Result result : Gemm.Result.values()) {
            for (int rows : TOGETHER) {
                all.add(Gemm.kernel("gemv_" + result.tag() + "_" + rows, 0));
            }
        }
        return List.copyOf(all);
    }
}
