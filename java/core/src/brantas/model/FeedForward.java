package brantas.model;

import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// The second half of a block: reads `ws.normed`, adds to `ws.hidden`.
sealed interface FeedForward {
    void forward(StepBatch batch, Workspace ws);

    /// SwiGLU (spec 2.4).
    ///
    /// @param gateUp `[2 · inner, hidden]`, gate first
    /// @param down `[hidden, inner]`
    record Dense(Backend ops, Weight gateUp, Weight down) implements FeedForward {
        @Override
        public void forward(StepBatch batch, Workspace ws) {
            ops.linear(ws.gateUp(), ws.normed(), gateUp, batch.span());
            ops.swiGlu(ws.inner(), ws.gateUp(), batch.span());
            ops.linearAdd(ws.hidden(), ws.inner(), down, batch.span());
        }
    }

    /// Sparse mixture of experts with a shared expert (spec 5).
    ///
    /// @param router `[experts + 1, hidden]`, the shared expert's gate last
    /// @param experts the matrices of all experts
    record Experts(Backend ops, Weight router, Weight experts) implements FeedForward {
        @Override
        public void forward(StepBatch batch, Workspace ws) {
            ops.route(ws.routing(), ws.normed(), router, batch.span());
            ops.experts(ws.hidden(), ws.normed(), ws.routing(), experts, batch.span());
        }
    }
}
