package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LanesTest {
    private static final long SEED = 11;

    private static float exp(float x) {
        return Lanes.exp(FloatVector.broadcast(F, x)).lane(0);
    }

    @Test
    void expIsWithinTwoUlp() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int i = 0; i < 200_000; i++) {
            float x = (float) (random.nextDouble() * 175 - 87);
            double exact = Math.exp(x);
            double error = Math.abs(exp(x) - exact) / Math.ulp((float) exact);
            assertThat(error).as("exp(%s), seed %s", x, SEED).isLessThanOrEqualTo(2);
        }
    }

    @Test
    void expAtTheEnds() {
        assertThat(exp(0f)).isEqualTo(1f);
        assertThat(exp(Float.NEGATIVE_INFINITY)).isZero();
        assertThat(exp(-100f)).isZero();
        assertThat(exp(1000f)).isFinite().isGreaterThan(1e38f);
        assertThat(exp(Float.NaN)).isNaN();
    }

    @Test
    void sumsTogetherAreTheSumsAlone() {
        SplittableRandom random = new SplittableRandom(SEED);
        float[] vectors = new float[8 * L];
        for (int i = 0; i < vectors.length; i++) {
            vectors[i] = (float) (random.nextDouble() - 0.5);
        }
        float[] four = new float[Math.max(8, L)];
        float[] eight = new float[Math.max(8, L)];
        Lanes.sums4(vectors, four);
        Lanes.sums8(vectors, eight);
        for (int i = 0; i < 8; i++) {
            float alone = Lanes.sum(FloatVector.fromArray(F, vectors, i * L));
            assertThat(eight[Lanes.sumLane(i)]).as("vector %s of 8", i).isEqualTo(alone);
            if (i < 4) {
                assertThat(four[Lanes.sumLane(i)]).as("vector %s of 4", i).isEqualTo(alone);
            }
        }
    }

    @Test
    void permutesRowsOfAnyLength() {
        try (Arena arena = Arena.ofConfined()) {
            for (int count = 1; count < 3 * Lanes.UNIT; count++) {
                MemorySegment row = arena.allocate(4L * count, 4);
                for (int k = 0; k < count; k++) {
                    row.setAtIndex(ValueLayout.JAVA_FLOAT, k, k + 1);
                }
                float[] expected = new float[Lanes.pad(count, Lanes.UNIT)];
                for (int k = 0; k < count; k++) {
                    expected[Lanes.slot(k)] = k + 1;
                }
                float[] actual = new float[expected.length];
                Arrays.fill(actual, -1f);
                Lanes.permute(row.address(), count, actual, 0);
                assertThat(actual).as("%s values", count).containsExactly(expected);
            }
        }
    }
}
