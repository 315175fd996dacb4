package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import brantas.format.FeedForwardConfig.Dense;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.ModelConfig.LayerType;
import brantas.format.ModelConfig.Tie;
import brantas.format.RopeConfig.YarnConfig;
import brantas.settings.BrantasException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Configurations in all accepted layouts, and one case per reason for refusing one.
class ModelConfigTest {
    @TempDir Path folder;

    private ModelConfig read(ObjectNode config) throws IOException {
        return ModelConfig.read(TinyCheckpoint.writeConfig(folder, config));
    }

    /// Asserts that the file is refused in one sentence with the given words.
    private void refused(ObjectNode config, String... words) throws IOException {
        Path file = TinyCheckpoint.writeConfig(folder, config);
        assertThatThrownBy(() -> ModelConfig.read(file))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining(file.toString())
                .hasMessageContainingAll(words)
                .hasMessageEndingWith(".");
    }

    /// Puts a JSON value at a pointer such as `/text_config/head_dim`; `-` removes.
    private static ObjectNode edited(String pointer, String value) throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        edit(config, pointer, value);
        return config;
    }

    private static void edit(ObjectNode config, String pointer, String value) throws IOException {
        int cut = pointer.lastIndexOf('/');
        ObjectNode parent = (ObjectNode) config.at(pointer.substring(0, cut));
        String key = pointer.substring(cut + 1);
        if (value.equals("-")) {
            parent.remove(key);
        } else {
            parent.set(key, TinyCheckpoint.JSON.readTree(value));
        }
    }

    @Test
    void nestedFileIsReadCompletely() throws IOException {
        ModelConfig c = read(TinyCheckpoint.config());
        assertThat(c.family()).isEqualTo("Qwen3_5ForConditionalGeneration");
        assertThat(c.prefix()).isEqualTo("model.language_model.");
        assertThat(c.hiddenSize()).isEqualTo(8);
        assertThat(c.layerTypes())
                .containsExactly(
                        LayerType.DELTA, LayerType.ATTENTION, LayerType.DELTA, LayerType.ATTENTION);
        assertThat(c.vocabSize()).isEqualTo(32);
        assertThat(c.rmsNormEps()).isEqualTo(1e-6);
        assertThat(c.maxPositions()).isEqualTo(4096);
        assertThat(c.attention().heads()).isEqualTo(2);
        assertThat(c.attention().kvHeads()).isEqualTo(1);
        assertThat(c.attention().headDim()).isEqualTo(8);
        RopeConfig rope = c.attention().rope();
        assertThat(rope.theta()).isEqualTo(10_000);
        assertThat(rope.rotaryDim()).isEqualTo(6);
        assertThat(rope.section()).containsExactly(1, 1, 1);
        assertThat(rope.yarn()).isEmpty();
        assertThat(c.delta().convChannels()).isEqualTo(16);
        assertThat(c.delta().convWidth()).isEqualTo(4);
        assertThat(c.feedForward()).isEqualTo(new Dense(12));
        assertThat(c.tied()).isFalse();
        assertThat(c.eosIds()).containsExactly(30);
        assertThat(c.mtpLayers()).isEqualTo(1);
        VisionConfig v = c.vision().orElseThrow();
        assertThat(v.tokens()).isEqualTo(new VisionConfig.Tokens(20, 21, 22, 23));
        assertThat(v.patch().values()).isEqualTo(96);
        assertThat(v.mergedWidth()).isEqualTo(32);
    }

    @Test
    void flatFileIsATextModel() throws IOException {
        ObjectNode flat = TinyCheckpoint.text(TinyCheckpoint.config());
        flat.put("model_type", "qwen3_5_text");
        flat.putArray("architectures").add("Qwen3_5ForCausalLM");
        ModelConfig c = read(flat);
        assertThat(c.prefix()).isEqualTo("model.");
        assertThat(c.vision()).isEmpty();
        assertThat(c.tie()).isEqualTo(Tie.BY_PRESENCE);
        flat.remove("architectures");
        assertThat(read(flat).family()).isEqualTo("Qwen3_5ForCausalLM");
    }

    @Test
    void missingVisionConfigMeansTextOnly() throws IOException {
        ModelConfig c = read(edited("/vision_config", "-"));
        assertThat(c.vision()).isEmpty();
        assertThat(c.prefix()).isEqualTo("model.language_model.");
    }

    @Test
    void numExpertsMakesItAMixture() throws IOException {
        ModelConfig c = read(TinyCheckpoint.withExperts(TinyCheckpoint.config()));
        assertThat(c.feedForward()).isEqualTo(new Experts(4, 2, 6, 6));
    }

    @Test
    void ropeKeysAreFoundAtEachLevelInOrder() throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        ObjectNode text = TinyCheckpoint.text(config);
        ObjectNode rope = (ObjectNode) text.remove("rope_parameters");
        rope.set("type", rope.remove("rope_type"));
        text.set("rope_scaling", rope);
        assertThat(read(config).attention().rope().rotaryDim()).isEqualTo(6);
        text.remove("rope_scaling");
        rope.remove("type");
        text.setAll(rope);
        text.put("model_type", "qwen3_5");
        assertThat(read(config).attention().rope().theta()).isEqualTo(10_000);
        text.putObject("rope_scaling").put("rope_theta", 5_000);
        assertThat(read(config).attention().rope().theta()).isEqualTo(5_000);
        text.putObject("rope_parameters").put("rope_theta", 2_000);
        assertThat(read(config).attention().rope().theta()).isEqualTo(2_000);
    }

    @Test
    void yarnHasItsUsualValuesAndHonoursGivenOnes() throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        ObjectNode rope = (ObjectNode) config.at("/text_config/rope_parameters");
        rope.put("rope_type", "yarn").put("factor", 4.0);
        rope.put("original_max_position_embeddings", 262_144);
        YarnConfig yarn = read(config).attention().rope().yarn().orElseThrow();
        assertThat(yarn.attentionFactor()).isCloseTo(1.138629436, within(1e-9));
        assertThat(yarn.betaFast()).isEqualTo(32);
        assertThat(yarn.betaSlow()).isEqualTo(1);
        assertThat(yarn.truncate()).isTrue();
        rope.put("attention_factor", 1.25).put("beta_fast", 16).put("beta_slow", 2);
        rope.put("truncate", false);
        assertThat(read(config).attention().rope().yarn())
                .contains(new YarnConfig(4, 262_144, 16, 2, 1.25, false));
        rope.put("mscale", 1.0);
        refused(config, "rope_parameters.mscale");
        rope.remove("mscale");
        rope.put("mscale_all_dim", 1.0);
        refused(config, "rope_parameters.mscale_all_dim");
        rope.remove("mscale_all_dim");
        rope.put("beta_slow", 16);
        refused(config, "beta_fast", "above beta_slow");
        rope.put("beta_slow", 1).put("factor", 0.5);
        refused(config, "factor", "at least 1", "0.5");
        rope.put("factor", 4).remove("original_max_position_embeddings");
        refused(config, "original_max_position_embeddings is missing");
    }

    @Test
    void layerTypesRuleOverTheInterval() throws IOException {
        ObjectNode config = edited("/text_config/full_attention_interval", "4");
        assertThat(read(config).layerTypes().get(1)).isEqualTo(LayerType.ATTENTION);
        TinyCheckpoint.text(config).remove("layer_types");
        assertThat(read(config).layerTypes())
                .containsExactly(
                        LayerType.DELTA, LayerType.DELTA, LayerType.DELTA, LayerType.ATTENTION);
        TinyCheckpoint.text(config).remove("full_attention_interval");
        refused(config, "text_config.full_attention_interval is missing");
    }

    @ParameterizedTest
    @CsvSource({
        "true, false, TIED",
        "false, true, SEPARATE",
        "-, true, TIED",
        "-, false, SEPARATE",
        "-, -, BY_PRESENCE",
        "null, true, TIED",
    })
    void topLevelRulesOnTying(String top, String text, Tie expected) throws IOException {
        ObjectNode config = edited("/tie_word_embeddings", top);
        edit(config, "/text_config/tie_word_embeddings", text);
        assertThat(read(config).tie()).isEqualTo(expected);
    }

    @Test
    void endIdsMayBeOneOrMany() throws IOException {
        assertThat(read(edited("/text_config/eos_token_id", "[3, 4]")).eosIds())
                .containsExactly(3, 4);
        ObjectNode config = edited("/text_config/eos_token_id", "null");
        assertThat(read(config).eosIds()).isEmpty();
        config.put("eos_token_id", 9);
        assertThat(read(config).eosIds()).containsExactly(9);
        refused(edited("/text_config/eos_token_id", "[3, -4]"), "text_config.eos_token_id");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vocab_size",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "head_dim",
                "rms_norm_eps",
                "max_position_embeddings",
                "linear_conv_kernel_dim",
                "linear_key_head_dim",
                "linear_value_head_dim",
                "linear_num_key_heads",
                "linear_num_value_heads",
                "intermediate_size",
                "rope_parameters/rope_theta",
                "rope_parameters/partial_rotary_factor",
                "rope_parameters/mrope_section",
            })
    void structuralKeysHaveNoDefault(String key) throws IOException {
        String shown = "text_config." + key.replace('/', '.');
        refused(edited("/text_config/" + key, "-"), shown + " is missing");
        refused(edited("/text_config/" + key, "null"), shown + " is missing");
        refused(edited("/text_config/" + key, "\"8\""), shown, "\"8\"");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "num_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "shared_expert_intermediate_size"
            })
    void expertKeysHaveNoDefault(String key) throws IOException {
        ObjectNode config = TinyCheckpoint.withExperts(TinyCheckpoint.config());
        TinyCheckpoint.text(config).remove(key);
        refused(config, "text_config." + key + " is missing");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "depth",
                "hidden_size",
                "intermediate_size",
                "num_heads",
                "in_channels",
                "patch_size",
                "spatial_merge_size",
                "temporal_patch_size",
                "num_position_embeddings",
                "out_hidden_size"
            })
    void visionKeysHaveNoDefault(String key) throws IOException {
        refused(edited("/vision_config/" + key, "-"), "vision_config." + key + " is missing");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "/architectures | [\"Qwen3NextForCausalLM\"] | Qwen3NextForCausalLM | Qwen3_5ForCausalLM",
                "/model_type | \"qwen4_exp\" | qwen4_exp | qwen3_5",
                "/model_type | \"qwen3_next\" | qwen3_next | qwen3_5, qwen3_5_moe, qwen3_5_moe_text, qwen3_5_text",
                "/text_config/model_type | \"llama\" | llama | qwen3_5",
                "/text_config | - | text_config is missing | config.json",
                "/quantization_config | {\"quant_method\":\"fp8\"} | quant_method | fp8",
                "/text_config/quantization_config | {\"quant_method\":\"gptq\"} | quant_method | gptq",
                "/text_config/attention_bias | true | attention_bias | true",
                "/text_config/attn_output_gate | false | attn_output_gate | false",
                "/text_config/hidden_act | \"gelu\" | hidden_act | gelu",
                "/text_config/output_gate_type | \"sigmoid\" | output_gate_type | sigmoid",
                "/text_config/mamba_ssm_dtype | \"bfloat16\" | mamba_ssm_dtype | bfloat16",
                "/text_config/mtp_num_hidden_layers | 2 | mtp_num_hidden_layers | 2",
                "/text_config/mtp_use_dedicated_embeddings | true | mtp_use_dedicated_embeddings | true",
                "/text_config/linear_conv_kernel_dim | 1 | linear_conv_kernel_dim | at least 2",
                "/text_config/num_key_value_heads | 3 | num_key_value_heads | divisor",
                "/text_config/linear_num_key_heads | 3 | linear_num_key_heads | divisor",
                "/text_config/head_dim | 7 | head_dim | even",
                "/text_config/head_dim | 8.0 | head_dim | 8.0",
                "/text_config/hidden_size | 0 | hidden_size | found 0",
                "/text_config/hidden_size | -8 | hidden_size | found -8",
                "/text_config/hidden_size | 1e999 | hidden_size | whole number",
                "/text_config/num_hidden_layers | 3 | layer_types | num_hidden_layers = 3",
                "/text_config/num_hidden_layers | 1000000000 | num_hidden_layers | 1000000000",
                "/text_config/num_hidden_layers | 99999999999999999999 | num_hidden_layers | 9999",
                "/text_config/layer_types | [\"a\",\"a\",\"a\",\"a\"] | layer_types | \"a\"",
                "/text_config/layer_types | 4 | layer_types | list",
                "/text_config/rms_norm_eps | 2 | rms_norm_eps | below 1",
                "/text_config/rope_parameters | [] | rope_parameters | an object",
                "/text_config/rope_parameters/rope_type | \"linear\" | rope_type | linear",
                "/text_config/rope_parameters/partial_rotary_factor | 1.5 | partial_rotary_factor | 1.5",
                "/text_config/rope_parameters/partial_rotary_factor | 0.3 | partial_rotary_factor | 0.3",
                "/text_config/rope_parameters/mrope_section | [1, 1, 2] | mrope_section | 3",
                "/text_config/rope_parameters/mrope_section | [3] | mrope_section | three",
                "/text_config/rope_parameters/mrope_interleaved | false | mrope_interleaved | false",
                "/vision_config/model_type | \"clip\" | vision_config.model_type | clip",
                "/vision_config/hidden_act | \"relu\" | vision_config.hidden_act | relu",
                "/vision_config/deepstack_visual_indexes | [5] | deepstack_visual_indexes | [5]",
                "/vision_config/num_heads | 3 | vision_config.num_heads | divisor",
                "/vision_config/num_position_embeddings | 17 | num_position_embeddings | square",
                "/vision_config/out_hidden_size | 16 | out_hidden_size | hidden_size, 8",
                "/image_token_id | - | image_token_id is missing | config.json",
                "/tie_word_embeddings | 1 | tie_word_embeddings | true or false",
            })
    void unsupportedOrSenselessValuesAreNamed(String pointer, String value, String a, String b)
            throws IOException {
        refused(edited(pointer, value), a, b);
    }

    @Test
    void denseLayersAmongExpertsAreRefused() throws IOException {
        ObjectNode config = TinyCheckpoint.withExperts(TinyCheckpoint.config());
        edit(config, "/text_config/mlp_only_layers", "[]");
        assertThat(read(config).feedForward()).isInstanceOf(Experts.class);
        edit(config, "/text_config/mlp_only_layers", "[1]");
        refused(config, "mlp_only_layers");
        edit(config, "/text_config/mlp_only_layers", "-");
        edit(config, "/text_config/num_experts_per_tok", "5");
        refused(config, "num_experts_per_tok", "at most num_experts = 4");
    }

    @Test
    void neitherArchitectureNorTypeIsRefused() throws IOException {
        ObjectNode config = edited("/architectures", "-");
        assertThat(read(config).family()).isEqualTo("Qwen3_5ForConditionalGeneration");
        config.remove("model_type");
        refused(config, "architectures is missing");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "[]",
                "1",
                "{",
                "{\"a\": 1",
                "{\"a\": 1, \"a\": 2}",
                "{} {}",
                "{\"a\": NaN}",
                "nonsense"
            })
    void brokenJsonIsNamed(String text) throws IOException {
        brokenJson(text.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void hostileJsonIsNamed() throws IOException {
        brokenJson("{\"a\":".repeat(300_000).getBytes(StandardCharsets.UTF_8));
        brokenJson("[".repeat(1_000_000).getBytes(StandardCharsets.UTF_8));
        brokenJson(("{\"a\": " + "9".repeat(1_000_000) + "}").getBytes(StandardCharsets.UTF_8));
        brokenJson(" ".repeat(3_000_000).getBytes(StandardCharsets.UTF_8));
        brokenJson(new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'});
    }

    private void brokenJson(byte[] bytes) throws IOException {
        Path file = folder.resolve("config.json");
        Files.write(file, bytes);
        assertThatThrownBy(() -> ModelConfig.read(file))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining(file.toString())
                .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(600));
    }

    @Test
    void absentFileIsNamed() {
        Path file = folder.resolve("config.json");
        assertThatThrownBy(() -> ModelConfig.read(file))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining(file + " does not exist");
    }
}
