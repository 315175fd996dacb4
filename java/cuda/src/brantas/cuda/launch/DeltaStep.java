package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The gated delta rule for sequences with one row, convolution included: the kernel of
/// `delta_step.cu`. Grid: x slices of 16 value rows, y value heads, z rows; the slices of a head
/// come one after the other, as its state lies in memory.
public final class DeltaStep {
    /// Value rows of a block.
    private static final int SLICE = 16;

    /// A head's q and k and a slice of its v, bf16.
    private static final int SHARED = 2 * (2 * DeltaOperands.DIM + SLICE);

    private static final Kernel KERNEL =
            Kernel.named("delta_step")
                    .address("step")
                    .address("dst")
                    .address("projected")
                    .address("weight")
                    .address("window")
                    .address("log_rate")
                    .address("bias")
                    .address("state")
                    .rows("rows")
                    .int32("key_heads")
                    .int32("value_heads")
                    .int32("dst_stride")
                    .int32("projected_stride")
                    .block(128)
                    .shared(SHARED)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public DeltaStep(Module module) {
        function = module.function(KERNEL);
    }

    /// The convolution in front of the rule.
    ///
    /// @param weight address of fp32 `[channels, 4]`
    /// @param window address of bf16 `[slot, 4, channels]`: the input of position p in place p mod 4
    public record Convolution(long weight, long window) {}

    /// Moves each sequence's window and state by one token and writes what it answers.
    ///
    /// @param operands of which the convolved rows are not touched
    /// @param stepBlock address of the step block
    /// @param rows of single sequences: row and sequence are the same number
    public void launch(
            Stream stream,
            DeltaOperands operands,
            Convolution convolution,
            long stepBlock,
            Rows rows) {
        function.begin()
                .address(stepBlock)
                .address(operands.dst().address())
                .address(operands.projected().address())
                .address(convolution.weight())
                .address(convolution.window())
                .address(operands.logRate())
                .address(operands.bias())
                .address(operands.state())
                .rows(rows)
                .int32(operands.shape().keyHeads())
                .int32(operands.shape().valueHeads())
                .int32(operands.dst().stride())
                .int32(operands.projected().stride())
                .launch(
                        stream,
                        DeltaOperands.DIM / SLICE,
                        operands.shape().valueHeads(),
                        rows.count());
    }
}
