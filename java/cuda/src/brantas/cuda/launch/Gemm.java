package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// `y[row] = W · x[row]` for many rows: the kernels of `gemm.cu`. Grid: one block a tile of 128
/// rows by 128 outputs where that gives every multiprocessor a tile, else of 64 by 64; the choice
/// does not show in the result.
public final class Gemm {
    /// What becomes of the fp32 sums; also for [Gemv].
    public enum Result {
        /// `dst = bf16(sum)`.
        BF16(0),
        /// `dst = bf16(dst + sum)`, dst bf16.
        ADD(1),
        /// `dst = sum`, dst fp32.
        F32(2);

        /// Place of its kernels among those of a launcher.
        final int place;

        Result(int place) {
            this.place = place;
        }

        String tag() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private static final int LARGE = 128;
    private static final int SMALL = 64;

    static final List<Kernel> KERNELS = kernels();

    private final List<Function> functions = new ArrayList<>();
    private final int multiprocessors;

    /// @param multiprocessors of the device that the module is loaded on
    public Gemm(Module module, int multiprocessors) {
        for (Kernel kernel : KERNELS) {
            functions.add(module.function(kernel));
        }
        this.multiprocessors = multiprocessors;
    }

    /// `dst[row] = weight · x[row]`, or what `result` says.
    ///
    /// @param dst `[rows, out]`, bf16 or fp32 by `result`
    /// @param x bf16 `[rows, in]`
    /// @param weight bf16 `[out, in]`
    public void launch(
            Stream stream, Result result, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        boolean large = rows.count() > SMALL && tiles(LARGE, rows, weight) >= multiprocessors;
        Function function = functions.get(2 * result.place + (large ? 0 : 1));
        arguments(function, dst, x, weight, rows);
        int blocks = Math.toIntExact(tiles(large ? LARGE : SMALL, rows, weight));
        function.launch(stream, blocks, 1, 1);
    }

    private static long tiles(int size, Rows rows, Matrix weight) {
        return (long) Math.ceilDiv(rows.count(), size) * Math.ceilDiv(weight.rows(), size);
    }

    private static List<Kernel> kernels() {
        List<Kernel> all = new ArrayList<>();
        for (Result result : Result.values()) {
            all.add(kernel("gemm_" + result.tag() + "_" + LARGE, 49152));
            all.add(kernel("gemm_" + result.tag() + "_" + SMALL, 32768));
        }
        return List.copyOf(all);
    }

    /// [Gemv] takes the same arguments.
    static Kernel kernel(String name, int sharedBytes) {
        return Kernel.named(name)
                .address("dst")
                .address("x")
                .address("weight")
                .rows("rows")
                .int32("dst_stride")
                .int32("x_stride")
                .int32("weight_stride")
                .int32("depth")
                .int32("outputs")
                .int32("padding")
                .block(128)
                .shared(sharedBytes)
                .build();
    }

    static void arguments(Function function, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (x.cols() != weight.cols() || dst.cols() != weight.rows()) {
            throw new IllegalArgumentException(
                    "A weight ["
                            + weight.rows()
                            + ", "
                            + weight.cols()
                            + "] takes no rows of "
                            + x.cols()
                            + " to rows of "
                            + dst.cols());
        }
        function.begin()
                .address(dst.address())
                .address(x.address())
                .address(weight.address())
                .rows(rows)
                .int32(dst.stride())
                .int32(x.stride())
                .int32(weight.stride())
                .int32(depth(weight))
                .int32(weight.rows())
                .int32(0);
    }

    /// Columns in whole 16-byte pieces.
    static int depth(Matrix weight) {
        return Math.ceilDiv(weight.cols(), 8) * 8;
    }
}
