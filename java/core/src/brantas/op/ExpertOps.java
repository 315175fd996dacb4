package brantas.op;

import brantas.tensor.Buffer;

/// Sparse mixture of experts (spec 5.2).
public interface ExpertOps {
    /// Softmax over the router's logits, top-k (larger first, then the lower index), weights that
    /// sum to one, and the sigmoid gate of the shared expert.
    ///
    /// @param dst receives indices and weights
    /// @param x `[rows, hidden]`
    /// @param router `[experts + 1, hidden]`: the last row is the shared expert's gate
    void route(Routing dst, Buffer x, Weight router, RowSpan rows);

    /// `dst[row] += Σ weight · expert(x[row]) + gate · shared(x[row])`, experts in slot order,
    /// fp32.
    ///
    /// @param dst `[rows, hidden]`
    /// @param x `[rows, hidden]`
    /// @param experts from [Backend#experts]
    void experts(Buffer dst, Buffer x, Routing routing, Weight experts, RowSpan rows);
}
