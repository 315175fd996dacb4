package brantas.model;

import brantas.format.FeedForwardConfig;
import brantas.format.ModelConfig;
import brantas.format.Progress;
import brantas.format.TensorSource;
import brantas.format.WeightNames;
import brantas.op.AttentionNorms;
import brantas.op.Backend;
import brantas.op.DeltaWeights;
import brantas.op.ExpertTensors;
import brantas.op.GatedNorm;
import brantas.op.Norm;
import brantas.op.Weight;
import brantas.tensor.HostTensor;
import java.util.ArrayList;
import java.util.List;

/// Hands the tensors of a checkpoint to a backend and assembles the model. Which names exist and
/// which shapes they have was checked before ([WeightNames]); here they only find their place.
public final class ModelLoader {
    private static final String INPUT_NORM = "input_layernorm.weight";

    private final Backend ops;
    private final TensorSource source;
    private final ModelConfig config;
    private final Progress progress;
    private long done;

    private ModelLoader(Backend ops, TensorSource source, Progress progress) {
        this.ops = ops;
        this.progress = progress;
        this.source = source;
        this.config = source.config();
    }

    /// Builds the text model of a source on a backend. The source must stay open as long as the
    /// model.
    public static Qwen35 load(Backend ops, TensorSource source) {
        return load(ops, source, Progress.NONE);
    }

    /// As [#load(Backend, TensorSource)].
    ///
    /// @param progress told of the bytes handed to the backend
    public static Qwen35 load(Backend ops, TensorSource source, Progress progress) {
        return new ModelLoader(ops, source, progress).text();
    }

    /// A tensor on its way to the backend.
    private HostTensor take(String name) {
        HostTensor tensor = source.tensor(name);
        done += tensor.data().byteSize();
        progress.at("copying weights", done, source.bytes());
        return tensor;
    }

    private Qwen35 text() {
        ops.check(Shapes.all(config));
        String prefix = config.prefix();
        Weight embedding = ops.matrix(List.of(take(prefix + "embed_tokens.weight")));
        List<Block> blocks = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            String layer = prefix + "layers." + i + ".";
            Mixer mixer =
                    switch (config.layerTypes().get(i)) {
                        case ATTENTION -> attention(layer);
                        case DELTA -> delta(layer);
                    };
            blocks.add(new Block(mixer, feedForward(layer)));
        }
        Weight head = config.tied() ? embedding : ops.matrix(List.of(take(WeightNames.HEAD)));
        return new Qwen35(
                ops,
                config,
                embedding,
                List.copyOf(blocks),
                norm(prefix + "norm.weight"),
                head,
                source.bytes());
    }

    private Norm norm(String name) {
        return new Norm(vector(name), (float) config.rmsNormEps());
    }

    private Mixer delta(String layer) {
        String p = layer + "linear_attn.";
        DeltaWeights weights =
                new DeltaWeights(
                        vector(p + "conv1d.weight"), vector(p + "A_log"), vector(p + "dt_bias"));
        return new DeltaMixer(
                ops,
                norm(layer + INPUT_NORM),
                matrix(p, "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a"),
                weights,
                new GatedNorm(vector(p + "norm.weight"), Shapes.delta(config)),
                matrix(p, "out_proj"));
    }

    private Mixer attention(String layer) {
        String p = layer + "self_attn.";
        AttentionNorms norms =
                new AttentionNorms(vector(p + "q_norm.weight"), vector(p + "k_norm.weight"));
        return new AttentionMixer(
                ops,
                norm(layer + INPUT_NORM),
                matrix(p, "q_proj", "k_proj", "v_proj"),
                norms,
                matrix(p, "o_proj"));
    }

    private FeedForward feedForward(String layer) {
        String p = layer + "mlp.";
        Norm norm = norm(layer + "post_attention_layernorm.weight");
        return switch (config.feedForward()) {
            case FeedForwardConfig.Dense d ->
                    new FeedForward.Dense(
                            ops,
                            norm,
                            ops.gateUp(take(p + "gate_proj.weight"), take(p + "up_proj.weight")),
                            matrix(p, "down_proj"));
            case FeedForwardConfig.Experts e -> {
                Weight router = matrix(p, "gate", "shared_expert_gate");
                yield new FeedForward.Experts(
                        ops, norm, router, ops.experts(experts(p, e), Shapes.experts(e)));
            }
        };
    }

    /// Fused `[E, 2·inner, hidden]` or one tensor an expert; the shared expert comes last (spec
    /// 5.1).
    private ExpertTensors experts(String p, FeedForwardConfig.Experts e) {
        List<HostTensor> gate = new ArrayList<>();
        List<HostTensor> up = new ArrayList<>();
        List<HostTensor> down = new ArrayList<>();
        if (source.tensors().containsKey(p + "experts.gate_up_proj")) {
            HostTensor gateUp = take(p + "experts.gate_up_proj");
            HostTensor downs = take(p + "experts.down_proj");
            for (int i = 0; i < e.experts(); i++) {
                gate.add(gateUp.slice(i).rows(0, e.inner()));
                up.add(gateUp.slice(i).rows(e.inner(), 2 * e.inner()));
                down.add(downs.slice(i));
            }
        } else {
            for (int i = 0; i < e.experts(); i++) {
                String expert = p + "experts." + i + ".";
                gate.add(take(expert + "gate_proj.weight"));
                up.add(take(expert + "up_proj.weight"));
                down.add(take(expert + "down_proj.weight"));
            }
        }
        gate.add(take(p + "shared_expert.gate_proj.weight"));
        up.add(take(p + "shared_expert.up_proj.weight"));
        down.add(take(p + "shared_expert.down_proj.weight"));
        return new ExpertTensors(gate, up, down);
    }

    private Weight matrix(String prefix, String... names) {
        List<HostTensor> parts = new ArrayList<>();
        for (String name : names) {
            parts.add(take(prefix + name + ".weight"));
        }
        return ops.matrix(parts);
    }

    /// A small tensor as it is; `[C, 1, taps]` convolutions become `[C, taps]`.
    private Weight vector(String name) {
        HostTensor t = take(name);
        return ops.vector(t.shape().length == 3 ? t.reshape(t.shape()[0], t.shape()[2]) : t);
    }
}
