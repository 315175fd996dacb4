package brantas.op;

/// Sizes of a sparse mixture-of-experts feed-forward (spec 5).
///
/// @param experts routed experts
/// @param perToken experts used for a token (top-k)
/// @param inner inner width of a routed expert
/// @param sharedInner inner width of the shared expert
public record ExpertShape(int experts, int perToken, int inner, int sharedInner) {}
