package brantas.op;

import brantas.tensor.Buffer;

/// The gated delta rule (spec 4): convolution, state update, gated norm. State is fp32 in every
/// backend.
public interface DeltaOps {
    /// Two parts, one behind the other. Causal depthwise convolution over the q, k, v channels and
    /// SiLU (spec 4.3 step 3), from the window of each sequence's slot, which then holds the last
    /// inputs. L2 norms, gates and the delta rule itself (spec 4.3 steps 5–9): recurrent for a
    /// sequence with one row, in chunks of 64 (or row by row) otherwise; updates each sequence's
    /// state.
    ///
    /// @param dst `[rows, valueWidth]`
    /// @param convolved `[rows, channels]`, room for what is between the parts
    /// @param projected `[rows, shape.projected()]`
    void delta(
            Buffer dst,
            Buffer convolved,
            Buffer projected,
            DeltaWeights weights,
            DeltaState state,
            StepBatch batch);

    /// Gated RMSNorm per value head: `dst = o · rsqrt(mean(o²) + eps) · weight · SiLU(z)` (spec
    /// 2.3, all fp32).
    ///
    /// @param dst `[rows, valueWidth]`, may be `o`
    /// @param o `[rows, valueWidth]`
    /// @param projected `[rows, shape.projected()]`, for z
    void gatedNorm(Buffer dst, Buffer o, Buffer projected, GatedNorm norm, RowSpan rows);
}
