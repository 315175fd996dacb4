package brantas.model;

import brantas.op.StepBatch;

/// One decoder layer: norm, mixer, norm, feed-forward; both add to the residual stream (spec 2.1).
///
/// @param mixer with the first norm
/// @param feedForward with the second
record Block(Mixer mixer, FeedForward feedForward) {
    void forward(StepBatch batch, LayerState state, Workspace ws) {
        mixer.forward(batch, state, ws);
        feedForward.forward(batch, ws);
    }
}
