package brantas.model;

import brantas.op.Backend;
import brantas.op.DeltaState;
import brantas.op.DeltaWeights;
import brantas.op.GatedNorm;
import brantas.op.Norm;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// The gated delta-rule mixer (spec 4).
///
/// @param input the norm before it
/// @param in the projections qkv, z, b, a stacked: `[shape.projected(), hidden]`
/// @param weights of the convolution and the decay
/// @param norm behind the delta rule
/// @param out `[hidden, valueWidth]`
record DeltaMixer(
        Backend ops, Norm input, Weight in, DeltaWeights weights, GatedNorm norm, Weight out)
        implements Mixer {
    @Override
    public void forward(StepBatch batch, LayerState layer, Workspace ws) {
        DeltaState state = ((LayerState.Delta) layer).state();
        ops.normLinear(ws.deltaIn(), ws.hidden(), input, ws.normed(), in, batch.span());
        ops.delta(ws.deltaOut(), ws.convolved(), ws.deltaIn(), weights, state, batch);
        ops.gatedLinearAdd(ws.hidden(), ws.deltaOut(), ws.deltaIn(), norm, out, batch.span());
    }
}
