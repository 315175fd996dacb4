package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// How many rows the kernels with a norm take.
class GemvTest {
    @Test
    void rowsThatFitSharedMemoryAreTakenTogether() {
        for (int depth = 1; depth <= 8192; depth++) {
            assertThat(Gemv.fusedRows(depth)).as("of %d", depth).isEqualTo(4);
        }
        assertThat(Gemv.fusedRows(16_384)).isEqualTo(2);
        assertThat(Gemv.fusedRows(32_768)).isEqualTo(1);
        assertThat(Gemv.fusedRows(65_536)).isZero();
    }
}
