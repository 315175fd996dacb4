package brantas.cuda.launch;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.op.DeltaShape;
import java.util.ArrayList;
import java.util.List;

/// `y[row] = W · x[row]` for rows that are alone in their sequence: the kernels of `gemv.cu`. The
/// plain ones read weights once for 8, 16 or 32 rows, as the [LaunchTable] says; those that norm
/// their rows first take up to [#fusedRows] of them. No choice shows in the result. Grid: groups of
/// rows × blocks for tiles of 16 outputs, the groups that share weights side by side.
public final class Gemv {
    /// Rows that a kernel with a norm takes together, at most.
    public static final int FUSED_ROWS = 4;

    private static final int OUTPUTS = 16;
    private static final int BLOCK = 256;
    private static final int STEP = 64;
    private static final int VALUE_DIM = 128;

    /// Shared memory for the sums of the warps: of eight rows.
    private static final int SUMS = 4096;

    /// Shared memory of a kernel with a norm besides its rows.
    private static final int STAGED = 4224;

    /// Shared memory that every device gives a block.
    private static final int MOST_SHARED = 99 << 10;

    private static final List<Integer> TOGETHER = LaunchTable.Family.GEMV.variants();

    private static final Kernel NORM = normed("gemv_norm_bf16", false);
    private static final Kernel SWIGLU = normed("gemv_norm_swiglu", false);
    private static final Kernel LOGITS = normed("gemv_norm_f32", true);
    private static final Kernel GATED =
            Kernel.named("gemv_gated_add")
                    .address("dst")
                    .address("o")
                    .address("projected")
                    .address("norm")
                    .address("weight")
                    .rows("rows")
                    .int32("dst_stride")
                    .int32("o_stride")
                    .int32("projected_stride")
                    .int32("weight_stride")
                    .int32("heads")
                    .int32("z")
                    .int32("outputs")
                    .float32("eps")
                    .block(BLOCK)
                    .sharedVariable()
                    .build();
    static final List<Kernel> KERNELS = kernels();

    private final List<Function> functions = new ArrayList<>();
    private final Function norm;
    private final Function swiGlu;
    private final Function logits;
    private final Function gated;
    private final List<LaunchTable.Choice> choices;
    private final int multiprocessors;

    /// @param device that the module is loaded on
    public Gemv(Module module, DeviceInfo device) {
        this(module, device, LaunchTable.read());
    }

    /// @param device that the module is loaded on
    /// @param table instead of the one that Brantas comes with
    public Gemv(Module module, DeviceInfo device, LaunchTable table) {
        for (Kernel kernel : KERNELS.subList(0, Gemm.Result.values().length * TOGETHER.size())) {
            functions.add(module.function(kernel));
        }
        norm = module.function(NORM);
        swiGlu = module.function(SWIGLU);
        logits = module.function(LOGITS);
        gated = module.function(GATED);
        choices = table.choices(LaunchTable.Family.GEMV, device.capability());
        multiprocessors = device.multiprocessors();
    }

    /// Rows on their way through an RMSNorm.
    ///
    /// @param x bf16 `[rows, in]`
    /// @param norm address of fp32 `[in]`, the deviation from one
    public record Normed(Matrix x, long norm, float eps) {}

    /// Rows on their way through the gated norm behind the delta rule.
    ///
    /// @param o bf16 `[rows, valueWidth]`
    /// @param projected bf16 `[rows, shape.projected()]`, for z
    /// @param norm address of fp32 `[valueDim]`, not zero-centred
    public record Gated(Matrix o, Matrix projected, long norm, DeltaShape shape) {}

    /// Rows of so many values that a launch with a norm may have, 0 to [#FUSED_ROWS]: for more, the
    /// norm on its own and [#launch] give the same.
    public static int fusedRows(int depth) {
        return Math.min(FUSED_ROWS, (MOST_SHARED - STAGED) / stagedBytes(depth));
    }

    /// `dst[row] = weight · x[row]`, or what `result` says.
    ///
    /// @param dst `[rows, out]`, bf16 or fp32 by `result`; `[rows, out / 2]` for SwiGLU
    /// @param x bf16 `[rows, in]`
    /// @param weight bf16 `[out, in]`
    public void launch(
            Stream stream, Gemm.Result result, Matrix dst, Matrix x, Matrix weight, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        int together = choice(rows).variant();
        Function function =
                functions.get(TOGETHER.size() * result.place + TOGETHER.indexOf(together));
        Gemm.checkShapes(result, dst, x, weight);
        Gemm.arguments(function, dst, x, weight, rows);
        int groups = Math.ceilDiv(rows.count(), together);
        function.launch(stream, groups * tileBlocks(weight, rows), 1, 1);
    }

    /// `dst[row] = weight · norm(x[row])`.
    ///
    /// @param dst bf16 `[rows, out]`
    /// @param weight bf16 `[out, in]`
    public void normed(Stream stream, Matrix dst, Normed x, Matrix weight, Rows rows) {
        Gemm.checkShapes(Gemm.Result.BF16, dst, x.x(), weight);
        launchNormed(norm, stream, dst, x, weight, rows);
    }

    /// `dst[row] = SiLU(gate) · up` of `weight · norm(x[row])`.
    ///
    /// @param dst bf16 `[rows, inner]`
    /// @param weight bf16 `[2 · inner, in]`, in groups of 8 rows for gate and 8 for up
    public void normedSwiGlu(Stream stream, Matrix dst, Normed x, Matrix weight, Rows rows) {
        Gemm.checkShapes(Gemm.Result.SWIGLU, dst, x.x(), weight);
        launchNormed(swiGlu, stream, dst, x, weight, rows);
    }

    /// `dst[i] = weight · norm(x[output_row[window_from + i]])` for the rows `i`, and never beyond
    /// the window.
    ///
    /// @param dst fp32 `[window rows, out]`
    /// @param weight bf16 `[out, in]`
    /// @param step address of the step block
    /// @param rows of `dst`
    public void logits(Stream stream, Matrix dst, Normed x, Matrix weight, long step, Rows rows) {
        Gemm.checkShapes(Gemm.Result.F32, dst, x.x(), weight);
        logits.begin()
                .address(dst.address())
                .address(x.x().address())
                .address(x.norm())
                .address(weight.address())
                .address(step);
        finish(logits, stream, dst, x, weight, rows);
    }

    /// `dst[row] += weight · gatedNorm(o[row])`.
    ///
    /// @param dst bf16 `[rows, out]`
    /// @param weight bf16 `[out, valueWidth]`
    public void gated(Stream stream, Matrix dst, Gated x, Matrix weight, Rows rows) {
        DeltaShape shape = x.shape();
        if (shape.valueDim() != VALUE_DIM) {
            throw new IllegalArgumentException(
                    "gemv_gated_add is built for value heads of 128, not of " + shape.valueDim());
        }
        Gemm.checkShapes(Gemm.Result.ADD, dst, x.o(), weight);
        gated.begin()
                .address(dst.address())
                .address(x.o().address())
                .address(x.projected().address())
                .address(x.norm())
                .address(weight.address())
                .rows(rows)
                .int32(dst.stride())
                .int32(x.o().stride())
                .int32(x.projected().stride())
                .int32(weight.stride())
                .int32(shape.valueHeads())
                .int32(shape.z())
                .int32(weight.rows())
                .float32(shape.eps());
        launchStaged(gated, stream, weight, rows);
    }

    private void launchNormed(
            Function function, Stream stream, Matrix dst, Normed x, Matrix weight, Rows rows) {
        function.begin()
                .address(dst.address())
                .address(x.x().address())
                .address(x.norm())
                .address(weight.address());
        finish(function, stream, dst, x, weight, rows);
    }

    private void finish(
            Function function, Stream stream, Matrix dst, Normed x, Matrix weight, Rows rows) {
        function.rows(rows)
                .int32(dst.stride())
                .int32(x.x().stride())
                .int32(weight.stride())
                .int32(weight.cols())
                .int32(weight.rows())
                .float32(x.eps());
        launchStaged(function, stream, weight, rows);
    }

    private void launchStaged(Function function, Stream stream, Matrix weight, Rows rows) {
        if (rows.count() > fusedRows(weight.cols())) {
            throw new IllegalArgumentException(
                    function.kernel().name()
                            + " takes "
                            + fusedRows(weight.cols())
                            + " rows of "
                            + weight.cols()
                            + " at most, not "
                            + rows.count());
        }
        if (rows.count() > 0) {
            int shared = STAGED + rows.count() * stagedBytes(weight.cols());
            function.launch(stream, tileBlocks(weight, rows), 1, 1, shared);
        }
    }

    private LaunchTable.Choice choice(Rows rows) {
        return LaunchTable.pick(choices, rows.count());
    }

    /// Blocks of a group of rows.
    private int tileBlocks(Matrix weight, Rows rows) {
        int tiles = Math.ceilDiv(weight.rows(), OUTPUTS);
        int each = Math.max(1, tiles / (choice(rows).blocks() * multiprocessors));
        return Math.ceilDiv(tiles, each);
    }

    /// Shared memory of a row with a norm: whole steps, and half a one against bank conflicts.
    static int stagedBytes(int depth) {
        return Short.BYTES * (Math.ceilDiv(depth, STEP) * STEP + STEP / 2);
    }

    private static Kernel normed(String name, boolean step) {
        Kernel.Builder builder =
                Kernel.named(name).address("dst").address("x").address("norm").address("weight");
        if (step) {
            builder.address("step");
        }
        return builder.rows("rows")
                .int32("dst_stride")
                .int32("x_stride")
                .int32("weight_stride")
                .int32("cols")
                .int32("outputs")
                .float32("eps")
                .block(BLOCK)
                .sharedVariable()
                .build();
    }

    private static List<Kernel> kernels() {
        List<Kernel> all = new ArrayList<>();
        for (Gemm.Result result : Gemm.Result.values()) {
            for (int rows : TOGETHER) {
                String name = "gemv_" + result.tag() + "_" + rows;
                all.add(Gemm.layout(name).block(BLOCK).shared(SUMS * rows / 8).build());
            }
        }
        all.addAll(List.of(NORM, SWIGLU, LOGITS, GATED));
        return List.copyOf(all);
    }
}
