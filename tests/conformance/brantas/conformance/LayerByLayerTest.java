package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.conformance.GoldenModel.Case;
import brantas.cuda.CudaProvider;
import brantas.format.Checkpoint;
import brantas.model.ModelLoader;
import brantas.model.ModelState;
import brantas.model.Qwen35;
import brantas.model.Workspace;
import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.plain.PlainBackend;
import brantas.spi.BackendProvider.Choice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Each layer of whole models on the cuda backend against the referee with the same roundings:
/// after every layer the referee goes on from what the GPU has, so that what is compared is one
/// layer and not the growth of a difference through all of them. Left over are the roundings that a
/// difference inside an op tips over.
///
/// Tolerances, relative L2 of a row of the residual stream (64 or 128 values here): with products
/// exact to fp32 inside, a rounding to bf16 is tipped over with a probability of about 1e-6 / 4e-3,
/// so that most rows are equal; where it happens one value moves by 2⁻⁷ of itself at most, and a
/// row's norm by no more than that: 8e-3. Fp16 operands of the delta rule err by 4.5e-4, which tips
/// one rounding in ten at each of the few rounding points of a layer: √(4.5e-4 · 2⁻⁷) ≈ 2e-3 each,
/// 5e-3 for all of them in the mean, and three times that in the worst of 130 rows.
class LayerByLayerTest {
    private static final int PAGE = 32;

    @ParameterizedTest
    @CsvSource({
        "dense-tied, true, 8e-3, 1e-3",
        "dense-tied, false, 1.5e-2, 5e-3",
        "dense-r3, true, 8e-3, 1e-3",
        "dense-r3, false, 1.5e-2, 5e-3",
        "moe, true, 8e-3, 1e-3",
        "yarn, true, 8e-3, 1e-3"
    })
    void everyLayerFollowsTheReferee(String name, boolean exact, double worst, double mean) {
        GoldenModel golden = GoldenModel.of(name, name);
        Case c = golden.cases().get(7);
        List<double[]> errors = new ArrayList<>();
        try (Checkpoint checkpoint = golden.open();
                Backend gpu = new CudaProvider().open(new Choice("auto", true, exact));
                Backend referee = new PlainBackend(true);
                Arena arena = Arena.ofConfined()) {
            int rows = c.ids().length;
            Qwen35 model = ModelLoader.load(gpu, checkpoint);
            int hidden = model.config().hiddenSize();
            List<MemorySegment> layers = new ArrayList<>();
            new Run(model, c.ids()).forward(gpu, arena, layers, errors, false);
            Qwen35 plain = ModelLoader.load(referee, checkpoint);
            new Run(plain, c.ids()).forward(referee, arena, layers, errors, true);
            assertThat(errors).hasSize(model.config().layers());
            for (int layer = 0; layer < errors.size(); layer++) {
                double largest = 0;
                double sum = 0;
                for (double e : errors.get(layer)) {
                    largest = Math.max(largest, Double.isNaN(e) ? 1e30 : e);
                    sum += e;
                }
                String what = name + " layer " + layer + " of " + rows + " rows of " + hidden;
                System.getLogger("brantas.conformance")
                        .log(
                                System.Logger.Level.INFO,
                                "{0}: worst {1}, mean {2}",
                                what,
                                largest,
                                sum / rows);
                assertThat(largest).as(what + ": worst row").isLessThan(worst);
                assertThat(sum / rows).as(what + ": mean over rows").isLessThan(mean);
            }
        }
    }

    /// One prompt through one model, in one step.
    private record Run(Qwen35 model, int[] ids) {
        void forward(
                Backend ops,
                Arena arena,
                List<MemorySegment> layers,
                List<double[]> errors,
                boolean compare) {
            int pages = Math.ceilDiv(ids.length, PAGE);
            int hidden = model.config().hiddenSize();
            ModelState state = new ModelState(ops, model.config(), pages, PAGE, 1);
            Workspace ws = Workspace.of(ops, model.config(), ids.length, 1, 1);
            StepBatch batch = new StepBatch(ids.length, 1, pages);
            batch.clear();
            batch.addSequence(0, 0);
            for (int p = 0; p < pages; p++) {
                batch.addPage(p);
            }
            for (int t = 0; t < ids.length; t++) {
                batch.addRow(ids[t], t, t, t, t == ids.length - 1);
            }
            batch.seal();
            ops.begin(batch);
            model.forward(
                    batch,
                    state,
                    ws,
                    (layer, buffer, n) -> {
                        MemorySegment rows = arena.allocate(4L * n * hidden, 64);
                        ops.download(rows, buffer, 0, n);
                        if (compare) {
                            errors.add(errors(layers.get(layer), rows, n, hidden));
                            ops.upload(buffer, 0, n, layers.get(layer));
                        } else {
                            layers.add(rows);
                        }
                    });
        }

        private static double[] errors(MemorySegment a, MemorySegment b, int rows, int cols) {
            double[] out = new double[rows];
            for (int r = 0; r < rows; r++) {
                double difference = 0;
                double size = 0;
                for (int i = 0; i < cols; i++) {
                    double x = a.getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * cols + i);
                    double y = b.getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * cols + i);
                    difference += (x - y) * (x - y);
                    size += y * y;
                }
                out[r] = Math.sqrt(difference / size);
            }
            return out;
        }
    }
}
