package brantas.op;

import brantas.tensor.Buffer;

/// The root-mean-square norm: one row at a time.
public interface NormOps {
    /// Zero-centred RMSNorm: `dst = x · rsqrt(mean(x²) + eps) · (1 + weight)` (spec 2.2).
    ///
    /// @param dst `[rows, hidden]`
    /// @param x `[rows, hidden]`
    void rmsNorm(Buffer dst, Buffer x, Norm norm, RowSpan rows);
}
