package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import java.util.List;

/// First half of the chunked delta rule, without the state: the kernels of `delta_prepare.cu`.
/// Grid: as many chunks as the batch can have at most × key heads; blocks beyond the true number
/// end at once.
public final class DeltaPrepare {
    private static final Kernel CHUNK_64 = kernel("delta_prepare_c64", 256, 65_024);
    private static final Kernel CHUNK_32 = kernel("delta_prepare_c32", 128, 24_320);
    private static final Kernel EXACT = kernel("delta_prepare_exact", 128, 24_320);
    static final List<Kernel> KERNELS = List.of(CHUNK_64, CHUNK_32, EXACT);

    private final DeltaForm form;
    private final Function function;

    public DeltaPrepare(Module module, DeltaForm form) {
        this.form = form;
        this.function =
                module.function(
                        switch (form) {
                            case CHUNK_64 -> CHUNK_64;
                            case CHUNK_32 -> CHUNK_32;
                            case EXACT -> EXACT;
                        });
    }

    /// Fills the workspace from the sequences with several rows.
    ///
    /// @param stepBlock address of the step block
    /// @param rows of the batch at most
    /// @param sequences with several rows at most
    public void launch(
            Stream stream,
            DeltaOperands operands,
            long stepBlock,
            DeltaWorkspace workspace,
            int rows,
            int sequences) {
        assert workspace.form() == form : workspace;
        workspace.hold(rows, sequences);
        function.begin()
                .address(stepBlock)
                .address(operands.convolved().address())
                .address(operands.projected().address())
                .address(operands.logRate())
                .address(operands.bias())
                .address(workspace.scaled())
                .address(workspace.chunks())
                .int32(operands.shape().keyHeads())
                .int32(operands.shape().valueHeads())
                .int32(operands.convolved().stride())
                .int32(operands.projected().stride())
                .launch(stream, form.chunks(rows, sequences), operands.shape().keyHeads(), 1);
    }

    private static Kernel kernel(String name, int block, int sharedBytes) {
        return Kernel.named(name)
                .address("step")
                .address("convolved")
                .address("projected")
                .address("log_rate")
                .address("bias")
                .address("scaled")
                .address("chunks")
                .int32("key_heads")
                .int32("value_heads")
                .int32("convolved_stride")
                .int32("projected_stride")
                .block(block)
                .shared(sharedBytes)
                .build();
    }
}
