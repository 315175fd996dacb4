package brantas.conformance;

import brantas.model.ModelState;
import brantas.model.Qwen35;
import brantas.model.Workspace;
import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.op.TokenSampler;
import brantas.spi.Tap;
import java.util.BitSet;

/// Decode steps of a number of sequences that never change, drawn on the device, as the engine
/// makes them: the engine itself decides by the clock who shares a step. Positions before the step
/// are whatever memory holds, zeros at first.
final class Decoder {
    private static final int PAGE = 32;

    private final Backend ops;
    private final StepBatch batch;
    private final TokenSampler sampler;
    private final Runnable forwardAndDraw;
    private final int[] ids;

    /// @param context positions of each sequence, the new one included
    Decoder(Backend ops, Qwen35 model, int sequences, int context) {
        this.ops = ops;
        ids = new int[sequences];
        int pages = Math.ceilDiv(context, PAGE);
        ModelState state = new ModelState(ops, model.config(), sequences * pages, PAGE, sequences);
        Workspace ws = Workspace.of(ops, model.config(), sequences, sequences, sequences);
        BitSet allowed = new BitSet();
        allowed.set(0, model.config().vocabSize());
        sampler =
                ops.sampler(model.config().vocabSize(), allowed, sequences, sequences)
                        .orElseThrow();
        batch = new StepBatch(sequences, sequences, sequences * pages);
        batch.clear();
        for (int s = 0; s < sequences; s++) {
            batch.addSequence(context - 1, s);
            for (int page = 0; page < pages; page++) {
                batch.addPage(s * pages + page);
            }
            batch.addRow(17 + s, context - 1, context - 1, context - 1, true);
        }
        batch.seal();
        forwardAndDraw =
                () -> {
                    model.forward(batch, state, ws, Tap.NONE);
                    sampler.count(batch);
                    model.logits(batch, ws);
                    sampler.draw(ws.logits(), batch);
                };
    }

    /// One token for each sequence, at the same position every time.
    void step() {
        ops.step(batch, forwardAndDraw);
        sampler.take(ids, ids.length);
    }
}
