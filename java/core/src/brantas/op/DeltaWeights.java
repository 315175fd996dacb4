package brantas.op;

/// The small parameters of a delta-rule layer: of its convolution, and of its decay `g =
/// −exp(A_log) · softplus(a + dt_bias)` (spec 4.3).
///
/// @param conv `[channels, taps]`
/// @param aLog `[valueHeads]`, fp32
/// @param dtBias `[valueHeads]`
public record DeltaWeights(Weight conv, Weight aLog, Weight dtBias) {}
