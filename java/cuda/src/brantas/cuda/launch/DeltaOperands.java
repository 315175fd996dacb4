package brantas.cuda.launch;

import brantas.op.DeltaShape;

/// What the kernels of the gated delta rule read and write, beside the step block.
///
/// @param dst bf16 `[rows, valueWidth]`
/// @param convolved bf16 `[rows, channels]`: q, k, v of sequences with several rows
/// @param projected bf16 `[rows, shape.projected()]`, for b and a, and for q, k, v of single rows
/// @param logRate address of A_log, fp32 `[valueHeads]`
/// @param bias address of dt_bias, fp32 `[valueHeads]`
/// @param state address of fp32 `[slot, valueHead, value, key]`
public record DeltaOperands(
        DeltaShape shape,
        Matrix dst,
        Matrix convolved,
        Matrix projected,
        long logRate,
        long bias,
        long state) {
    /// Values of a key and of a value: what the kernels are written for.
    static final int DIM = 128;

    /// Refuses what the kernels are not written for.
    public DeltaOperands {
        if (shape.keyDim() != DIM || shape.valueDim() != DIM) {
            throw new IllegalArgumentException(
                    "The delta rule's kernels take keys and values of %d, not of %d and %d."
                            .formatted(DIM, shape.keyDim(), shape.valueDim()));
        }
        if (shape.valueHeads() < 1 || shape.valueHeads() % shape.keyHeads() != 0) {
            throw new IllegalArgumentException(
                    "The delta rule's kernels take as many value heads for every key head, not %d for %d."
                            .formatted(shape.valueHeads(), shape.keyHeads()));
        }
    }
}
