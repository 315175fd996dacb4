package brantas.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.RowSpan;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.plain.PlainBackend;
import brantas.simd.Program.Seq;
import brantas.simd.Programs.DeltaInput;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Every op against the referee on odd sizes, and bit for bit against itself in other batches and
/// with other numbers of threads.
class SimdBackendTest {
    private static final DeltaShape TINY = new DeltaShape(2, 6, 7, 5, 4, 1e-6f);
    private static final DeltaShape USUAL = new DeltaShape(2, 4, 32, 80, 4, 1e-6f);

    /// Several single rows and sequences around the sizes of tiles and chunks.
    private static final List<Seq> MIX =
            List.of(
                    new Seq(0, 3, 1),
                    new Seq(1, 0, 1),
                    new Seq(2, 70, 1),
                    new Seq(3, 2, 1),
                    new Seq(4, 1, 1),
                    new Seq(5, 0, 2),
                    new Seq(6, 5, 17),
                    new Seq(7, 64, 3),
                    new Seq(8, 0, 70),
                    new Seq(9, 33, 65));

    static Stream<Program> programs() {
        long seed = 20_26;
        return Stream.of(
                Programs.linear("linear", seed, DType.BF16, false, 96, 24),
                Programs.linear("linear", seed, DType.BF16, false, 1056, 61, 3, 1, 50),
                Programs.linear("linear", seed, DType.BF16, true, 545, 7, 6),
                Programs.linear("linear", seed, DType.F16, false, 77, 53),
                Programs.linear("linear", seed, DType.F32, true, 64, 12, 37),
                Programs.linear("linear", seed, DType.BF16, false, 1, 1),
                Programs.norm(seed, 37),
                Programs.norm(seed, 1024),
                Programs.swiGlu(seed, 35, 21),
                Programs.swiGlu(seed, 64, 1500),
                Programs.embed(seed, DType.BF16, 64),
                Programs.embed(seed, DType.F32, 33),
                Programs.gatedNorm(seed, TINY),
                Programs.gatedNorm(seed, USUAL),
                Programs.attention(seed, new AttentionShape(4, 2, 18, 6, 1e-6f), 5),
                Programs.attention(seed, new AttentionShape(6, 1, 64, 16, 1e-6f), 64),
                Programs.attention(seed, new AttentionShape(2, 2, 32, 32, 1e-6f), 70),
                Programs.delta(seed, TINY, DeltaInput.RANDOM),
                Programs.delta(seed, USUAL, DeltaInput.RANDOM),
                Programs.delta(seed, USUAL, DeltaInput.CORRELATED),
                Programs.delta(seed, USUAL, DeltaInput.STRONG_DECAY),
                Programs.experts(seed, DType.BF16, new ExpertShape(7, 3, 32, 64), 96),
                Programs.experts(seed, DType.F32, new ExpertShape(5, 2, 21, 13), 45));
    }

    @ParameterizedTest
    @MethodSource("programs")
    void agreesWithTheReferee(Program program) {
        Map<Integer, float[]> expected = run(new PlainBackend(), program, MIX);
        assertClose(program, run(new SimdBackend(2), program, MIX), expected, 1e-5);
    }

    @ParameterizedTest
    @MethodSource("programs")
    void givesTheSameBitsInEveryBatch(Program program) {
        Map<Integer, float[]> together = run(new SimdBackend(2), program, MIX);
        for (Seq s : MIX) {
            assertThat(run(new SimdBackend(1), program, List.of(s)).get(s.id()))
                    .as("%s: %s alone", program, s)
                    .containsExactly(together.get(s.id()));
        }
        SplittableRandom random = new SplittableRandom(program.seed);
        for (int mix = 0; mix < 4; mix++) {
            List<Seq> some = new ArrayList<>(MIX);
            Collections.shuffle(some, new Random(random.nextLong()));
            List<Seq> part = some.subList(0, 2 + random.nextInt(7));
            Map<Integer, float[]> result = run(new SimdBackend(1 + mix % 3), program, part);
            result.forEach((id, values) ->
                    assertThat(values)
                            .as("%s: sequence %s of %s", program, id, part)
                            .containsExactly(together.get(id)));
        }
    }

    /// Steps of few rows over a long past are split along the keys.
    @ParameterizedTest
    @ValueSource(ints = {1, 4, 8, 9})
    void attendsOverALongPast(int rows) {
        AttentionShape shape = new AttentionShape(4, 2, 16, 8, 1e-6f);
        for (int pageSize : new int[] {24, 64}) {
            Program program = Programs.attention(3, shape, pageSize);
            List<Seq> both = List.of(new Seq(0, 1100, rows), new Seq(1, 520 - rows, rows));
            Map<Integer, float[]> together = run(new SimdBackend(2), program, both);
            assertClose(program, together, run(new PlainBackend(), program, both), 1e-5);
            for (Seq s : both) {
                assertThat(run(new SimdBackend(1), program, List.of(s)).get(s.id()))
                        .as("%s: %s alone", program, s)
                        .containsExactly(together.get(s.id()));
            }
        }
    }

    @Test
    void refusesWhatIsNotInATable() {
        try (SimdBackend ops = new SimdBackend(1)) {
            SplittableRandom random = new SplittableRandom(1);
            Weight table = ops.matrix(List.of(Program.tensor(random, DType.BF16, 1, 3, 32)));
            Buffer x = ops.buffer("x", 1, 32);
            StepBatch batch = new StepBatch(1, 1, 1);
            batch.clear();
            batch.addSequence(0, 0);
            batch.addRow(3, 0, 0, 0, true);
            batch.seal();
            assertThatThrownBy(() -> ops.embed(x, table, batch))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> ops.linear(ops.buffer("y", 1, 2), x, table, new RowSpan(1, 1)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void peaksArePositive() {
        assertThat(MachinePeaks.gemmFlops(1)).isBetween(1e8, 1e13);
        assertThat(MachinePeaks.readBandwidth(2)).isBetween(1e7, 1e13);
    }

    static Map<Integer, float[]> run(Backend backend, Program program, List<Seq> sequences) {
        try (backend) {
            return program.run(backend, sequences);
        }
    }

    /// Differences relative to the largest value of the sequence.
    static void assertClose(
            Program p, Map<Integer, float[]> actual, Map<Integer, float[]> expected, double tol) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        expected.forEach((id, values) -> {
            float[] got = Objects.requireNonNull(actual.get(id));
            double largest = 0;
            double worst = 0;
            for (int i = 0; i < values.length; i++) {
                double difference = Math.abs((double) got[i] - values[i]);
                largest = Math.max(largest, Math.abs(values[i]));
                worst = Math.max(worst, Double.isNaN(difference) ? 1e30 : difference);
            }
            assertThat(worst)
                    .as("%s: sequence %s, largest value %s", p, id, largest)
                    .isLessThanOrEqualTo(tol * largest);
        });
    }
}
