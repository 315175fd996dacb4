package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.op.DeltaShape;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Sizes between the two halves of the chunked delta rule: no batch may need more chunks than the
/// grid and the workspace provide for its rows and sequences.
class DeltaWorkspaceTest {
    private static final long SEED = 4;
    private static final DeltaShape SHAPE = new DeltaShape(2, 6, 128, 128, 4, 1e-6f);

    @ParameterizedTest
    @EnumSource(DeltaForm.class)
    void everyBatchHasItsChunks(DeltaForm form) {
        Random random = new Random(SEED);
        for (int round = 0; round < 1000; round++) {
            int[] lengths = random.ints(1 + random.nextInt(9), 2, 200).toArray();
            int rows = Arrays.stream(lengths).sum();
            int needed = Arrays.stream(lengths).map(n -> Math.ceilDiv(n, form.chunk)).sum();
            assertThat(form.chunks(rows, lengths.length))
                    .as("%s with seed %d", Arrays.toString(lengths), SEED)
                    .isGreaterThanOrEqualTo(needed);
        }
        assertThat(form.chunks(10 * (form.chunk + 1), 10)).as("the worst batch").isEqualTo(20);
        assertThat(form.chunks(0, 0)).isZero();
    }

    @ParameterizedTest
    @EnumSource(DeltaForm.class)
    void recordsLieBehindTheRowsAndEndWithTheWorkspace(DeltaForm form) {
        int rows = 777;
        int sequences = 5;
        DeltaWorkspace workspace = new DeltaWorkspace(1 << 20, form, SHAPE, rows, sequences);
        long operands = form == DeltaForm.EXACT ? 0 : 2L * rows * 2 * SHAPE.keyWidth();
        assertThat(workspace.chunks() % 256).isZero();
        assertThat(workspace.chunks()).isGreaterThanOrEqualTo(workspace.scaled() + operands);
        assertThat(workspace.address() + DeltaWorkspace.bytes(form, SHAPE, rows, sequences))
                .isEqualTo(
                        workspace.chunks()
                                + (long) form.chunks(rows, sequences)
                                        * SHAPE.valueHeads()
                                        * form.record);
    }

    @Test
    void aBatchThatDoesNotFitIsRefused() {
        DeltaWorkspace workspace = new DeltaWorkspace(0, DeltaForm.CHUNK_32, SHAPE, 100, 3);
        workspace.hold(100, 3);
        assertThatThrownBy(() -> workspace.hold(101, 3))
                .hasMessage(
                        "The delta rule's workspace holds 100 rows of 3 sequences, not 101 of 3.");
        assertThatThrownBy(() -> workspace.hold(100, 4)).hasMessageContaining("not 100 of 4");
    }

    @Test
    void aShapeThatTheKernelsAreNotWrittenForIsRefused() {
        assertThatThrownBy(() -> operands(new DeltaShape(2, 3, 128, 128, 4, 1e-6f)))
                .hasMessageContaining("not 3 for 2");
        assertThatThrownBy(() -> operands(new DeltaShape(2, 2, 128, 64, 4, 1e-6f)))
                .hasMessageContaining("not of 128 and 64");
        DeltaShape manyHeads = new DeltaShape(2, 10, 128, 128, 4, 1e-6f);
        assertThat(operands(manyHeads).shape()).isEqualTo(manyHeads);
    }

    @Test
    void theDeviceDecidesTheForm() {
        assertThat(DeltaForm.of(99 * 1024)).isEqualTo(DeltaForm.CHUNK_32);
        assertThat(DeltaForm.of(163 * 1024)).isEqualTo(DeltaForm.CHUNK_64);
        assertThat(DeltaForm.of(227 * 1024)).isEqualTo(DeltaForm.CHUNK_64);
    }

    private static DeltaOperands operands(DeltaShape shape) {
        Matrix none = new Matrix(0, 0, 0, 0);
        return new DeltaOperands(shape, none, none, none, 0, 0, 0);
    }
}
