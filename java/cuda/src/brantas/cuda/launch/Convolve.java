package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The causal convolution before the delta rule: the kernels of `convolve.cu`, one for sequences
/// with one row, one for longer ones. Grid: x one block a row or a tile of tokens, y one a span of
/// 256 channels.
public final class Convolve {
    /// Tokens of a tile of [#launchChunk].
    public static final int TILE = 32;

    private static final int BLOCK = 128;

    /// Channels of a block.
    private static final int SPAN = 2 * BLOCK;

    private static final Kernel STEP =
            Kernel.named("convolve_step")
                    .address("dst")
                    .address("projected")
                    .address("weight")
                    .address("window")
                    .address("step")
                    .rows("rows")
                    .int32("channels")
                    .int32("dst_stride")
                    .int32("projected_stride")
                    .int32("padding")
                    .block(BLOCK)
                    .build();
    private static final Kernel CHUNK =
            Kernel.named("convolve_chunk")
                    .address("dst")
                    .address("projected")
                    .address("weight")
                    .address("window")
                    .address("step")
                    .int32("channels")
                    .int32("dst_stride")
                    .int32("projected_stride")
                    .int32("padding")
                    .block(BLOCK)
                    .build();
    static final List<Kernel> KERNELS = List.of(STEP, CHUNK);

    private final Function step;
    private final Function chunk;

    public Convolve(Module module) {
        step = module.function(STEP);
        chunk = module.function(CHUNK);
    }

    /// What the kernels read and write.
    ///
    /// @param dst bf16 `[rows, channels]`
    /// @param projected bf16 `[rows, shape.projected()]`, channels first
    /// @param weight address of fp32 `[channels, 4]`
    /// @param window address of bf16 `[slot, 3, channels]`, oldest first
    public record Operands(Matrix dst, Matrix projected, long weight, long window) {}

    /// The sequences with one row: row and sequence are the same number.
    ///
    /// @param stepBlock address of the step block
    /// @param rows of single sequences
    public void launchStep(Stream stream, Operands operands, long stepBlock, Rows rows) {
        begin(step, operands, stepBlock).rows(rows);
        finish(step, operands).launch(stream, rows.count(), spans(operands), 1);
    }

    /// The sequences with several rows, as the step block lists them; their last three inputs
    /// become the new window.
    ///
    /// @param stepBlock address of the step block
    /// @param tiles at least the sum over these sequences of their rows / [#TILE], rounded up
    public void launchChunk(Stream stream, Operands operands, long stepBlock, int tiles) {
        begin(chunk, operands, stepBlock);
        finish(chunk, operands).launch(stream, tiles, spans(operands), 1);
    }

    private static Function begin(Function function, Operands operands, long stepBlock) {
        return function.begin()
                .address(operands.dst().address())
                .address(operands.projected().address())
                .address(operands.weight())
                .address(operands.window())
                .address(stepBlock);
    }

    private static Function finish(Function function, Operands operands) {
        return function.int32(operands.dst().cols())
                .int32(operands.dst().stride())
                .int32(operands.projected().stride())
                .int32(0);
    }

    private static int spans(Operands operands) {
        return Math.ceilDiv(operands.dst().cols(), SPAN);
    }
}
