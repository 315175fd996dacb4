package brantas.model;

import brantas.op.Backend;
import brantas.op.Norm;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// The second half of a block: reads `ws.hidden` through its norm, adds to `ws.hidden`.
sealed interface FeedForward {
    void forward(StepBatch batch, Workspace ws);

    /// SwiGLU (spec 2.4).
    ///
    /// @param input the norm before it
    /// @param gateUp both matrices, see [Backend#gateUp]
    /// @param down `[hidden, inner]`
    record Dense(Backend ops, Norm input, Weight gateUp, Weight down) implements FeedForward {
        @Override
        public void forward(StepBatch batch, Workspace ws) {
            ops.normSwiGlu(ws.inner(), ws.hidden(), input, ws.normed(), gateUp, batch.span());
            ops.linearAdd(ws.hidden(), ws.inner(), down, batch.span());
        }
    }

    /// Sparse mixture of experts with a shared expert (spec 5).
    ///
    /// @param input the norm before it
    /// @param router `[experts + 1, hidden]`, the shared expert's gate last
    /// @param experts the matrices of all experts
    record Experts(Backend ops, Norm input, Weight router, Weight experts) implements FeedForward {
        @Override
        public void forward(StepBatch batch, Workspace ws) {
            ops.normRoute(ws.routing(), ws.hidden(), input, ws.normed(), router, batch.span());
            ops.experts(ws.hidden(), ws.normed(), ws.routing(), experts, batch.span());
        }
    }
}
