package brantas.cuda;

import brantas.cuda.driver.DeviceException;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.launch.CountTokens;
import brantas.cuda.launch.Matrix;
import brantas.cuda.launch.Sample;
import brantas.op.StepBatch;
import brantas.op.TokenSampler;
import brantas.settings.BrantasException;
import brantas.tensor.Buffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;

/// Draws tokens on the device: the logits stay there, one small copy brings the ids back, and with
/// them the word in which kernels report impossible input.
final class Draws implements TokenSampler {
    private final CurrentStep step;
    private final Sizes sizes;
    private final CountTokens countTokens;
    private final Sample sample;
    private final DeviceMemory counts;
    private final Matrix countMatrix;
    private final DeviceMemory results;
    private final PinnedMemory returned;
    private final Sample.Places places;

    /// @param vocabulary width of a row of logits
    /// @param slots sequences whose tokens are counted
    /// @param outputs ids of a step, at most
    record Sizes(int vocabulary, int slots, int outputs) {}

    /// Refuses a vocabulary that the kernel is not built for.
    static void check(int vocabulary) {
        if (vocabulary > Sample.MOST_VOCABULARY) {
            throw new BrantasException(
                    "The cuda backend draws from vocabularies of up to "
                            + Sample.MOST_VOCABULARY
                            + " tokens, and this model has "
                            + vocabulary
                            + ": use --backend simd.");
        }
    }

    Draws(Store store, CurrentStep step, Module module, Sizes sizes, BitSet allowed) {
        this.step = step;
        this.sizes = sizes;
        countTokens = new CountTokens(module);
        sample = new Sample(module);
        counts = store.allocate("token counts", 4L * sizes.slots() * sizes.vocabulary());
        countMatrix =
                new Matrix(counts.address(), sizes.slots(), sizes.vocabulary(), sizes.vocabulary());
        long bytes = 4L * (sizes.outputs() + 1);
        results = store.allocate("drawn tokens", bytes);
        returned = store.device().allocatePinned("drawn tokens", bytes);
        store.placeFaults(results, 4L * sizes.outputs());
        byte[] bytesOfBits = allowed.get(0, sizes.vocabulary()).toByteArray();
        DeviceMemory bits =
                store.upload(
                        "allowed tokens",
                        4L * Math.ceilDiv(sizes.vocabulary(), 32),
                        MemorySegment.ofArray(bytesOfBits));
        places =
                new Sample.Places(
                        results.address(), bits.address(), countMatrix, store.faultsAddress());
    }

    @Override
    public void count(StepBatch batch) {
        boolean wanted = step.recording();
        for (int s = 0; s < batch.sequences() && !wanted; s++) {
            wanted = batch.counted(s) >= 0;
        }
        if (wanted) {
            countTokens.launch(step.stream(), countMatrix, step.address(), step.all(batch.span()));
        }
    }

    @Override
    public void draw(Buffer logits, StepBatch batch) {
        int outputs = step.all(batch.outputSpan()).count();
        Matrix rows = CudaBackend.device(logits).matrix();
        sample.launch(step.stream(), places, rows, step.address(), outputs);
    }

    @Override
    public void take(int[] ids, int outputs) {
        if (outputs == 0) {
            return;
        }
        try {
            step.stream().copyOut(returned, results);
            step.stream().synchronize();
        } catch (DeviceException e) {
            throw CudaBackend.said(e);
        }
        MemorySegment back = returned.segment();
        MemorySegment.copy(back, ValueLayout.JAVA_INT, 0, ids, 0, outputs);
        int faults = back.getAtIndex(ValueLayout.JAVA_INT, sizes.outputs());
        if (faults != 0) {
            step.stream().fill(results, 4L * sizes.outputs(), 4, (byte) 0);
            throw fault(faults, Arrays.copyOf(ids, outputs));
        }
    }

    private static BrantasException fault(int faults, int[] ids) {
        if ((faults & Sample.NO_CANDIDATE) != 0) {
            return new BrantasException(
                    "The model gave logits without a single number among them: the weights are"
                            + " damaged, or too large for bf16; check the checkpoint, or use"
                            + " --backend simd.");
        }
        throw new IllegalStateException(
                "a token outside the vocabulary reached the GPU, drawn were "
                        + Arrays.toString(ids));
    }

    @Override
    public void clear(int slot) {
        long bytes = 4L * sizes.vocabulary();
        step.stream().fill(counts, slot * bytes, bytes, (byte) 0);
    }
}
