package brantas.model;

import brantas.format.FeedForwardConfig;
import brantas.format.ModelConfig;
import brantas.op.AttentionShape;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.ModelShapes;
import java.util.Optional;

/// From the words of `config.json` to the shapes of the op contract.
public final class Shapes {
    private Shapes() {}

    /// All sizes that a backend may have limits for.
    public static ModelShapes all(ModelConfig config) {
        Optional<ExpertShape> experts =
                config.feedForward() instanceof FeedForwardConfig.Experts e
                        ? Optional.of(experts(e))
                        : Optional.empty();
        return new ModelShapes(attention(config), delta(config), experts, config.vocabSize());
    }

    /// Sizes of the attention layers.
    public static AttentionShape attention(ModelConfig config) {
        ModelConfig.AttentionConfig a = config.attention();
        return new AttentionShape(
                a.heads(),
                a.kvHeads(),
                a.headDim(),
                a.rope().rotaryDim(),
                (float) config.rmsNormEps());
    }

    /// Sizes of the delta-rule layers.
    public static DeltaShape delta(ModelConfig config) {
        ModelConfig.DeltaConfig d = config.delta();
        return new DeltaShape(
                d.keyHeads(),
                d.valueHeads(),
                d.keyDim(),
                d.valueDim(),
                d.convWidth(),
                (float) config.rmsNormEps());
    }

    /// Sizes of the mixture of experts.
    public static ExpertShape experts(FeedForwardConfig.Experts e) {
        return new ExpertShape(e.experts(), e.perToken(), e.inner(), e.sharedInner());
    }
}
