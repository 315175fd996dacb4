package brantas.cuda.bench;

import java.util.List;

/// How many rows and positions kernels are measured with.
///
/// @param context positions of a sequence that decodes
/// @param prompt rows of a prompt's step
/// @param scans rows of prompts for the delta rule alone
/// @param batches sequences that decode together, for the delta rule alone
/// @param longContext positions for attention alone
/// @param square sides of a dense product
record Lengths(
        int context,
        int prompt,
        List<Integer> scans,
        List<Integer> batches,
        int longContext,
        int square) {
    /// As others publish them.
    static final Lengths PUBLISHED =
            new Lengths(
                    4_096,
                    8_192,
                    List.of(2_048, 8_192, 32_768),
                    List.of(1, 32, 128),
                    32_768,
                    4_096);

    /// Small, for the emulated device.
    static final Lengths TINY = new Lengths(40, 24, List.of(40), List.of(1, 3), 70, 64);

    /// For comparing results rather than times.
    static final Lengths SHORT = new Lengths(1_024, 512, List.of(512), List.of(4), 4_096, 512);
}
