package brantas.cuda.launch;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// `y[row] = W · x[row]` for many rows: the kernels of `gemm.cu`. Grid: one block a tile of 128
/// rows by 128 outputs or of 64 by 64, as the [LaunchTable] says; the choice does not show in the
/// result.
public final class Gemm {
    /// What becomes of the fp32 sums; also for [Gemv].
    public enum Result {
        /// `dst = bf16(sum)`.
        BF16(0),
        /// `dst = bf16(dst + sum)`, dst bf16.
        ADD(1),
        /// `dst = sum`, dst fp32.
        F32(2),
        /// `dst = bf16(SiLU(gate) · up)`, dst bf16 of half as many columns as the weight has rows;
        /// these lie in groups of 8 for gate and 8 for up.
        SWIGLU(3);

        /// Place of its kernels among those of a launcher.
        final int place;

        Result(int place) {
            this.place = place;
        }

        String tag() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private static final List<Integer> TILES = LaunchTable.Family.GEMM.variants();

    /// Of a block, by tile.
    private static final Map<Integer, Integer> SHARED = Map.of(64, 32768, 128, 49152);

    static final List<Kernel> KERNELS = kernels();

    private final List<Function> functions = new ArrayList<>();
    private final List<LaunchTable.Choice> choices;
    private final int multiprocessors;

    /// @param device that the module is loaded on
    public Gemm(Module module, DeviceInfo device) {
        for (Kernel kernel : KERNELS) {
            functions.add(module.function(kernel));
        }
        choices = LaunchTable.read().choices(LaunchTable.Family.GEMM, device.capability());
        multiprocessors = device.multiprocessors();
    }

    /// `dst[row] = weight · x[row]`, or what `result` says.
    ///
    /// @param dst `[rows, out]`, bf16 or fp32 by `result`; `[rows, out / 2]` for SwiGLU
    /// @param x bf16 `[rows, in]`
    /// @param weight bf16 `[out, in]`
    public void launch(
            Stream stream, Result result, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        LaunchTable.Choice choice = LaunchTable.pick(choices, rows.count());
        long fewest = (long) choice.blocks() * multiprocessors;
        int variant = TILES.indexOf(choice.variant());
        while (variant > 0 && tiles(TILES.get(variant), rows, weight) < fewest) {
            variant--;
        }
        Function function = functions.get(TILES.size() * result.place + variant);
        checkShapes(result, dst, x, weight);
        arguments(function, dst, x, weight, rows);
        int blocks = Math.toIntExact(tiles(TILES.get(variant), rows, weight));
        function.launch(stream, blocks, 1, 1);
    }

    private static long tiles(int size, Rows rows, Matrix weight) {
        return (long) Math.ceilDiv(rows.count(), size) * Math.ceilDiv(weight.rows(), size);
    }

    private static List<Kernel> kernels() {
        List<Kernel> all = new ArrayList<>();
        for (Result result : Result.values()) {
            for (int tile : TILES) {
                String name = "gemm_" + result.tag() + "_" + tile;
                all.add(layout(name).block(128).shared(SHARED.getOrDefault(tile, 0)).build());
            }
        }
        return List.copyOf(all);
    }

    /// [Gemv] takes the same arguments.
    static Kernel.Builder layout(String name) {
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
                .int32("padding");
    }

    static void checkShapes(Result result, Matrix dst, Matrix x, Matrix weight) {
        int outputs = result == Result.SWIGLU ? Math.ceilDiv(dst.cols(), 8) * 16 : dst.cols();
        if (x.cols() != weight.cols() || outputs != weight.rows()) {
            throw new IllegalArgumentException(
                    "A weight ["
                            + weight.rows()
                            + ", "
                            + weight.cols()
                            + "] takes no rows of "
                            + x.cols()
                            + " to rows of "
                            + dst.cols()
                            + " ("
                            + result
                            + ")");
        }
    }

    static void arguments(Function function, Matrix dst, Matrix x, Matrix weight, Rows rows) {
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
