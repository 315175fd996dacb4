package brantas.model;

import brantas.op.AttentionNorms;
import brantas.op.Backend;
import brantas.op.KvCache;
import brantas.op.Norm;
import brantas.op.StepBatch;
import brantas.op.Weight;

/// The gated attention mixer (spec 3).
///
/// @param input the norm before it
/// @param in the projections q (with gate), k, v stacked: `[shape.projected(), hidden]`
/// @param out `[hidden, heads · headDim]`
record AttentionMixer(Backend ops, Norm input, Weight in, AttentionNorms norms, Weight out)
        implements Mixer {
    @Override
    public void forward(StepBatch batch, LayerState layer, Workspace ws) {
        KvCache cache = ((LayerState.Attention) layer).cache();
        ops.normLinear(ws.attentionIn(), ws.hidden(), input, ws.normed(), in, batch.span());
        ops.storeKv(ws.query(), ws.attentionIn(), norms, ws.rotations(), cache, batch);
        ops.attend(ws.attentionOut(), ws.query(), ws.attentionIn(), cache, batch);
        ops.linearAdd(ws.hidden(), ws.attentionOut(), out, batch.span());
    }
}
