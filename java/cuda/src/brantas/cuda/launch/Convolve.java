package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The causal convolution before the delta rule, of sequences with several rows: the kernel of
/// `convolve.cu`. Single rows have it in [DeltaStep]. Grid: x one block a tile of tokens, y one a
/// span of 256 channels.
public final class Convolve {
    /// Tokens of a tile.
    public static final int TILE = 32;

    private static final int BLOCK = 128;

    /// Channels of a block.
    private static final int SPAN = 2 * BLOCK;

    private static final Kernel KERNEL =
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
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public Convolve(Module module) {
        function = module.function(KERNEL);
    }

    /// What the kernel reads and writes.
    ///
    /// @param dst bf16 `[rows, channels]`
    /// @param projected bf16 `[rows, shape.projected()]`, channels first
    /// @param weight address of fp32 `[channels, 4]`
    /// @param window address of bf16 `[slot, 4, channels]`: the input of position p in place p mod 4
    public record Operands(Matrix dst, Matrix projected, long weight, long window) {}

    /// The sequences with several rows, as the step block lists them; their last three inputs go
    /// into the window.
    ///
    /// @param stepBlock address of the step block
    /// @param tiles at least the sum over these sequences of their rows / [#TILE], rounded up
    public void launch(Stream stream, Operands operands, long stepBlock, int tiles) {
        function.begin()
                .address(operands.dst().address())
                .address(operands.projected().address())
                .address(operands.weight())
                .address(operands.window())
                .address(stepBlock)
                .int32(operands.dst().cols())
                .int32(operands.dst().stride())
                .int32(operands.projected().stride())
                .int32(0)
                .launch(stream, tiles, Math.ceilDiv(operands.dst().cols(), SPAN), 1);
    }
}
