package brantas.format;

import brantas.format.JsonFile.Section;
import java.util.Set;

/// Shape of the vision tower and the token ids that stand for its output (specification §1.2, §1.4
/// and §7). Numbers only.
///
/// @param depth blocks
/// @param width channels of a patch
/// @param inner inner width of a block's MLP
/// @param heads attention heads
/// @param patch geometry of one patch
/// @param positions rows of the learned position table, a square number
/// @param out channels handed to the text model
/// @param tokens ids of the placeholders
public record VisionConfig(
        int depth,
        int width,
        int inner,
        int heads,
        Patch patch,
        int positions,
        int out,
        Tokens tokens) {

    /// What one patch is cut from.
    ///
    /// @param channels colour channels
    /// @param size pixels of an edge
    /// @param frames frames taken together
    /// @param merge patches of an edge that become one token
    public record Patch(int channels, int size, int frames, int merge) {
        /// Values of one flattened patch.
        public int values() {
            return channels * frames * size * size;
        }
    }

    /// Token ids: one per merged patch of an image or a video, and the marks around them.
    public record Tokens(int image, int video, int start, int end) {}

    private static final Set<String> TYPES =
            Set.of("qwen3_5", "qwen3_5_vision", "qwen3_5_moe", "qwen3_5_moe_vision");

    /// Channels of four (`merge²`) patches side by side.
    public int mergedWidth() {
        return width * patch.merge * patch.merge;
    }

    /// Reads `vision_config`; the token ids come from the root.
    static VisionConfig read(Section root, Section vision, int textWidth) {
        checkKind(vision);
        int width = vision.count("hidden_size", ConfigReader.MAX_WIDTH);
        int heads = vision.count("num_heads", ConfigReader.MAX_HEADS);
        if (width % heads != 0 || width / heads % 4 != 0) {
            throw vision.wrong(
                    "num_heads", "a divisor of hidden_size = " + width + " with heads of 4·n");
        }
        int positions = vision.count("num_position_embeddings", 1 << 20);
        int side = (int) Math.round(Math.sqrt(positions));
        if (side * side != positions) {
            throw vision.wrong("num_position_embeddings", "a square number");
        }
        int out = vision.count("out_hidden_size", ConfigReader.MAX_WIDTH);
        if (out != textWidth) {
            throw vision.wrong("out_hidden_size", "the text model's hidden_size, " + textWidth);
        }
        return new VisionConfig(
                vision.count("depth", ConfigReader.MAX_LAYERS),
                width,
                vision.count("intermediate_size", ConfigReader.MAX_WIDTH),
                heads,
                patch(vision),
                positions,
                out,
                new Tokens(
                        token(root, "image_token_id"),
                        token(root, "video_token_id"),
                        token(root, "vision_start_token_id"),
                        token(root, "vision_end_token_id")));
    }

    private static void checkKind(Section vision) {
        if (vision.text("model_type").filter(t -> !TYPES.contains(t)).isPresent()) {
            throw vision.unsupported("model_type", "qwen3_5 and qwen3_5_moe towers");
        }
        if (vision.text("hidden_act").filter(a -> !a.equals("gelu_pytorch_tanh")).isPresent()) {
            throw vision.unsupported("hidden_act", "gelu_pytorch_tanh");
        }
        if (!vision.numbers("deepstack_visual_indexes").isEmpty()) {
            throw vision.unsupported("deepstack_visual_indexes", "towers without deepstack");
        }
    }

    private static Patch patch(Section vision) {
        return new Patch(
                vision.count("in_channels", 16),
                vision.count("patch_size", 256),
                vision.count("temporal_patch_size", 16),
                vision.count("spatial_merge_size", 16));
    }

    private static int token(Section root, String key) {
        return root.whole(key, 0, ConfigReader.MAX_VOCABULARY).orElseThrow(() -> root.missing(key));
    }
}
