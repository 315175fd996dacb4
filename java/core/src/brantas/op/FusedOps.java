package brantas.op;

import brantas.tensor.Buffer;

/// Neighbouring ops of a layer as one, for devices on which each launch costs microseconds. Every
/// one is defined by its composition, the default; a backend that joins the parts keeps the
/// composition's roundings. Buffers called `normed` are room for rows between the parts: what is in
/// them afterwards is not specified unless an op says so.
public interface FusedOps extends RowOps, NormOps, LinearOps, DeltaOps, ExpertOps {
    /// `dst[row] = weight · norm(x[row])`.
    ///
    /// @param dst `[rows, out]`
    /// @param x `[rows, hidden]`
    /// @param normed `[rows, hidden]`
    /// @param weight `[out, hidden]`
    default void normLinear(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight weight, RowSpan rows) {
        rmsNorm(normed, x, norm, rows);
        linear(dst, normed, weight, rows);
    }

    /// `dst[row] = SiLU(gate · norm(x[row])) ⊙ (up · norm(x[row]))`.
    ///
    /// @param dst `[rows, inner]`
    /// @param x `[rows, hidden]`
    /// @param normed `[rows, hidden]`
    /// @param weight from [Backend#gateUp]
    default void normSwiGlu(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight weight, RowSpan rows) {
        rmsNorm(normed, x, norm, rows);
        swiGlu(dst, normed, weight, rows);
    }

    /// `dst[row] += weight · gatedNorm(o[row])`: the way out of the delta rule.
    ///
    /// @param dst `[rows, hidden]`
    /// @param o `[rows, valueWidth]`, may be changed
    /// @param projected `[rows, shape.projected()]`, for z
    /// @param weight `[hidden, valueWidth]`
    default void gatedLinearAdd(
            Buffer dst, Buffer o, Buffer projected, GatedNorm norm, Weight weight, RowSpan rows) {
        gatedNorm(o, o, projected, norm, rows);
        linearAdd(dst, o, weight, rows);
    }

    /// [#route] of normed rows, which are left in `normed` for the experts.
    ///
    /// @param x `[rows, hidden]`
    /// @param normed `[rows, hidden]`
    default void normRoute(
            Routing dst, Buffer x, Norm norm, Buffer normed, Weight router, RowSpan rows) {
        rmsNorm(normed, x, norm, rows);
        route(dst, normed, router, rows);
    }

    /// Logits of the wanted rows of the batch's window: `dst[i] = head · norm(x[outputRow(i)])`.
    ///
    /// @param dst `[outputs, vocabulary]`
    /// @param x `[rows, hidden]`
    /// @param normed `[outputs, hidden]`
    /// @param head `[vocabulary, hidden]`
    default void logits(
            Buffer dst, Buffer x, Norm norm, Buffer normed, Weight head, StepBatch batch) {
        gatherOutputs(normed, x, batch);
        rmsNorm(normed, normed, norm, batch.outputSpan());
        linear(dst, normed, head, batch.outputSpan());
    }
}
