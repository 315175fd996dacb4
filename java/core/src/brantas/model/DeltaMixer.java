package brantas.model;

import brantas.op.Backend;
import brantas.op.DeltaGates;
import brantas.op.DeltaShape;
import brantas.op.DeltaState;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// The gated delta-rule mixer (spec 4).
///
/// @param in the projections qkv, z, b, a stacked: `[shape.projected(), hidden]`
/// @param conv `[channels, taps]`
/// @param norm `[valueDim]`
/// @param out `[hidden, valueWidth]`
record DeltaMixer(
        Backend ops,
        DeltaShape shape,
        Weight in,
        Weight conv,
        DeltaGates gates,
        Weight norm,
        Weight out)
        implements Mixer {
    @Override
    public void forward(StepBatch batch, LayerState layer, Workspace ws) {
        DeltaState state = ((LayerState.Delta) layer).state();
        ops.linear(ws.deltaIn(), ws.normed(), in, batch.span());
        ops.convolve(ws.convolved(), ws.deltaIn(), conv, state, batch);
        ops.scan(ws.deltaOut(), ws.convolved(), ws.deltaIn(), gates, state, batch);
        ops.gatedNorm(ws.deltaOut(), ws.deltaOut(), ws.deltaIn(), norm, shape, batch.span());
        ops.linearAdd(ws.hidden(), ws.deltaOut(), out, batch.span());
    }
}
