package brantas.model;

import brantas.format.FeedForwardConfig;
import brantas.format.ModelConfig;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.Routing;
import brantas.op.StepSizes;
import brantas.tensor.Buffer;

/// Every intermediate of a forward pass, sized once for the largest step. Blocks share it: a step
/// is straight-line code.
///
/// @param hidden `[rows, hidden]`, the residual stream
/// @param normed `[rows, hidden]`
/// @param rotations `[rows, rotaryDim]`
/// @param deltaIn `[rows, delta.projected()]`
/// @param convolved `[rows, channels]`
/// @param deltaOut `[rows, valueWidth]`
/// @param attentionIn `[rows, attention.projected()]`
/// @param query `[rows, heads · headDim]`
/// @param attentionOut `[rows, heads · headDim]`
/// @param inner `[rows, inner]`, empty for experts
/// @param routing for experts, of no rows for a dense model
/// @param outputs `[outputs, hidden]`
/// @param logits `[outputs, vocabulary]`
public record Workspace(
        Buffer hidden,
        Buffer normed,
        Buffer rotations,
        Buffer deltaIn,
        Buffer convolved,
        Buffer deltaOut,
        Buffer attentionIn,
        Buffer query,
        Buffer attentionOut,
        Buffer inner,
        Routing routing,
        Buffer outputs,
        Buffer logits) {
    private static final ExpertShape NO_EXPERTS = new ExpertShape(1, 1, 1, 1);

    /// Room for steps of up to `rows` rows in up to `sequences` sequences, of which up to `outputs`
    /// rows want logits at a time.
    public static Workspace of(
            Backend ops, ModelConfig config, int rows, int sequences, int outputs) {
        int hidden = config.hiddenSize();
        DeltaShape delta = Shapes.delta(config);
        AttentionShape attention = Shapes.attention(config);
        int inner =
                config.feedForward() instanceof FeedForwardConfig.Dense d ? d.intermediate() : 0;
        Routing routing =
                config.feedForward() instanceof FeedForwardConfig.Experts e
                        ? ops.routing(Shapes.experts(e), hidden, rows)
                        : ops.routing(NO_EXPERTS, 1, 0);
        ops.reserve(new StepSizes(rows, sequences, delta, attention, inner));
        return new Workspace(
                ops.buffer("hidden", rows, hidden),
                ops.buffer("normed", rows, hidden),
                ops.floats("rotations", rows, attention.rotaryDim()),
                ops.buffer("delta in", rows, delta.projected()),
                ops.buffer("convolved", rows, delta.channels()),
                ops.buffer("delta out", rows, delta.valueWidth()),
                ops.buffer("attention in", rows, attention.projected()),
                ops.buffer("query", rows, attention.width()),
                ops.buffer("attention out", rows, attention.width()),
                ops.buffer("inner", inner == 0 ? 0 : rows, inner),
                routing,
                ops.buffer("outputs", outputs, hidden),
                ops.floats("logits", outputs, config.vocabSize()));
    }

    /// Bytes that [#of] takes, for planning.
    ///
    /// @param valueBytes of an activation
    public static long bytes(ModelConfig config, int rows, int outputs, int valueBytes) {
        DeltaShape delta = Shapes.delta(config);
        AttentionShape attention = Shapes.attention(config);
        long perRow =
                2L * config.hiddenSize()
                        + attention.rotaryDim()
                        + delta.projected()
                        + delta.channels()
                        + delta.valueWidth()
                        + attention.projected()
                        + 2L * attention.width();
        perRow +=
                switch (config.feedForward()) {
                    case FeedForwardConfig.Dense d -> 3L * d.intermediate();
                    case FeedForwardConfig.Experts e ->
                            e.perToken() * (3L * e.inner() + 2L * config.hiddenSize())
                                    + 3L * e.sharedInner();
                };
        return valueBytes * (rows * perRow + (long) outputs * config.hiddenSize())
                + 4L * outputs * config.vocabSize();
    }
}
