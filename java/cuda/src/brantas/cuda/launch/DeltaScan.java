package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Second half of the chunked delta rule, the walk over each sequence's chunks: the kernels of
/// `delta_scan.cu`. Grid: x parts of a head's value rows, y value heads, z sequences. A warp owns
/// 16 value rows, and a block has as many warps as leave enough blocks for the device; results do
/// not depend on it.
public final class DeltaScan {
    /// Value rows of a warp.
    private static final int SLICE = 16;

    /// A choice of warps is good enough when it fills this much of the device.
    private static final double FULL = 0.7;

    private static final List<Integer> WARPS = List.of(4, 2, 1);
    private static final List<Kernel> CHUNK_64 =
            List.of(
                    kernel("delta_scan_c64_w4", 4, 104_480),
                    kernel("delta_scan_c64_w2", 2, 96_288),
                    kernel("delta_scan_c64_w1", 1, 92_192));
    private static final List<Kernel> CHUNK_32 =
            List.of(
                    kernel("delta_scan_c32_w4", 4, 48_160),
                    kernel("delta_scan_c32_w2", 2, 44_064),
                    kernel("delta_scan_c32_w1", 1, 42_016));
    private static final List<Kernel> EXACT = List.of(kernel("delta_scan_exact", 4, 54_304));
    static final List<Kernel> KERNELS = kernels();

    private final DeltaForm form;
    private final int multiprocessors;
    private final List<Function> functions;

    public DeltaScan(Module module, DeltaForm form, int multiprocessors) {
        this.form = form;
        this.multiprocessors = multiprocessors;
        List<Kernel> kernels =
                switch (form) {
                    case CHUNK_64 -> CHUNK_64;
                    case CHUNK_32 -> CHUNK_32;
                    case EXACT -> EXACT;
                };
        this.functions = kernels.stream().map(module::function).toList();
    }

    /// Runs the sequences with several rows through their chunks, from the states of their slots to
    /// the new ones, and writes what they answer.
    ///
    /// @param stepBlock address of the step block
    /// @param workspace as [DeltaPrepare] left it for this batch
    /// @param sequences with several rows at most
    public void launch(
            Stream stream,
            DeltaOperands operands,
            long stepBlock,
            DeltaWorkspace workspace,
            int sequences) {
        assert workspace.form() == form : workspace;
        boolean exact = form == DeltaForm.EXACT;
        Matrix convolved = operands.convolved();
        int choice = choice(operands.shape().valueHeads(), sequences);
        functions
                .get(choice)
                .begin()
                .address(stepBlock)
                .address(operands.dst().address())
                .address(exact ? convolved.address() : workspace.scaled())
                .address(convolved.address())
                .address(workspace.chunks())
                .address(operands.state())
                .int32(operands.shape().keyHeads())
                .int32(operands.shape().valueHeads())
                .int32(operands.dst().stride())
                .int32(exact ? convolved.stride() : 2 * operands.shape().keyWidth())
                .int32(convolved.stride())
                .int32(0)
                .launch(stream, parts(choice), operands.shape().valueHeads(), sequences);
    }

    /// The most warps a block, since they share the copies of keys and queries, that still occupy
    /// the device; if none does, the fewest.
    private int choice(int heads, int sequences) {
        int choice = 0;
        while (choice < functions.size() - 1
                && (long) heads * sequences * parts(choice) < FULL * multiprocessors) {
            choice++;
        }
        return choice;
    }

    private static int parts(int choice) {
        return DeltaOperands.DIM / (SLICE * WARPS.get(choice));
    }

    private static List<Kernel> kernels() {
        return List.of(CHUNK_64, CHUNK_32, EXACT).stream().flatMap(List::stream).toList();
    }

    private static Kernel kernel(String name, int warps, int sharedBytes) {
        return Kernel.named(name)
                .address("step")
                .address("dst")
                .address("scaled")
                .address("convolved")
                .address("chunks")
                .address("state")
                .int32("key_heads")
                .int32("value_heads")
                .int32("dst_stride")
                .int32("scaled_stride")
                .int32("convolved_stride")
                .int32("padding")
                .block(32 * warps)
                .shared(sharedBytes)
                .build();
    }
}
