package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Draws tokens from logits: the kernel of `sample.cu`. Grid: one block a row of the window of
/// outputs.
public final class Sample {
    /// Sums of larger vocabularies might overflow.
    public static final int MOST_VOCABULARY = 1 << 19;

    /// Bit of the error word: a row had no finite logit.
    public static final int NO_CANDIDATE = 2;

    private static final Kernel KERNEL =
            Kernel.named("sample")
                    .address("tokens")
                    .address("logits")
                    .address("allowed")
                    .address("counts")
                    .address("step")
                    .address("error")
                    .int32("vocabulary")
                    .int32("logits_stride")
                    .int32("counts_stride")
                    .int32("padding")
                    .block(1024)
                    .shared(33184)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    /// What stays the same from step to step.
    ///
    /// @param tokens address of i32 `[outputs]`, the ids drawn, by output of the step
    /// @param allowed address of u32 `[⌈vocabulary / 32⌉]`: bit id mod 32 of word id / 32 says that
    ///   the id has a token; bits behind the vocabulary are zero
    /// @param counts u32 `[slots, vocabulary]`, from [CountTokens]
    /// @param error address of a u32, zero before: [#NO_CANDIDATE] is set by a row without a finite
    ///   logit, whose first id with a token is then taken
    public record Places(long tokens, long allowed, Matrix counts, long error) {}

    private final Function function;

    public Sample(Module module) {
        function = module.function(KERNEL);
    }

    /// Draws an id for each output of the step's window.
    ///
    /// @param logits fp32 `[outputs of the window, vocabulary]`; not changed
    /// @param step address of the step block, with how each output is drawn
    /// @param outputs of the window, at most
    public void launch(Stream stream, Places places, Matrix logits, long step, int outputs) {
        if (logits.cols() > MOST_VOCABULARY) {
            throw new IllegalArgumentException(
                    "The sampler on the GPU draws from vocabularies of up to "
                            + MOST_VOCABULARY
                            + " tokens, not from "
                            + logits.cols()
                            + ": let tokens be drawn on the host");
        }
        function.begin()
                .address(places.tokens())
                .address(logits.address())
                .address(places.allowed())
                .address(places.counts().address())
                .address(step)
                .address(places.error())
                .int32(logits.cols())
                .int32(logits.stride())
                .int32(places.counts().stride())
                .int32(0)
                .launch(stream, outputs, 1, 1);
    }
}
