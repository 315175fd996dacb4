package brantas.format;

import brantas.format.FeedForwardConfig.Dense;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.ModelConfig.AttentionConfig;
import brantas.format.ModelConfig.DeltaConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.format.VisionConfig.Patch;
import brantas.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;

/// The table of a model's tensors: for a configuration, every name with its shape (specification
/// §2.1, §3, §4.1, §5.1, §6, §7.1). Data only, so that it can be tested without weights; matrices
/// are `[out, in]`.
public final class WeightNames {
    /// Name of the output head in every checkpoint that has one.
    public static final String HEAD = "lm_head.weight";

    /// Prefix of the draft head's tensors.
    public static final String MTP = "mtp.";

    /// Prefix of the vision tower's tensors.
    public static final String VISION = "model.visual.";

    static final String FUSED_UP = "mlp.experts.gate_up_proj";
    static final String FUSED_DOWN = "mlp.experts.down_proj";

    /// One row of the table.
    ///
    /// @param name in the checkpoint
    /// @param shape sizes, outermost first
    public record Expected(String name, long[] shape) {
        /// The number of parameters.
        public long elements() {
            return HostTensor.elements(shape);
        }
    }

    private final String prefix;
    private final List<Expected> rows;

    private WeightNames(String prefix, List<Expected> rows) {
        this.prefix = prefix;
        this.rows = rows;
    }

    private static WeightNames table(String prefix) {
        return new WeightNames(prefix, new ArrayList<>());
    }

    /// What the names of layer `index` start with.
    public static String layer(ModelConfig config, int index) {
        return config.prefix() + "layers." + index + ".";
    }

    /// The text model: embedding, layers, last norm, and the head unless it is tied. Experts appear
    /// in their fused form, `[experts, 2·inner, hidden]` and `[experts, hidden, inner]`.
    public static List<Expected> text(ModelConfig config) {
        int hidden = config.hiddenSize();
        WeightNames table = table(config.prefix());
        table.add("embed_tokens.weight", config.vocabSize(), hidden);
        for (int i = 0; i < config.layers(); i++) {
            table.part("layers." + i + ".").layer(config, config.layerTypes().get(i));
        }
        table.add("norm.weight", hidden);
        if (!config.tied()) {
            table.rows.add(head(config));
        }
        return List.copyOf(table.rows);
    }

    /// The draft head; empty if the configuration has none. It shares embedding and output head.
    public static List<Expected> mtp(ModelConfig config) {
        if (config.mtpLayers() == 0) {
            return List.of();
        }
        int hidden = config.hiddenSize();
        WeightNames table = table(MTP);
        table.add("pre_fc_norm_embedding.weight", hidden);
        table.add("pre_fc_norm_hidden.weight", hidden);
        table.add("fc.weight", hidden, 2L * hidden);
        table.part("layers.0.").layer(config, LayerType.ATTENTION);
        table.add("norm.weight", hidden);
        return List.copyOf(table.rows);
    }

    /// The vision tower; empty if the configuration has none.
    public static List<Expected> vision(ModelConfig config) {
        WeightNames table = table(VISION);
        config.vision().ifPresent(table::tower);
        return List.copyOf(table.rows);
    }

    /// The three tables in a row.
    public static List<Expected> all(ModelConfig config) {
        List<Expected> all = new ArrayList<>(text(config));
        all.addAll(mtp(config));
        all.addAll(vision(config));
        return List.copyOf(all);
    }

    /// Whether a source has tensors of a group, `MTP` or `VISION`; then it has all of them.
    public static boolean has(TensorSource source, String group) {
        return source.tensors().sequencedKeySet().stream().anyMatch(n -> n.startsWith(group));
    }

    /// Whether the experts of a layer are stored as two fused tensors; else one matrix per expert
    /// and projection, `mlp.experts.E.gate_proj.weight` and so on.
    ///
    /// @param layer what `layer` gives, or `mtp.layers.0.`
    public static boolean fusedExperts(TensorSource source, String layer) {
        return source.tensors().containsKey(layer + FUSED_UP)
                || source.tensors().containsKey(layer + FUSED_DOWN);
    }

    /// Checks a source against the tables: nothing missing, misshaped, of another type, or left
    /// over. The groups `mtp.*` and `model.visual.*` may be absent as a whole. A head beside a tied
    /// embedding must fit and is then ignored, as the reference does.
    ///
    /// @throws brantas.settings.BrantasException for the first tensor at fault
    public static void check(TensorSource source) {
        new WeightCheck(source).run();
    }

    static Expected head(ModelConfig config) {
        return new Expected(HEAD, new long[] {config.vocabSize(), config.hiddenSize()});
    }

    /// The three matrices of expert `index`, whose fused form is in the table of its layer.
    static List<Expected> expert(String layer, int index, Experts experts, int hidden) {
        WeightNames one = table(layer + "mlp.experts." + index + ".");
        one.gatedMlp(experts.inner(), hidden);
        return one.rows;
    }

    private void add(String name, long... shape) {
        rows.add(new Expected(prefix + name, shape));
    }

    private void layer(ModelConfig config, LayerType type) {
        int hidden = config.hiddenSize();
        add("input_layernorm.weight", hidden);
        switch (type) {
            case DELTA -> delta(config.delta(), hidden);
            case ATTENTION -> attention(config.attention(), hidden);
        }
        add("post_attention_layernorm.weight", hidden);
        switch (config.feedForward()) {
            case Dense dense -> part("mlp.").gatedMlp(dense.intermediate(), hidden);
            case Experts experts -> experts(experts, hidden);
        }
    }

    /// A table that adds to this one under a longer prefix.
    private WeightNames part(String more) {
        return new WeightNames(prefix + more, rows);
    }

    private void delta(DeltaConfig delta, int hidden) {
        int heads = delta.valueHeads();
        add("linear_attn.in_proj_qkv.weight", delta.convChannels(), hidden);
        add("linear_attn.in_proj_z.weight", delta.valueWidth(), hidden);
        add("linear_attn.in_proj_b.weight", heads, hidden);
        add("linear_attn.in_proj_a.weight", heads, hidden);
        add("linear_attn.conv1d.weight", delta.convChannels(), 1, delta.convWidth());
        add("linear_attn.A_log", heads);
        add("linear_attn.dt_bias", heads);
        add("linear_attn.norm.weight", delta.valueDim());
        add("linear_attn.out_proj.weight", hidden, delta.valueWidth());
    }

    private void attention(AttentionConfig attention, int hidden) {
        long width = (long) attention.heads() * attention.headDim();
        long kvWidth = (long) attention.kvHeads() * attention.headDim();
        // Twice the width: each head's query is followed by its output gate.
        add("self_attn.q_proj.weight", 2 * width, hidden);
        add("self_attn.k_proj.weight", kvWidth, hidden);
        add("self_attn.v_proj.weight", kvWidth, hidden);
        add("self_attn.o_proj.weight", hidden, width);
        add("self_attn.q_norm.weight", attention.headDim());
        add("self_attn.k_norm.weight", attention.headDim());
    }

    private void experts(Experts e, int hidden) {
        add("mlp.gate.weight", e.experts(), hidden);
        add(FUSED_UP, e.experts(), 2L * e.inner(), hidden);
        add(FUSED_DOWN, e.experts(), hidden, e.inner());
        part("mlp.shared_expert.").gatedMlp(e.sharedInner(), hidden);
        add("mlp.shared_expert_gate.weight", 1, hidden);
    }

    private void gatedMlp(int inner, int hidden) {
        add("gate_proj.weight", inner, hidden);
        add("up_proj.weight", inner, hidden);
        add("down_proj.weight", hidden, inner);
    }

    private void tower(VisionConfig v) {
        Patch patch = v.patch();
        add(
                "patch_embed.proj.weight",
                v.width(),
                patch.channels(),
                patch.frames(),
                patch.size(),
                patch.size());
        add("patch_embed.proj.bias", v.width());
        add("pos_embed.weight", v.positions(), v.width());
        for (int i = 0; i < v.depth(); i++) {
            WeightNames block = part("blocks." + i + ".");
            block.affine("norm1", v.width());
            block.affine("norm2", v.width());
            block.affine("attn.qkv", 3L * v.width(), v.width());
            block.affine("attn.proj", v.width(), v.width());
            block.affine("mlp.linear_fc1", v.inner(), v.width());
            block.affine("mlp.linear_fc2", v.width(), v.inner());
        }
        affine("merger.norm", v.width());
        affine("merger.linear_fc1", v.mergedWidth(), v.mergedWidth());
        affine("merger.linear_fc2", v.out(), v.mergedWidth());
    }

    /// A weight and a bias as long as its first dimension.
    private void affine(String name, long... shape) {
        add(name + ".weight", shape);
        add(name + ".bias", shape[0]);
    }
}
