package brantas.model;

import brantas.format.ModelConfig;
import brantas.op.Backend;
import brantas.op.Norm;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.spi.Tap;
import java.util.List;

/// The text model of the Qwen3.5 family (spec 2.1): embedding, blocks, final norm, head.
/// Straight-line code over the op contract; weights only, so that any number of states and
/// workspaces can use one model.
///
/// Activations between ops are whatever the backend keeps: fp32 on the CPU, as are all
/// accumulations of `simd` (fp64 in `plain`); bf16 on a GPU, with fp32 accumulations. Rotations and
/// logits are fp32 everywhere.
///
/// @param embedding `[vocabulary, hidden]`
/// @param norm before the head
/// @param head `[vocabulary, hidden]`; the embedding itself when tied
public record Qwen35(
        Backend ops,
        ModelConfig config,
        Weight embedding,
        List<Block> blocks,
        Norm norm,
        Weight head,
        long weightBytes) {
    /// Runs the rows of a batch through all blocks; states advance, `ws.hidden` holds the residual
    /// stream. Part of a step: see [Backend#step].
    public void forward(StepBatch batch, ModelState state, Workspace ws, Tap tap) {
        ops.embed(ws.hidden(), embedding, batch);
        ops.rotations(ws.rotations(), state.rope(), batch);
        for (int i = 0; i < blocks.size(); i++) {
            blocks.get(i).forward(batch, state.layer(i), ws);
            tap.hidden(i, ws.hidden(), batch.rows());
        }
    }

    /// Logits of the wanted rows of the last [#forward], in the batch's window: `[outputs,
    /// vocabulary]`, unmasked.
    public void logits(StepBatch batch, Workspace ws) {
        ops.logits(ws.logits(), ws.hidden(), norm, ws.outputs(), head, batch);
    }
}
