package brantas.op;

import brantas.tensor.Buffer;

/// Gated attention over a paged cache (spec 3).
public interface AttentionOps {
    /// Cosine and sine of every row, once per step: `dst[row] = [cos × pairs | sin × pairs]`, times
    /// `rope.scale()`.
    ///
    /// @param dst `[rows, rotaryDim]`
    void rotations(Buffer dst, Rope rope, StepBatch batch);

    /// Norm and rotation of queries and keys; keys and values go to the cache (spec 3 steps 1–6).
    ///
    /// @param q `[rows, heads · headDim]`, receives the queries
    /// @param projected `[rows, shape.projected()]`
    /// @param norms zero-centred weights `[headDim]` of query and key
    /// @param rotations from [#rotations]
    void storeKv(
            Buffer q,
            Buffer projected,
            AttentionNorms norms,
            Buffer rotations,
            KvCache cache,
            StepBatch batch);

    /// Causal softmax attention of every row over its sequence, times the sigmoid of the output
    /// gate (spec 3 steps 7–8).
    ///
    /// @param dst `[rows, heads · headDim]`
    /// @param q from [#storeKv]
    /// @param projected `[rows, shape.projected()]`, for the gate
    void attend(Buffer dst, Buffer q, Buffer projected, KvCache cache, StepBatch batch);
}
