package brantas.op;

import brantas.tensor.Buffer;
import java.lang.foreign.MemorySegment;

/// Moving rows: embedding, gathering, and the way in and out of a backend's memory.
public interface RowOps {
    /// Takes the batch where the backend can read it; called once before the ops of a step.
    void begin(StepBatch batch);

    /// `dst[row] = table[token(row)]`, unscaled (spec 2.1).
    ///
    /// @param dst `[rows, hidden]`
    /// @param table `[vocabulary, hidden]`
    void embed(Buffer dst, Weight table, StepBatch batch);

    /// `dst[i] = src[outputRow(i)]`: the rows whose logits are wanted.
    ///
    /// @param dst `[outputs, hidden]`
    /// @param src `[rows, hidden]`
    void gatherOutputs(Buffer dst, Buffer src, StepBatch batch);

    /// Waits for the rows `[from, from + count)` and copies them out.
    ///
    /// @param dst fp32 `[count, src.cols()]` in native memory
    void download(MemorySegment dst, Buffer src, int from, int count);

    /// Copies rows in, for tests and for rows computed elsewhere.
    ///
    /// @param src fp32 `[count, dst.cols()]` in native memory
    void upload(Buffer dst, int from, int count, MemorySegment src);
}
