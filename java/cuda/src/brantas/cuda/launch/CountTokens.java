package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Counts of tokens for the penalties of sampling: the kernel of `count_tokens.cu`. Grid: one
/// thread a row.
public final class CountTokens {
    private static final int THREADS = 256;

    private static final Kernel KERNEL =
            Kernel.named("count_tokens")
                    .address("counts")
                    .address("step")
                    .rows("rows")
                    .int32("vocabulary")
                    .int32("stride")
                    .block(THREADS)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public CountTokens(Module module) {
        function = module.function(KERNEL);
    }

    /// Counts the step's tokens, where their sequence asks for it, in its slot.
    ///
    /// @param counts u32 `[slots, vocabulary]`: the top bit for a token of the prompt, below it how
    ///   often the token was generated; zero for a new sequence
    /// @param step address of the step block
    /// @param rows of the step
    public void launch(Stream stream, Matrix counts, long step, Rows rows) {
        function.begin()
                .address(counts.address())
                .address(step)
                .rows(rows)
                .int32(counts.cols())
                .int32(counts.stride())
                .launch(stream, Math.ceilDiv(rows.count(), THREADS), 1, 1);
    }
}
