package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.format.Checkpoint.Load;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole checkpoints: the golden ones, and one case per way in which the parts can disagree.
class CheckpointTest {
    private static final Path GOLDEN = Path.of(System.getProperty("brantas.golden"));
    private static final Path DEMO =
            Path.of(System.getProperty("brantas.home"), "java/cli/demo-model");
    private static final String LAYER = "model.language_model.layers.0.";

    @TempDir Path folder;

    private static Checkpoint open(Path path) {
        return Checkpoint.open(path, Load.MAP, Progress.NONE);
    }

    private void refused(String... words) {
        assertThatThrownBy(() -> open(folder).close())
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll(words)
                .hasMessageEndingWith(".");
    }

    /// Writes the tiny checkpoint after a change to the list of its tensors.
    private void write(ObjectNode config, UnaryOperator<List<HostTensor>> change)
            throws IOException {
        Path file = TinyCheckpoint.writeConfig(folder, config);
        TinyCheckpoint.writeTensors(
                folder.resolve("model.safetensors"),
                change.apply(new ArrayList<>(TinyCheckpoint.tensors(file))));
    }

    private static UnaryOperator<List<HostTensor>> without(String part) {
        return list -> list.stream().filter(t -> !t.name().contains(part)).toList();
    }

    private static UnaryOperator<List<HostTensor>> with(HostTensor more) {
        return list -> {
            List<HostTensor> longer = new ArrayList<>(without(more.name()).apply(list));
            longer.add(more);
            return longer;
        };
    }

    private static HostTensor zeros(String name, DType dtype, long... shape) {
        return new HostTensor(
                name,
                dtype,
                shape,
                Arena.ofAuto().allocate(HostTensor.elements(shape) * dtype.bytes(), 8));
    }

    @ParameterizedTest
    @ValueSource(strings = {"dense-r3", "dense-tied", "moe", "moe-per-expert-sharded", "yarn"})
    void goldenCheckpointsOpenAlikeMappedAndRead(String name) {
        assertMappedEqualsRead(GOLDEN.resolve("text").resolve(name));
    }

    @Test
    void demoModelOpens() {
        assertMappedEqualsRead(DEMO);
        assertThat(GenerationConfig.read(DEMO).eosIds()).containsExactly(1459, 1457);
        try (Checkpoint demo = open(DEMO)) {
            assertThat(demo.name()).isEqualTo("demo-model");
            assertThat(demo.config().tied()).isTrue();
            assertThat(WeightNames.has(demo, WeightNames.VISION)).isTrue();
            assertThat(WeightNames.has(demo, WeightNames.MTP)).isTrue();
        }
    }

    private static void assertMappedEqualsRead(Path path) {
        try (Checkpoint mapped = open(path);
                Checkpoint read = Checkpoint.open(path, Load.READ, Progress.NONE)) {
            assertThat(read.tensors()).isEqualTo(mapped.tensors());
            assertThat(read.bytes()).isEqualTo(mapped.bytes()).isPositive();
            for (String name : mapped.tensors().sequencedKeySet()) {
                HostTensor tensor = mapped.tensor(name);
                assertThat(tensor.data().mismatch(read.tensor(name).data())).as(name).isEqualTo(-1);
            }
        }
    }

    @Test
    void flatCheckpointHasTheSameWeightsUnderShorterNames() {
        FlatCheckpoint.write(GOLDEN, folder);
        assertMappedEqualsRead(folder);
        try (Checkpoint flat = open(folder);
                Checkpoint nested = open(GOLDEN.resolve("text/dense-r3"))) {
            assertThat(flat.config().prefix()).isEqualTo("model.");
            assertThat(flat.tensors()).hasSize(71);
            for (String name : flat.tensors().sequencedKeySet()) {
                String longer =
                        name.startsWith("model.")
                                ? nested.config().prefix() + name.substring(6)
                                : name;
                assertThat(flat.tensor(name).data().mismatch(nested.tensor(longer).data()))
                        .as(name)
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void shardedExpertsAreThoseOfTheFusedCheckpoint() {
        try (Checkpoint fused = open(GOLDEN.resolve("text/moe"));
                Checkpoint single = open(GOLDEN.resolve("text/moe-per-expert-sharded"))) {
            assertThat(WeightNames.fusedExperts(fused, LAYER)).isTrue();
            assertThat(WeightNames.fusedExperts(single, LAYER)).isFalse();
            HostTensor up = fused.tensor(LAYER + "mlp.experts.gate_up_proj").slice(5);
            HostTensor gate = single.tensor(LAYER + "mlp.experts.5.gate_proj.weight");
            int inner = gate.dim(0);
            assertThat(up.rows(0, inner).toFloats()).containsExactly(gate.toFloats());
        }
    }

    @Test
    void absentGroupsAreAcceptedAsAWhole() throws IOException {
        write(TinyCheckpoint.config(), without("mtp."));
        open(folder).close();
        write(TinyCheckpoint.config(), without("model.visual."));
        open(folder).close();
        write(TinyCheckpoint.config(), without("mtp.fc"));
        refused("mtp.fc.weight", "[8, 16]", "missing");
        write(TinyCheckpoint.config(), without("merger.norm.bias"));
        refused("model.visual.merger.norm.bias", "missing");
    }

    @Test
    void groupsThatTheConfigurationLacksAreRefused() throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        write(config, UnaryOperator.identity());
        TinyCheckpoint.text(config).put("mtp_num_hidden_layers", 0);
        TinyCheckpoint.writeConfig(folder, config);
        refused("model.safetensors", "mtp.", "mtp_num_hidden_layers is 0");
        TinyCheckpoint.text(config).put("mtp_num_hidden_layers", 1);
        config.remove("vision_config");
        TinyCheckpoint.writeConfig(folder, config);
        refused("model.safetensors", "model.visual.", "no vision_config");
    }

    @Test
    void expertsMayBeSplitInAnyLayer() throws IOException {
        ObjectNode config = TinyCheckpoint.withExperts(TinyCheckpoint.config());
        write(config, list -> split(list, LAYER));
        try (Checkpoint checkpoint = open(folder)) {
            assertThat(WeightNames.fusedExperts(checkpoint, LAYER)).isFalse();
            assertThat(WeightNames.fusedExperts(checkpoint, "mtp.layers.0.")).isTrue();
        }
        write(config, list -> split(list, "mtp.layers.0."));
        open(folder).close();
        write(config, list -> without("experts.3.up_proj").apply(split(list, LAYER)));
        refused(LAYER + "mlp.experts.3.up_proj.weight", "[6, 8]", "missing");
        write(config, without(LAYER + "mlp.experts.down_proj"));
        refused(LAYER + "mlp.experts.down_proj", "missing");
        String both = LAYER + "mlp.experts.0.gate_proj.weight";
        write(config, with(zeros(both, DType.BF16, 6, 8)));
        refused(both, "no tensor of this model");
    }

    private static List<HostTensor> split(List<HostTensor> tensors, String layer) {
        List<HostTensor> out = new ArrayList<>();
        for (HostTensor t : tensors) {
            if (!t.name().startsWith(layer + "mlp.experts.")) {
                out.add(t);
                continue;
            }
            boolean down = t.name().endsWith("down_proj");
            for (int e = 0; e < t.dim(0); e++) {
                HostTensor one = t.slice(e);
                String name = layer + "mlp.experts." + e + '.';
                out.add(
                        down
                                ? named(one, name + "down_proj")
                                : named(one.rows(0, 6), name + "gate_proj"));
                if (!down) {
                    out.add(named(one.rows(6, 12), name + "up_proj"));
                }
            }
        }
        return out;
    }

    private static HostTensor named(HostTensor t, String name) {
        return new HostTensor(name + ".weight", t.dtype(), t.shape(), t.data());
    }

    @Test
    void headMayOnlyBeAbsentWhenTied() throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        write(config, without("lm_head"));
        refused("lm_head.weight", "[32, 8]", "missing");
        config.put("tie_word_embeddings", true);
        write(config, UnaryOperator.identity());
        try (Checkpoint tied = open(folder)) {
            assertThat(tied.config().tied()).isTrue();
        }
        write(config, with(zeros("lm_head.weight", DType.BF16, 32, 8)));
        try (Checkpoint tied = open(folder)) {
            assertThat(tied.config().tied()).isTrue();
        }
        write(config, with(zeros("lm_head.weight", DType.BF16, 31, 8)));
        refused("model.safetensors", "lm_head.weight", "[32, 8]", "[31, 8]");
        config.remove("tie_word_embeddings");
        write(config, with(zeros("lm_head.weight", DType.BF16, 32, 8)));
        try (Checkpoint separate = open(folder)) {
            assertThat(separate.config().tied()).isFalse();
        }
        write(config, without("lm_head"));
        try (Checkpoint tied = open(folder)) {
            assertThat(tied.config().tied()).isTrue();
        }
    }

    @Test
    void wrongTensorsAreNamed() throws IOException {
        ObjectNode config = TinyCheckpoint.config();
        write(config, without(LAYER + "input_layernorm"));
        refused(LAYER + "input_layernorm.weight", "[8]", "missing");
        write(config, with(zeros("model.language_model.norm.weight", DType.BF16, 9)));
        refused("model.safetensors", "model.language_model.norm.weight", "[8]", "[9]");
        write(config, with(zeros("model.language_model.norm.weight", DType.I32, 8)));
        refused("model.safetensors", "model.language_model.norm.weight", "bf16", "i32");
        write(config, with(zeros(LAYER + "linear_attn.conv1d.weight", DType.BF16, 16, 4, 1)));
        refused("conv1d.weight", "[16, 4, 1]", "[16, 1, 4]", "MLX");
        write(config, with(zeros("model.stranger", DType.BF16, 1)));
        refused("model.safetensors", "\"model.stranger\"", "no tensor of this model");
        write(config, with(zeros(LAYER + "mlp.up_proj.weight_scale_inv", DType.F32, 1)));
        refused("weight_scale_inv", "quantised");
        write(config, with(zeros(LAYER + "linear_attn.A_log", DType.F16, 2)));
        open(folder).close();
    }

    @Test
    void quantisedTensorsAreRefusedByType() throws IOException {
        TinyCheckpoint.write(folder, TinyCheckpoint.config());
        Path file = folder.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        // The first tensor, declared as bytes of half the width: the sizes still agree.
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        String changed =
                text.replaceFirst("\"BF16\",\"shape\":\\[32,8\\]", "\"F8_E4M3\",\"shape\":[32,16]");
        int grown = changed.length() - text.length();
        String padded = changed.replaceFirst(" {" + grown + "}", "");
        Files.write(file, padded.getBytes(StandardCharsets.ISO_8859_1));
        refused("model.safetensors", "embed_tokens.weight", "F8_E4M3", "quantised");
    }

    @Test
    void indexAndShardsMustAgree() throws IOException {
        Path golden = GOLDEN.resolve("text/moe-per-expert-sharded");
        Files.copy(golden.resolve("config.json"), folder.resolve("config.json"));
        for (int i = 1; i <= 3; i++) {
            String shard = "model-0000" + i + "-of-00003.safetensors";
            Files.copy(golden.resolve(shard), folder.resolve(shard));
        }
        Path index = folder.resolve("model.safetensors.index.json");
        ObjectNode tree =
                (ObjectNode)
                        TinyCheckpoint.JSON.readTree(
                                golden.resolve("model.safetensors.index.json").toFile());
        ObjectNode map = (ObjectNode) tree.get("weight_map");
        String place = map.get("mtp.fc.weight").textValue();

        map.put("mtp.fc.weight", "model-00001-of-00003.safetensors");
        Files.writeString(index, tree.toString());
        refused(index.toString(), "mtp.fc.weight", "model-00001-of-00003", "does not hold it");
        map.remove("mtp.fc.weight");
        Files.writeString(index, tree.toString());
        refused(index.toString(), "mtp.fc.weight", place, "does not place");
        map.put("mtp.fc.weight", "model-00004-of-00003.safetensors");
        Files.writeString(index, tree.toString());
        refused(index.toString(), "model-00004-of-00003", "not in the folder");
        map.put("mtp.fc.weight", place);
        Files.writeString(index, tree.toString());
        open(folder).close();
        for (String bad :
                List.of(
                        "../x.safetensors",
                        "a/x.safetensors",
                        "/etc/x.safetensors",
                        "..\\x.safetensors",
                        "a\0.safetensors",
                        "config.json",
                        "")) {
            map.put("mtp.fc.weight", bad);
            Files.writeString(index, tree.toString());
            refused(index.toString(), "same folder");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "{}",
                "{\"weight_map\": []}",
                "{\"weight_map\": {}}",
                "{\"weight_map\": {\"a\": 1}}",
                "{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": \"x.safetensors\"}}",
                "{\"weight_map\": {}, \"weight_map\": {}}",
                "{\"weight_map\": {\"a\": \"x.safetensors\"}} 1",
                "{\"weight_map\": {\"a\": \"x.safetensors\"",
                "{\"metadata\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
            })
    void brokenIndexIsNamed(String text) throws IOException {
        TinyCheckpoint.writeConfig(folder, TinyCheckpoint.config());
        Files.writeString(folder.resolve("model.safetensors.index.json"), text);
        refused("model.safetensors.index.json");
    }

    @Test
    void foldersWithoutACheckpointAreNamed() throws IOException {
        assertThatThrownBy(() -> open(folder.resolve("none")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("none is not a folder");
        refused("config.json does not exist");
        TinyCheckpoint.writeConfig(folder, TinyCheckpoint.config());
        refused(folder.toString(), "model.safetensors.index.json");
    }

    @Test
    void enormousConfigurationsNeedNoMemory() throws IOException {
        ObjectNode config = TinyCheckpoint.withExperts(TinyCheckpoint.config());
        write(
                config,
                list ->
                        with(zeros(LAYER + "mlp.gate.weight", DType.BF16, 8_192, 8))
                                .apply(split(list, LAYER)));
        TinyCheckpoint.text(config).put("num_experts", 8_192);
        TinyCheckpoint.text(config).put("num_hidden_layers", 1_024);
        TinyCheckpoint.text(config).remove("layer_types");
        TinyCheckpoint.text(config).put("full_attention_interval", 4);
        TinyCheckpoint.writeConfig(folder, config);
        boundedIn("model.safetensors", "mlp.experts.4.gate_proj.weight", "missing");
    }

    @Test
    void enormousIndexesNeedNoMemory() throws IOException {
        TinyCheckpoint.writeConfig(folder, TinyCheckpoint.config());
        StringBuilder index = new StringBuilder("{\"weight_map\":{\"first\":\"x.safetensors\"");
        for (int i = 0; i < 351_000; i++) {
            index.append(",\"").append(Integer.toString(i, 36)).append("\":\"x.safetensors\"");
        }
        Files.writeString(folder.resolve("model.safetensors.index.json"), index.append("}}"));
        boundedIn("model.safetensors.index.json", "350000 tensors");
    }

    /// Refused, and with heap of at most 64 MB and the size of the file.
    private void boundedIn(String file, String... words) throws IOException {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        refused(words);
        assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                .isLessThan((64L << 20) + Files.size(folder.resolve(file)));
    }

    @Test
    void absentTensorIsNamed() throws IOException {
        TinyCheckpoint.write(folder, TinyCheckpoint.config());
        try (Checkpoint checkpoint = open(folder)) {
            assertThat(checkpoint.tensor("lm_head.weight").shape()).isEqualTo(new long[] {32, 8});
            assertThatThrownBy(() -> checkpoint.tensor("x"))
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContaining("\"x\"");
        }
    }
}
