package brantas.op;

import brantas.tensor.Buffer;

/// Root-mean-square norms and the feed-forward activation: one row at a time.
public interface NormOps {
    /// Zero-centred RMSNorm: `dst = x · rsqrt(mean(x²) + eps) · (1 + weight)` (spec 2.2).
    ///
    /// @param dst `[rows, hidden]`
    /// @param x `[rows, hidden]`
    /// @param weight `[hidden]`, the deviation from one
    void rmsNorm(Buffer dst, Buffer x, Weight weight, float eps, RowSpan rows);

    /// `dst = SiLU(gate) ⊙ up` (spec 2.4).
    ///
    /// @param dst `[rows, inner]`
    /// @param gateUp `[rows, 2 · inner]`: gate first
    void swiGlu(Buffer dst, Buffer gateUp, RowSpan rows);
}
