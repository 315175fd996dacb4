package brantas.op;

/// A zero-centred RMSNorm (spec 2.2).
///
/// @param weight `[hidden]`, the deviation from one
/// @param eps inside the root
public record Norm(Weight weight, float eps) {}
