package brantas.model;

import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// One decoder layer: norm, mixer, norm, feed-forward; both add to the residual stream (spec 2.1).
///
/// @param inputNorm `[hidden]`, before the mixer
/// @param postNorm `[hidden]`, before the feed-forward
record Block(
        Backend ops,
        float eps,
        Weight inputNorm,
        Mixer mixer,
        Weight postNorm,
        FeedForward feedForward) {
    void forward(StepBatch batch, LayerState state, Workspace ws) {
        ops.rmsNorm(ws.normed(), ws.hidden(), inputNorm, eps, batch.span());
        mixer.forward(batch, state, ws);
        ops.rmsNorm(ws.normed(), ws.hidden(), postNorm, eps, batch.span());
        feedForward.forward(batch, ws);
    }
}
