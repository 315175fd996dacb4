package brantas.cuda.blas;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// Which of two times decides for cuBLAS.
class TrialTest {
    @Test
    void onlyAShorterTimeSpeaksForCublas() {
        assertThat(Trial.reason(0.5f, Math.nextDown(0.5f))).isEmpty();
        assertThat(Trial.reason(0.5f, 0.5f)).isNotEmpty();
        assertThat(Trial.reason(0.25f, 0.5f))
                .isEqualTo("a product takes it 0.500 ms and our kernel 0.250 ms on this device");
    }

    @Test
    void aTimeThatIsNoNumberDoesNot() {
        assertThat(Trial.reason(0.5f, Float.NaN)).isNotEmpty();
    }
}
