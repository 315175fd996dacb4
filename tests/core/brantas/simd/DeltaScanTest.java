package brantas.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import brantas.op.DeltaShape;
import brantas.op.DeltaWeights;
import brantas.op.StepBatch;
import brantas.op.Weight;
import brantas.plain.PlainBackend;
import brantas.simd.Program.Seq;
import brantas.simd.Programs.DeltaInput;
import brantas.tensor.DType;
import brantas.tensor.HostBuffer;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The chunked form against the referee's recurrence, and the worked example of spec 4.6.
class DeltaScanTest {
    private static final DeltaShape SHAPE = new DeltaShape(1, 2, 128, 128, 4, 1e-6f);

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 63, 64, 65, 127, 128, 200})
    void chunksEqualTheRecurrence(int rows) {
        for (DeltaInput input : DeltaInput.values()) {
            Program program = Programs.delta(97 + rows, SHAPE, input);
            List<Seq> one = List.of(new Seq(0, 9, rows));
            SimdBackendTest.assertClose(
                    program,
                    SimdBackendTest.run(new SimdBackend(2), program, one),
                    SimdBackendTest.run(new PlainBackend(), program, one),
                    1e-5);
        }
    }

    private static HostTensor tensor(float... values) {
        MemorySegment data = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, values);
        return new HostTensor("t", DType.F32, new long[] {values.length}, data);
    }

    /// Of one head; the scan alone does not look at the convolution's.
    private static DeltaWeights weights(SimdBackend ops, float aLog, float dtBias) {
        Weight rate = ops.vector(tensor(aLog));
        return new DeltaWeights(rate, rate, ops.vector(tensor(dtBias)));
    }

    /// Runs the three rows of the example in steps of the given lengths from its initial state.
    private static float[][] example(DeltaSlots state, SimdBackend ops, int... steps) {
        double[][] conv = {{1, 2, 2, 1, 1, -1}, {3, -1, -1, 1, 2, .5}, {.5, .5, 0, 3, -.5, 3}};
        double[][] gate = {{.4, .3}, {-.7, -1.2}, {1.5, 2}};
        float[][] out = new float[3][2];
        DeltaWeights weights = weights(ops, (float) Math.log(2), .5f);
        int at = 0;
        for (int rows : steps) {
            HostBuffer convolved = (HostBuffer) ops.buffer("convolved", rows, 6);
            HostBuffer projected = (HostBuffer) ops.buffer("projected", rows, 10);
            HostBuffer dst = (HostBuffer) ops.buffer("output", rows, 2);
            StepBatch batch = new StepBatch(rows, 1, 64);
            batch.clear();
            batch.addSequence(at, 0);
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < 6; c++) {
                    convolved.set(r, c, conv[at + r][c]);
                }
                projected.set(r, 8, gate[at + r][0]);
                projected.set(r, 9, gate[at + r][1]);
                batch.addRow(0, at + r, at + r, at + r, true);
            }
            batch.seal();
            ops.scan(dst, convolved, projected, weights, state, batch);
            for (int r = 0; r < rows; r++, at++) {
                out[at][0] = dst.get(r, 0);
                out[at][1] = dst.get(r, 1);
            }
        }
        return out;
    }

    private static float state(DeltaSlots slots, int row, int col) {
        return Lanes.get(slots.state(0, 0) + 4L * (row * slots.stride() + col));
    }

    @ParameterizedTest
    @ValueSource(strings = {"3", "111", "12", "21"})
    void workedExample(String split) {
        double[][] outputs = {
            {0.352666237, -0.320432122}, {-0.305019536, -0.226614030}, {-0.204785949, 1.225374844}
        };
        double[][] states = {{-0.001432878, -0.001961532}, {-0.408139429, 2.452713671}};
        double[][] initial = {{.1, -.2}, {.3, .4}};
        int[] steps = split.chars().map(c -> c - '0').toArray();
        try (SimdBackend ops = new SimdBackend(1)) {
            DeltaSlots slots = (DeltaSlots) ops.deltaState(new DeltaShape(1, 1, 2, 2, 4, 1e-6f), 1);
            for (int i = 0; i < 4; i++) {
                long at = slots.state(0, 0) + 4L * (i / 2 * slots.stride() + i % 2);
                Lanes.set(at, (float) initial[i / 2][i % 2]);
            }
            float[][] out = example(slots, ops, steps);
            for (int i = 0; i < 6; i++) {
                assertThat((double) out[i / 2][i % 2])
                        .as("output %s", i)
                        .isCloseTo(outputs[i / 2][i % 2], within(1e-6));
            }
            for (int i = 0; i < 4; i++) {
                assertThat((double) state(slots, i / 2, i % 2))
                        .as("state %s", i)
                        .isCloseTo(states[i / 2][i % 2], within(1e-6));
            }
        }
    }

    @Test
    void aClearedSlotIsZero() {
        try (SimdBackend ops = new SimdBackend(1)) {
            DeltaShape shape = new DeltaShape(1, 1, 2, 2, 4, 1e-6f);
            DeltaSlots used = (DeltaSlots) ops.deltaState(shape, 1);
            example(used, ops, 3);
            assertThat(state(used, 1, 1)).isNotZero();
            used.clear(0);
            for (int i = 0; i < 4; i++) {
                assertThat(state(used, i / 2, i % 2)).isZero();
            }
            DeltaSlots fresh = (DeltaSlots) ops.deltaState(shape, 1);
            assertThat(example(used, ops, 2, 1)).isDeepEqualTo(example(fresh, ops, 2, 1));
        }
    }

    @Test
    void decayedStatesDoNotTurnSubnormal() {
        try (SimdBackend ops = new SimdBackend(1)) {
            DeltaSlots slots = (DeltaSlots) ops.deltaState(SHAPE, 1);
            long at = slots.state(0, 0);
            Lanes.set(at, 1e-29f);
            HostBuffer zero = (HostBuffer) ops.buffer("zero", 1, SHAPE.projected());
            zero.set(0, SHAPE.a(), 50);
            HostBuffer dst = (HostBuffer) ops.buffer("dst", 1, SHAPE.valueWidth());
            Weight zeros = ops.vector(tensor(0f, 0f));
            DeltaWeights weights = new DeltaWeights(zeros, zeros, zeros);
            StepBatch batch = Program.batch(List.of(new Seq(0, 3, 1)));
            ops.scan(dst, zero, zero, weights, slots, batch);
            assertThat(Lanes.get(at)).isZero();
        }
    }
}
