package brantas.op;

/// The largest step and the shapes in it: what [Backend#reserve] makes room for.
///
/// @param rows rows of a step
/// @param sequences sequences of a step
/// @param delta shape of the delta-rule layers
/// @param attention shape of the attention layers
/// @param inner inner width of a dense feed-forward, 0 with experts
public record StepSizes(
        int rows, int sequences, DeltaShape delta, AttentionShape attention, int inner) {}
