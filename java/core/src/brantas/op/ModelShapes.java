package brantas.op;

import java.util.Optional;

/// The shapes of a whole model: what [Backend#check] judges before any weight is copied.
///
/// @param attention shape of the attention layers
/// @param delta shape of the delta-rule layers
/// @param experts shape of the mixture of experts, if there is one
/// @param vocabulary width of a row of logits
public record ModelShapes(
        AttentionShape attention,
        DeltaShape delta,
        Optional<ExpertShape> experts,
        int vocabulary) {}
