package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// The gated delta rule for sequences with one row: the kernel of `delta_step.cu`. Grid: x slices
/// of 16 value rows, y value heads, z rows; the slices of a head come one after the other, as its
/// state lies in memory.
public final class DeltaStep {
    /// Value rows of a block.
    private static final int SLICE = 16;

    private static final Kernel KERNEL =
            Kernel.named("delta_step")
                    .address("step")
                    .address("dst")
                    .address("convolved")
                    .address("projected")
                    .address("log_rate")
                    .address("bias")
                    .address("state")
                    .rows("rows")
                    .int32("key_heads")
                    .int32("value_heads")
                    .int32("dst_stride")
                    .int32("convolved_stride")
                    .int32("projected_stride")
                    .int32("padding")
                    .block(128)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public DeltaStep(Module module) {
        function = module.function(KERNEL);
    }

    /// Moves each sequence's state by one token and writes what it answers.
    ///
    /// @param stepBlock address of the step block
    /// @param rows of single sequences: row and sequence are the same number
    public void launch(Stream stream, DeltaOperands operands, long stepBlock, Rows rows) {
        function.begin()
                .address(stepBlock)
                .address(operands.dst().address())
                .address(operands.convolved().address())
                .address(operands.projected().address())
                .address(operands.logRate())
                .address(operands.bias())
                .address(operands.state())
                .rows(rows)
                .int32(operands.shape().keyHeads())
                .int32(operands.shape().valueHeads())
                .int32(operands.dst().stride())
                .int32(operands.convolved().stride())
                .int32(operands.projected().stride())
                .int32(0)
                .launch(
                        stream,
                        DeltaOperands.DIM / SLICE,
                        operands.shape().valueHeads(),
                        rows.count());
    }
}
