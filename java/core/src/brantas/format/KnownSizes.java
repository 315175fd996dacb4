package brantas.format;

import brantas.format.FeedForwardConfig.Dense;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.ModelConfig.AttentionConfig;
import brantas.format.ModelConfig.DeltaConfig;
import brantas.format.ModelConfig.Tie;
import brantas.format.VisionConfig.Patch;
import brantas.format.VisionConfig.Tokens;
import brantas.settings.BrantasException;
import java.util.List;
import java.util.Optional;

/// The published sizes of the family by name (specification §1.3–1.5), so that something can be
/// planned or measured without a checkpoint. Reading a checkpoint never consults this table.
public final class KnownSizes {
    private static final int VOCABULARY = 248_320;
    private static final int END = 248_044;

    /// One row of the table: what differs between the sizes.
    private record Size(
            String name,
            int hidden,
            int layers,
            int heads,
            int kvHeads,
            int valueHeads,
            FeedForwardConfig feedForward,
            boolean tied,
            Tower tower) {}

    /// Depth, width, inner width and heads of a vision tower.
    private enum Tower {
        NONE(0, 0, 0, 0),
        SMALL(12, 768, 3_072, 12),
        MIDDLE(24, 1_024, 4_096, 16),
        LARGE(27, 1_152, 4_304, 16);

        private final int depth;
        private final int width;
        private final int inner;
        private final int heads;

        Tower(int depth, int width, int inner, int heads) {
            this.depth = depth;
            this.width = width;
            this.inner = inner;
            this.heads = heads;
        }
    }

    private static final List<Size> SIZES =
            List.of(
                    new Size("0.8B", 1024, 24, 8, 2, 16, new Dense(3_584), true, Tower.SMALL),
                    new Size("2B", 2048, 24, 8, 2, 16, new Dense(6_144), true, Tower.MIDDLE),
                    new Size("4B", 2560, 32, 16, 4, 32, new Dense(9_216), true, Tower.MIDDLE),
                    new Size("9B", 4096, 32, 16, 4, 32, new Dense(12_288), false, Tower.LARGE),
                    new Size("27B", 5120, 64, 24, 4, 48, new Dense(17_408), false, Tower.LARGE),
                    new Size(
                            "35B-A3B",
                            2048,
                            40,
                            16,
                            2,
                            32,
                            new Experts(256, 8, 512, 512),
                            false,
                            Tower.LARGE),
                    new Size(
                            "122B-A10B",
                            3072,
                            48,
                            32,
                            2,
                            64,
                            new Experts(256, 8, 1_024, 1_024),
                            false,
                            Tower.LARGE),
                    new Size(
                            "397B-A17B",
                            4096,
                            60,
                            32,
                            2,
                            64,
                            new Experts(512, 10, 1_024, 1_024),
                            false,
                            Tower.LARGE),
                    new Size(
                            "moe-small",
                            1024,
                            8,
                            8,
                            2,
                            16,
                            new Experts(64, 8, 512, 512),
                            true,
                            Tower.NONE));

    private KnownSizes() {}

    /// The names that `config` knows, smallest first; `moe-small` is no release but a mixture of
    /// experts for measurements on small machines.
    public static List<String> names() {
        return SIZES.stream().map(Size::name).toList();
    }

    /// The configuration of a size.
    ///
    /// @throws BrantasException if there is none of that name
    public static ModelConfig config(String name) {
        return SIZES.stream()
                .filter(size -> size.name.equals(name))
                .findFirst()
                .map(KnownSizes::config)
                .orElseThrow(() ->
                        new BrantasException(
                                "no known size is named "
                                        + JsonFile.quote(name)
                                        + "; choose one of "
                                        + String.join(", ", names())
                                        + "."));
    }

    private static ModelConfig config(Size size) {
        boolean vision = size.tower != Tower.NONE;
        RopeConfig rope = new RopeConfig(1e7, 64, new int[] {11, 11, 10}, Optional.empty());
        return new ModelConfig(
                (size.feedForward instanceof Experts ? "Qwen3_5Moe" : "Qwen3_5")
                        + (vision ? "ForConditionalGeneration" : "ForCausalLM"),
                vision ? "model.language_model." : "model.",
                size.hidden,
                ConfigReader.byInterval(size.layers, 4),
                VOCABULARY,
                1e-6,
                262_144,
                new AttentionConfig(size.heads, size.kvHeads, 256, rope),
                new DeltaConfig(16, size.valueHeads, 128, 128, 4),
                size.feedForward,
                size.tied ? Tie.TIED : Tie.SEPARATE,
                List.of(END),
                1,
                vision ? Optional.of(vision(size.tower, size.hidden)) : Optional.empty());
    }

    private static VisionConfig vision(Tower tower, int out) {
        return new VisionConfig(
                tower.depth,
                tower.width,
                tower.inner,
                tower.heads,
                new Patch(3, 16, 2, 2),
                2_304,
                out,
                new Tokens(248_056, 248_057, 248_053, 248_054));
    }
}
