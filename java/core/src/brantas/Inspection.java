package brantas;

import brantas.engine.MemoryPlan;
import brantas.format.Checkpoint;
import brantas.format.Checkpoint.Load;
import brantas.format.FeedForwardConfig;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.format.Progress;
import brantas.format.TensorSource.TensorInfo;
import brantas.format.WeightNames;
import brantas.model.ModelState;
import brantas.op.Backend;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Facts about a checkpoint, or about a known size without one: what it is, how large it is, what
/// running it takes here.
///
/// @param facts architecture and sizes by name, in reading order; values are texts, numbers and
///   booleans
/// @param parameters by group: `text`, `mtp`, `vision`, `total`
/// @param bytesPerType stored bytes by element type; empty without a checkpoint
/// @param memory bytes needed by part, and what is available
public record Inspection(
        Map<String, Object> facts,
        Map<String, Long> parameters,
        Map<String, Long> bytesPerType,
        Map<String, Object> memory) {
    /// Inspects a checkpoint folder; reads headers only.
    public static Inspection of(Path folder, Options options) {
        try (Checkpoint c = Checkpoint.open(folder, Load.MAP, Progress.NONE)) {
            Map<String, Long> types = new TreeMap<>();
            Map<String, Long> parameters =
                    new LinkedHashMap<>(Map.of("text", 0L, "mtp", 0L, "vision", 0L));
            for (TensorInfo t : c.tensors().sequencedValues()) {
                types.merge(t.dtype().toString(), t.bytes(), Long::sum);
                parameters.merge(group(t.name()), t.bytes() / t.dtype().bytes(), Long::sum);
            }
            return of(c.name(), c.config(), ordered(parameters), types, c.bytes(), options);
        }
    }

    /// Inspects a known size such as `35B-A3B`, as if its weights were bf16.
    public static Inspection ofSize(String size, Options options) {
        ModelConfig config = KnownSizes.config(size);
        Map<String, Long> parameters = new LinkedHashMap<>();
        parameters.put("text", count(WeightNames.text(config)));
        parameters.put("mtp", count(WeightNames.mtp(config)));
        parameters.put("vision", count(WeightNames.vision(config)));
        parameters = ordered(parameters);
        return of(
                size,
                config,
                parameters,
                Map.of(),
                2 * parameters.getOrDefault("total", 0L),
                options);
    }

    /// The sizes that [#ofSize] knows.
    public static List<String> sizes() {
        return KnownSizes.names();
    }

    private static long count(List<WeightNames.Expected> table) {
        return table.stream().mapToLong(WeightNames.Expected::elements).sum();
    }

    private static String group(String name) {
        if (name.startsWith(WeightNames.MTP)) {
            return "mtp";
        }
        return name.startsWith(WeightNames.VISION) ? "vision" : "text";
    }

    private static Map<String, Long> ordered(Map<String, Long> parts) {
        Map<String, Long> all = new LinkedHashMap<>();
        long total = 0;
        for (String part : List.of("text", "mtp", "vision")) {
            all.put(part, parts.getOrDefault(part, 0L));
            total += parts.getOrDefault(part, 0L);
        }
        all.put("total", total);
        return all;
    }

    private static Inspection of(
            String name,
            ModelConfig config,
            Map<String, Long> parameters,
            Map<String, Long> types,
            long bytes,
            Options options) {
        try (Backend backend = Backends.open(options)) {
            MemoryPlan plan =
                    MemoryPlan.of(
                            config,
                            bytes,
                            options.context(),
                            options.sequences(),
                            backend.memory());
            Map<String, Object> facts = facts(name, config);
            facts.put("backend", Backends.words(backend));
            return new Inspection(facts, parameters, types, memory(plan, config));
        }
    }

    private static Map<String, Object> facts(String name, ModelConfig c) {
        Map<String, Object> f = new LinkedHashMap<>();
        long attention = c.layerTypes().stream().filter(t -> t == LayerType.ATTENTION).count();
        f.put("name", name);
        f.put("architecture", c.family());
        f.put("layers", c.layers());
        f.put("attention_layers", attention);
        f.put("delta_layers", c.layers() - attention);
        f.put("hidden_size", c.hiddenSize());
        f.put("vocabulary", c.vocabSize());
        f.put("max_positions", c.maxPositions());
        f.put("attention_heads", c.attention().heads());
        f.put("kv_heads", c.attention().kvHeads());
        f.put("head_dim", c.attention().headDim());
        f.put("delta_key_heads", c.delta().keyHeads());
        f.put("delta_value_heads", c.delta().valueHeads());
        switch (c.feedForward()) {
            case FeedForwardConfig.Dense d -> f.put("intermediate_size", d.intermediate());
            case FeedForwardConfig.Experts e -> {
                f.put("experts", e.experts());
                f.put("experts_per_token", e.perToken());
                f.put("expert_intermediate_size", e.inner());
                f.put("shared_expert_intermediate_size", e.sharedInner());
            }
        }
        f.put("tied_embeddings", c.tied());
        f.put("yarn", c.attention().rope().yarn().isPresent());
        f.put("mtp", c.mtpLayers() > 0);
        f.put("vision", c.vision().isPresent());
        return f;
    }

    private static Map<String, Object> memory(MemoryPlan plan, ModelConfig config) {
        long available = plan.memory().available();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("weights_bytes", plan.weights());
        m.put("kv_bytes_per_token", plan.kvPerToken());
        m.put("kv_bytes_per_token_bf16", ModelState.kvBytesPerToken(config, 2));
        m.put("state_bytes_per_sequence", plan.statePerSequence());
        m.put("workspace_bytes", plan.workspace());
        m.put("context", plan.context());
        m.put("sequences", plan.sequences());
        m.put("total_bytes", plan.total());
        m.put("available_bytes", available);
        m.put("fits", plan.total() <= available);
        long rest = available - plan.total() + plan.kvPerToken() * plan.context();
        m.put(
                "largest_context",
                Math.clamp(rest / Math.max(1, plan.kvPerToken()), 0, config.maxPositions()));
        return m;
    }
}
