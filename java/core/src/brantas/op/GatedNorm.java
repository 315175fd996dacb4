package brantas.op;

/// The gated RMSNorm behind the delta rule (spec 2.3).
///
/// @param weight `[valueDim]`, not zero-centred
/// @param shape of the layer
public record GatedNorm(Weight weight, DeltaShape shape) {}
