package brantas.format;

import brantas.format.SafetensorsWriter.Declared;
import brantas.tensor.HostTensor;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The smallest checkpoint that has everything: delta and attention layers, experts or a dense MLP,
/// a draft head, a vision tower. Its configuration is a tree that tests change before they write
/// it.
final class TinyCheckpoint {
    private static final String CONFIG =
            """
            {"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5",
             "image_token_id": 20, "video_token_id": 21,
             "vision_start_token_id": 22, "vision_end_token_id": 23,
             "tie_word_embeddings": false,
             "text_config": {"model_type": "qwen3_5_text", "vocab_size": 32, "hidden_size": 8,
              "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
              "head_dim": 8, "attention_bias": false, "attn_output_gate": true,
              "hidden_act": "silu", "rms_norm_eps": 1e-06, "max_position_embeddings": 4096,
              "full_attention_interval": 2,
              "layer_types": ["linear_attention", "full_attention",
                              "linear_attention", "full_attention"],
              "linear_conv_kernel_dim": 4, "linear_key_head_dim": 4, "linear_value_head_dim": 4,
              "linear_num_key_heads": 1, "linear_num_value_heads": 2,
              "mamba_ssm_dtype": "float32",
              "rope_parameters": {"rope_type": "default", "rope_theta": 10000,
               "partial_rotary_factor": 0.75, "mrope_interleaved": true,
               "mrope_section": [1, 1, 1]},
              "mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": false,
              "eos_token_id": 30, "intermediate_size": 12},
             "vision_config": {"model_type": "qwen3_5_vision", "depth": 1, "hidden_size": 8,
              "intermediate_size": 12, "num_heads": 2, "hidden_act": "gelu_pytorch_tanh",
              "in_channels": 3, "patch_size": 4, "spatial_merge_size": 2,
              "temporal_patch_size": 2, "num_position_embeddings": 16, "out_hidden_size": 8,
              "deepstack_visual_indexes": []}}
            """;

    static final ObjectMapper JSON = new ObjectMapper();

    private TinyCheckpoint() {}

    /// The configuration as a tree of its own.
    static ObjectNode config() {
        try {
            return (ObjectNode) JSON.readTree(CONFIG);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /// The text level of a configuration.
    static ObjectNode text(ObjectNode config) {
        return (ObjectNode) config.get("text_config");
    }

    /// Turns the dense MLP into experts.
    static ObjectNode withExperts(ObjectNode config) {
        config.putArray("architectures").add("Qwen3_5MoeForConditionalGeneration");
        text(config)
                .put("num_experts", 4)
                .put("num_experts_per_tok", 2)
                .put("moe_intermediate_size", 6)
                .put("shared_expert_intermediate_size", 6);
        return config;
    }

    static Path writeConfig(Path folder, ObjectNode config) throws IOException {
        return Files.writeString(folder.resolve("config.json"), config.toString());
    }

    /// All tensors of a configuration with random values.
    static List<HostTensor> tensors(Path configFile) {
        // The memory lives until the process ends; it is a few kilobytes.
        RandomCheckpoint source =
                RandomCheckpoint.create("tiny", ModelConfig.read(configFile), 7, Progress.NONE);
        List<HostTensor> tensors = new ArrayList<>();
        source.tensors().sequencedKeySet().forEach(name -> tensors.add(source.tensor(name)));
        return tensors;
    }

    /// Writes one safetensors file.
    static void writeTensors(Path file, List<HostTensor> tensors) {
        List<Declared> declared =
                tensors.stream().map(t -> new Declared(t.name(), t.dtype(), t.shape())).toList();
        try (SafetensorsWriter writer =
                new SafetensorsWriter(file, declared, Map.of("format", "pt"))) {
            tensors.forEach(t -> writer.append(t.name(), t.data()));
        }
    }

    /// Writes a complete checkpoint into a folder.
    static void write(Path folder, ObjectNode config) throws IOException {
        Path file = writeConfig(folder, config);
        writeTensors(folder.resolve("model.safetensors"), tensors(file));
    }
}
