package brantas.op;

import brantas.tensor.Buffer;

/// The gated delta rule (spec 4): convolution, state update, gated norm. State is fp32 in every
/// backend.
public interface DeltaOps {
    /// Causal depthwise convolution over the q, k, v channels and SiLU (spec 4.3 step 3); continues
    /// from the window of each sequence's slot and stores the new one.
    ///
    /// @param dst `[rows, channels]`
    /// @param projected `[rows, shape.projected()]`
    /// @param weight `[channels, taps]`
    void convolve(Buffer dst, Buffer projected, Weight weight, DeltaState state, StepBatch batch);

    /// l2 norms, gates and the delta rule (spec 4.3 steps 5–9): recurrent for a sequence with one
    /// row, in chunks of 64 (or row by row) otherwise. Updates each sequence's state.
    ///
    /// @param dst `[rows, valueWidth]`
    /// @param convolved `[rows, channels]`
    /// @param projected `[rows, shape.projected()]`, for b and a
    /// @param gates A_log and dt_bias
    void scan(
            Buffer dst,
            Buffer convolved,
            Buffer projected,
            DeltaGates gates,
            DeltaState state,
            StepBatch batch);

    /// Gated RMSNorm per value head: `dst = o · rsqrt(mean(o²) + eps) · weight · SiLU(z)` (spec
    /// 2.3, all fp32).
    ///
    /// @param dst `[rows, valueWidth]`, may be `o`
    /// @param o `[rows, valueWidth]`
    /// @param projected `[rows, shape.projected()]`, for z
    /// @param weight `[valueDim]`, not zero-centred
    void gatedNorm(
            Buffer dst, Buffer o, Buffer projected, Weight weight, DeltaShape shape, RowSpan rows);
}
