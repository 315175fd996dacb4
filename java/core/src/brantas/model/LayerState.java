package brantas.model;

import brantas.op.DeltaState;
import brantas.op.KvCache;

/// What a layer remembers of its sequences.
sealed interface LayerState {
    /// Pages of keys and values.
    record Attention(KvCache cache) implements LayerState {}

    /// Recurrent state and convolution window.
    record Delta(DeltaState state) implements LayerState {}
}
