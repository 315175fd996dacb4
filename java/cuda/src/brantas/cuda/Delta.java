package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Module;
import brantas.cuda.launch.Convolve;
import brantas.cuda.launch.DeltaForm;
import brantas.cuda.launch.DeltaOperands;
import brantas.cuda.launch.DeltaPrepare;
import brantas.cuda.launch.DeltaScan;
import brantas.cuda.launch.DeltaStep;
import brantas.cuda.launch.DeltaWorkspace;
import brantas.op.DeltaShape;
import brantas.op.DeltaWeights;
import brantas.op.StepBatch;
import brantas.op.StepSizes;
import brantas.settings.BrantasException;
import org.jspecify.annotations.Nullable;

/// The gated delta rule: one launch for single rows, convolution included; convolution and then the
/// rule's chunked form for longer sequences.
final class Delta {
    private static final int DIM = 128;
    private static final int TAPS = 4;

    private final Store store;
    private final CurrentStep step;
    private final DeltaForm form;
    private final Convolve convolve;
    private final DeltaStep single;
    private final DeltaPrepare prepare;
    private final DeltaScan scan;
    private @Nullable Room room;
    private @Nullable Convolution begun;

    /// What single rows still need of [#convolve] when the rule runs over them.
    private record Convolution(DeltaSlots state, DeviceWeight weight) {}

    /// Memory between the two halves of the chunked form.
    private record Room(DeviceMemory memory, DeltaShape shape, int rows, int sequences) {
        boolean holds(DeltaShape other, int otherRows, int otherSequences) {
            return shape.equals(other) && rows >= otherRows && sequences >= otherSequences;
        }
    }

    Delta(Store store, CurrentStep step, Module module, DeltaForm form) {
        this.store = store;
        this.step = step;
        this.form = form;
        convolve = new Convolve(module);
        single = new DeltaStep(module);
        prepare = new DeltaPrepare(module, form);
        scan = new DeltaScan(module, form, store.device().info().multiprocessors());
    }

    /// Refuses shapes that no kernel is built for.
    static void check(DeltaShape shape) {
        boolean dims = shape.keyDim() == DIM && shape.valueDim() == DIM;
        if (!dims || shape.convWidth() != TAPS) {
            throw new BrantasException(
                    "The cuda backend runs delta-rule heads of 128 values behind a convolution of 4"
                            + " taps, and this model has keys of "
                            + shape.keyDim()
                            + ", values of "
                            + shape.valueDim()
                            + " and "
                            + shape.convWidth()
                            + " taps: use --backend simd.");
        }
    }

    void reserve(StepSizes sizes) {
        room(sizes.delta(), sizes.rows(), sizes.sequences());
    }

    private DeltaWorkspace room(DeltaShape shape, int rows, int sequences) {
        Room now = room;
        if (now == null || !now.holds(shape, rows, sequences)) {
            long bytes = DeltaWorkspace.bytes(form, shape, rows, sequences);
            DeviceMemory memory = store.allocate("delta-rule chunks", bytes);
            now = new Room(memory, shape, rows, sequences);
            room = now;
        }
        return new DeltaWorkspace(now.memory().address(), form, shape, now.rows(), now.sequences());
    }

    /// Rows of sequences with several; those of single rows never exist, see [#single].
    void convolve(
            DeviceBuffer dst,
            DeviceBuffer projected,
            DeviceWeight weight,
            DeltaSlots state,
            StepBatch batch) {
        Convolve.Operands operands =
                new Convolve.Operands(
                        dst.matrix(),
                        projected.matrix(),
                        weight.address(),
                        state.window().address());
        convolve.launch(step.stream(), operands, step.address(), step.tiles(Convolve.TILE));
        begun = new Convolution(state, weight);
    }

    /// The rule over a layer whose [#convolve] was the last.
    void scan(
            DeviceBuffer dst,
            DeviceBuffer convolved,
            DeviceBuffer projected,
            DeltaWeights weights,
            DeltaSlots state,
            StepBatch batch) {
        DeltaOperands operands =
                new DeltaOperands(
                        state.shape(),
                        dst.matrix(),
                        convolved.matrix(),
                        projected.matrix(),
                        CudaBackend.device(weights.aLog()).address(),
                        CudaBackend.device(weights.dtBias()).address(),
                        state.state().address());
        single(operands, state, batch);
        several(operands, state, batch);
    }

    /// Convolution and rule of single rows.
    private void single(DeltaOperands operands, DeltaSlots state, StepBatch batch) {
        Convolution of = begun;
        if (of == null || !of.state().equals(state)) {
            throw new IllegalStateException("the delta rule runs behind its layer's convolution");
        }
        DeltaStep.Convolution convolution =
                new DeltaStep.Convolution(of.weight().address(), state.window().address());
        single.launch(
                step.stream(), operands, convolution, step.address(), step.singles(batch.span()));
    }

    /// The rule of sequences with several rows.
    private void several(DeltaOperands operands, DeltaSlots state, StepBatch batch) {
        if (step.several(batch.span()).count() == 0) {
            return;
        }
        int rows = batch.rows();
        int sequences = batch.sequences() - step.singles(batch.span()).count();
        DeltaWorkspace work = room(state.shape(), rows, sequences);
        prepare.launch(step.stream(), operands, step.address(), work, rows, sequences);
        scan.launch(step.stream(), operands, step.address(), work, sequences);
    }
}
