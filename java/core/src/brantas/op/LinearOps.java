package brantas.op;

import brantas.tensor.Buffer;

/// Matrix products with weights; no biases in this family's text model.
public interface LinearOps {
    /// `dst[row] = weight · x[row]`.
    ///
    /// @param dst `[rows, out]`
    /// @param x `[rows, in]`
    /// @param weight `[out, in]`, see [Backend#matrix]
    void linear(Buffer dst, Buffer x, Weight weight, RowSpan rows);

    /// `dst[row] += weight · x[row]`: the projection back into the residual stream.
    ///
    /// @param dst `[rows, out]`
    /// @param x `[rows, in]`
    /// @param weight `[out, in]`
    void linearAdd(Buffer dst, Buffer x, Weight weight, RowSpan rows);

    /// `dst[row] = SiLU(gate · x[row]) ⊙ (up · x[row])`, in fp32 up to the result (spec 2.4).
    ///
    /// @param dst `[rows, inner]`
    /// @param x `[rows, in]`
    /// @param weight from [Backend#gateUp]
    void swiGlu(Buffer dst, Buffer x, Weight weight, RowSpan rows);
}
