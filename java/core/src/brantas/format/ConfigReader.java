package brantas.format;

import brantas.format.JsonFile.Section;
import brantas.format.ModelConfig.AttentionConfig;
import brantas.format.ModelConfig.DeltaConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.format.ModelConfig.Tie;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// `config.json` → `ModelConfig`: finds the text level, refuses other families and whatever is not
/// implemented, and leaves no structural value to a default (specification §1.1–1.4). Upper bounds
/// are generous for the family and small enough that no product of two or three overflows.
final class ConfigReader {
    static final int MAX_LAYERS = 1_024;
    static final int MAX_HEADS = 4_096;
    static final int MAX_WIDTH = 1 << 20;
    static final int MAX_VOCABULARY = 1 << 24;
    static final int MAX_POSITIONS = 1 << 30;

    private static final String WHOLE = "ForConditionalGeneration";
    private static final String SUPPORTED =
            "Qwen3_5ForConditionalGeneration, Qwen3_5MoeForConditionalGeneration,"
                    + " Qwen3_5ForCausalLM and Qwen3_5MoeForCausalLM";
    private static final Set<String> FAMILIES =
            Set.of(
                    "Qwen3_5ForConditionalGeneration",
                    "Qwen3_5MoeForConditionalGeneration",
                    "Qwen3_5ForCausalLM",
                    "Qwen3_5MoeForCausalLM");
    private static final Map<String, String> TYPES =
            Map.of(
                    "qwen3_5", "Qwen3_5",
                    "qwen3_5_text", "Qwen3_5",
                    "qwen3_5_moe", "Qwen3_5Moe",
                    "qwen3_5_moe_text", "Qwen3_5Moe");

    private final Section root;
    private final Section text;
    private final boolean nested;

    ConfigReader(Path file) {
        root = JsonFile.object(file);
        Optional<Section> inner = root.section("text_config");
        nested = inner.isPresent();
        text = inner.orElse(root);
    }

    ModelConfig read() {
        String family = family();
        refuseQuantised();
        refuseVariants();
        int hidden = text.count("hidden_size", MAX_WIDTH);
        return new ModelConfig(
                family,
                family.endsWith(WHOLE) ? "model.language_model." : "model.",
                hidden,
                layerTypes(),
                text.count("vocab_size", MAX_VOCABULARY),
                eps(),
                text.count("max_position_embeddings", MAX_POSITIONS),
                attention(),
                delta(),
                FeedForwardConfig.read(text, family.contains("Moe")),
                tie(),
                eos(),
                text.whole("mtp_num_hidden_layers", 0, 1).orElse(0),
                family.endsWith(WHOLE)
                        ? root.section("vision_config").map(v -> VisionConfig.read(root, v, hidden))
                        : Optional.empty());
    }

    private String family() {
        List<String> named = root.texts("architectures").orElse(List.of());
        if (!named.isEmpty() && !FAMILIES.contains(named.getFirst())) {
            throw root.unsupported("architectures", SUPPORTED);
        }
        for (Section level : List.of(root, text)) {
            if (level.text("model_type").filter(t -> !TYPES.containsKey(t)).isPresent()) {
                throw level.unsupported(
                        "model_type", String.join(", ", new TreeSet<>(TYPES.keySet())));
            }
        }
        if (named.isEmpty()) {
            String type = root.text("model_type").orElseThrow(() -> root.missing("architectures"));
            return TYPES.get(type) + (nested ? WHOLE : "ForCausalLM");
        }
        if (named.getFirst().endsWith(WHOLE) && !nested) {
            throw root.missing("text_config");
        }
        return named.getFirst();
    }

    private void refuseQuantised() {
        for (Section level : List.of(root, text)) {
            for (String key : List.of("quantization_config", "compression_config")) {
                Optional<Section> quantised = level.section(key);
                if (quantised.isPresent()) {
                    throw quantised
                            .get()
                            .unsupported("quant_method", "weights in bf16, f16 and f32");
                }
            }
        }
    }

    private void refuseVariants() {
        only("attention_bias", false);
        only("attn_output_gate", true);
        only("mtp_use_dedicated_embeddings", false);
        only("hidden_act", List.of("silu"));
        only("output_gate_type", List.of("silu", "swish"));
        only("mamba_ssm_dtype", List.of("float32"));
    }

    private void only(String key, boolean supported) {
        if (text.flag(key).orElse(supported) != supported) {
            throw text.unsupported(key, String.valueOf(supported));
        }
    }

    private void only(String key, List<String> supported) {
        if (text.text(key).filter(v -> !supported.contains(v)).isPresent()) {
            throw text.unsupported(key, String.join(" and ", supported));
        }
    }

    private List<LayerType> layerTypes() {
        int layers = text.count("num_hidden_layers", MAX_LAYERS);
        Optional<List<String>> named = text.texts("layer_types");
        if (named.isEmpty()) {
            return byInterval(layers, text.count("full_attention_interval", MAX_LAYERS));
        }
        if (named.get().size() != layers) {
            throw text.wrong("layer_types", "a list of num_hidden_layers = " + layers + " texts");
        }
        List<LayerType> types = new ArrayList<>();
        for (String name : named.get()) {
            types.add(
                    switch (name) {
                        case "linear_attention" -> LayerType.DELTA;
                        case "full_attention" -> LayerType.ATTENTION;
                        default ->
                                throw text.wrong(
                                        "layer_types",
                                        "a list of linear_attention and full_attention ("
                                                + JsonFile.quote(name)
                                                + " is neither)");
                    });
        }
        return types;
    }

    /// The layers of a model whose every `interval`-th layer is full attention.
    static List<LayerType> byInterval(int layers, int interval) {
        List<LayerType> types = new ArrayList<>(Collections.nCopies(layers, LayerType.DELTA));
        for (int i = interval - 1; i < layers; i += interval) {
            types.set(i, LayerType.ATTENTION);
        }
        return types;
    }

    private double eps() {
        double eps = text.positive("rms_norm_eps");
        if (eps >= 1) {
            throw text.wrong("rms_norm_eps", "below 1");
        }
        return eps;
    }

    private AttentionConfig attention() {
        int heads = text.count("num_attention_heads", MAX_HEADS);
        int kvHeads = text.count("num_key_value_heads", MAX_HEADS);
        divides("num_key_value_heads", kvHeads, "num_attention_heads", heads);
        int headDim = text.count("head_dim", MAX_HEADS);
        if (headDim % 2 != 0) {
            throw text.wrong("head_dim", "even");
        }
        return new AttentionConfig(heads, kvHeads, headDim, RopeConfig.read(text, headDim));
    }

    private DeltaConfig delta() {
        int keyHeads = text.count("linear_num_key_heads", MAX_HEADS);
        int valueHeads = text.count("linear_num_value_heads", MAX_HEADS);
        divides("linear_num_key_heads", keyHeads, "linear_num_value_heads", valueHeads);
        int taps = text.count("linear_conv_kernel_dim", 64);
        if (taps < 2) {
            throw text.wrong("linear_conv_kernel_dim", "at least 2");
        }
        return new DeltaConfig(
                keyHeads,
                valueHeads,
                text.count("linear_key_head_dim", MAX_HEADS),
                text.count("linear_value_head_dim", MAX_HEADS),
                taps);
    }

    private void divides(String key, int part, String wholeKey, int whole) {
        if (whole % part != 0) {
            throw text.wrong(key, "a divisor of " + wholeKey + " = " + whole);
        }
    }

    private Tie tie() {
        Optional<Boolean> top = root.flag("tie_word_embeddings");
        return top.or(() -> text.flag("tie_word_embeddings"))
                .map(tied -> tied ? Tie.TIED : Tie.SEPARATE)
                .orElse(Tie.BY_PRESENCE);
    }

    private List<Integer> eos() {
        List<Integer> inner = text.numbers("eos_token_id");
        return inner.isEmpty() ? root.numbers("eos_token_id") : inner;
    }
}
