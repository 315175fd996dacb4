package brantas.cuda.launch;

import brantas.op.DeltaShape;

/// Device memory between the two halves of the chunked delta rule: normalised queries and keys by
/// row, then a record for each chunk and value head. Layers may share one, since each uses it up.
///
/// @param address aligned to 256 bytes
/// @param rows of the largest batch, single rows included
/// @param sequences with several rows, of that batch at most
public record DeltaWorkspace(
        long address, DeltaForm form, DeltaShape shape, int rows, int sequences) {
    private static final int ALIGNMENT = 256;

    /// Bytes that a workspace with these sizes takes.
    public static long bytes(DeltaForm form, DeltaShape shape, int rows, int sequences) {
        long records = (long) form.chunks(rows, sequences) * shape.valueHeads();
        return scaledBytes(form, shape, rows) + records * form.record;
    }

    /// Queries and keys, 16-bit `[rows, 2 · keyWidth]`.
    long scaled() {
        return address;
    }

    /// Records `[chunk, valueHead]`.
    long chunks() {
        return address + scaledBytes(form, shape, rows);
    }

    /// Refuses a batch that the workspace is too small for.
    void hold(int batchRows, int batchSequences) {
        if (batchRows > rows || batchSequences > sequences) {
            throw new IllegalArgumentException(
                    "The delta rule's workspace holds %d rows of %d sequences, not %d of %d."
                            .formatted(rows, sequences, batchRows, batchSequences));
        }
    }

    private static long scaledBytes(DeltaForm form, DeltaShape shape, int rows) {
        long bytes = form == DeltaForm.EXACT ? 0 : 2L * rows * 2 * shape.keyWidth();
        return Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
    }
}
