package brantas.op;

/// The parameters of the decay: `g = −exp(A_log) · softplus(a + dt_bias)` (spec 4.3 step 6).
///
/// @param aLog `[valueHeads]`, fp32
/// @param dtBias `[valueHeads]`
public record DeltaGates(Weight aLog, Weight dtBias) {}
