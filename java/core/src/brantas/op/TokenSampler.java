package brantas.op;

import brantas.tensor.Buffer;

/// Draws tokens where the logits are, in the manner of [brantas.settings.Sampling]. Counts of
/// earlier tokens, for the penalties, live in the backend too, one set a slot.
public interface TokenSampler {
    /// Counts the step's tokens where a sequence asks for it. An op: may be part of a recorded
    /// step, after [RowOps#begin] and before [#draw].
    void count(StepBatch batch);

    /// Draws one id for each output of the step. An op, as [#count].
    ///
    /// @param logits `[outputs, vocabulary]`
    void draw(Buffer logits, StepBatch batch);

    /// Waits for the step.
    ///
    /// @param ids receives the id of each output
    /// @param outputs how many
    void take(int[] ids, int outputs);

    /// Forgets the counts of a slot: a new sequence begins.
    void clear(int slot);
}
