package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.cuda.CudaProvider;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.TensorSource;
import brantas.model.ModelLoader;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.op.ExpertTensors;
import brantas.op.ModelShapes;
import brantas.settings.BrantasException;
import brantas.simd.Program;
import brantas.spi.BackendProvider.Choice;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/// What the cuda backend refuses, on the emulated device: shapes that no kernel is built for, and
/// matrices that are not bf16.
class CudaRefusalsTest {
    @Test
    void refusesWhatNoKernelIsBuiltFor() {
        AttentionShape attention = new AttentionShape(4, 2, 256, 64, 1e-6f);
        Optional<ExpertShape> none = Optional.empty();
        try (Backend ops = cuda()) {
            ops.check(new ModelShapes(attention, delta(2, 16), none, 1 << 19));
            ExpertShape most = new ExpertShape(512, 16, 8, 8);
            ops.check(new ModelShapes(attention, delta(1, 1), Optional.of(most), 1));
            refused("heads of 64, 2 to", () -> ops.kvCache(heads(4, 2, 64), 32, 1));
            refused("17 to a KV head", () -> ops.kvCache(heads(34, 2, 256), 32, 1));
            refused("heads of 64, 2 to", () -> ops.check(shapes(heads(4, 2, 64), none, 1)));
            for (DeltaShape other :
                    List.of(
                            new DeltaShape(2, 2, 64, 128, 4, 1e-6f),
                            new DeltaShape(2, 2, 128, 64, 4, 1e-6f),
                            new DeltaShape(2, 2, 128, 128, 3, 1e-6f))) {
                refused("taps", () -> ops.deltaState(other, 1));
                refused("taps", () -> ops.check(new ModelShapes(attention, other, none, 1)));
            }
            for (ExpertShape other :
                    List.of(new ExpertShape(513, 4, 8, 8), new ExpertShape(64, 17, 8, 8))) {
                String numbers = other.perToken() + " of " + other.experts();
                ExpertTensors nothing = new ExpertTensors(List.of(), List.of(), List.of());
                refused(numbers, () -> ops.experts(nothing, other));
                refused(numbers, () -> ops.check(shapes(attention, Optional.of(other), 1)));
            }
            int large = (1 << 19) + 1;
            refused("524289", () -> ops.sampler(large, new BitSet(), 1, 1));
            refused("524289", () -> ops.check(shapes(attention, none, large)));
            for (DType type : List.of(DType.F32, DType.F16)) {
                HostTensor wrong = Program.tensor(new SplittableRandom(1), type, 1, 8, 8);
                HostTensor right = Program.tensor(new SplittableRandom(1), DType.BF16, 1, 8, 8);
                refused("t is " + type, () -> ops.matrix(List.of(right, wrong)));
                List<HostTensor> two = List.of(right, right);
                ExpertTensors tensors = new ExpertTensors(two, two, List.of(right, wrong));
                ExpertShape one = new ExpertShape(1, 1, 8, 8);
                refused("t is " + type, () -> ops.experts(tensors, one));
            }
        }
    }

    private static AttentionShape heads(int heads, int kvHeads, int headDim) {
        return new AttentionShape(heads, kvHeads, headDim, 64, 1e-6f);
    }

    private static ModelShapes shapes(
            AttentionShape attention, Optional<ExpertShape> experts, int vocabulary) {
        return new ModelShapes(attention, delta(2, 4), experts, vocabulary);
    }

    /// One sentence that names the number and says what to do.
    private static void refused(String what, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining(what)
                .hasMessageMatching("[A-Z][^:]*: .*use --backend simd\\.");
    }

    /// A model is refused before any of its weights is asked for.
    @Test
    void refusesAModelBeforeItsWeights() {
        ModelConfig c = KnownSizes.config("35B-A3B");
        Experts many = new Experts(1024, 8, 512, 512);
        ModelConfig config =
                new ModelConfig(
                        c.family(),
                        c.prefix(),
                        c.hiddenSize(),
                        c.layerTypes(),
                        c.vocabSize(),
                        c.rmsNormEps(),
                        c.maxPositions(),
                        c.attention(),
                        c.delta(),
                        many,
                        c.tie(),
                        c.eosIds(),
                        c.mtpLayers(),
                        c.vision());
        try (Backend ops = cuda();
                TensorSource untouched = new Untouched(config)) {
            refused("8 of 1024", () -> ModelLoader.load(ops, untouched));
        }
    }

    /// Fails as soon as somebody wants a weight.
    private record Untouched(ModelConfig config) implements TensorSource {
        @Override
        public String name() {
            return "untouched";
        }

        @Override
        public SequencedMap<String, TensorInfo> tensors() {
            return new LinkedHashMap<>();
        }

        @Override
        public HostTensor tensor(String name) {
            throw new AssertionError(name + " was asked for");
        }

        @Override
        public void close() {
            // It holds nothing.
        }
    }

    private static DeltaShape delta(int keyHeads, int valueHeads) {
        return new DeltaShape(keyHeads, valueHeads, 128, 128, 4, 1e-6f);
    }

    private static Backend cuda() {
        return new CudaProvider().open(new Choice("auto", true, false));
    }
}
