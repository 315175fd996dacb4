package brantas.model;

import brantas.op.StepBatch;

/// Mixes information between the tokens of a sequence: reads `ws.hidden` through its norm, adds to
/// `ws.hidden`, advances its state.
sealed interface Mixer permits DeltaMixer, AttentionMixer {
    void forward(StepBatch batch, LayerState state, Workspace ws);
}
