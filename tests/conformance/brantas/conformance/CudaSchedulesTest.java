package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Emulator;
import brantas.engine.TeacherForcing.Pieces;
import brantas.format.Checkpoint;
import brantas.model.ModelLoader;
import brantas.op.Backend;
import brantas.settings.Sampling;
import brantas.spi.BackendProvider.Choice;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole models under every order in which a GPU may run the threads of a block, with asynchronous
/// copies as early and as late as they may be, and with streams that do nothing until they are
/// waited for: the bits never change. Whatever a kernel or the backend forgot to wait for shows
/// here.
@Tag("thorough")
class CudaSchedulesTest {
    private static final int LENGTH = 70;
    private static final int TOKENS = 4;

    /// Chunks of several sizes, then steps of one row: run, recorded and replayed.
    private static final Pieces PIECES = new Pieces(List.of(33, 17, 16, 1, 1, 1), false);

    private static final Sampling HOW = new Sampling(0.9, 0.95, 40, 0.01, 0.5, 0.25, 1.1, 99);

    /// What a run gives.
    private record Result(float[] logits, List<Integer> ids) {
        static Result of(GoldenModel golden) {
            int[] prompt = Arrays.copyOf(golden.cases().get(7).ids(), LENGTH);
            float[] logits;
            try (Checkpoint checkpoint = golden.open();
                    Backend ops = new CudaProvider().open(new Choice("auto", true, false))) {
                List<int[]> prompts = List.of(prompt);
                logits = Logits.of(ModelLoader.load(ops, checkpoint), prompts, PIECES).of(0);
            }
            try (EmulatedEngine engine = EmulatedEngine.open(golden, true)) {
                return new Result(logits, engine.generate(prompt, TOKENS, HOW));
            }
        }
    }

    @BeforeEach
    @AfterEach
    void forget() {
        Emulator.reset();
    }

    @ParameterizedTest
    @ValueSource(strings = {"dense-r3", "moe"})
    void nothingShows(String name) {
        GoldenModel golden = GoldenModel.of(name, name);
        Result expected = Result.of(golden);
        assertThat(expected.ids()).hasSize(TOKENS);
        for (String schedule : List.of("in-order", "reverse", "random", "starve")) {
            for (String copies : List.of("eager", "lazy")) {
                for (String streams : List.of("immediate", "deferred")) {
                    Emulator.reset();
                    Emulator.choose("SCHEDULE", schedule);
                    Emulator.choose("SEED", 20 + copies.length());
                    Emulator.choose("COPIES", copies);
                    Emulator.choose("STREAMS", streams);
                    Result result = Result.of(golden);
                    String what = String.join(", ", name, schedule, copies, streams);
                    assertThat(result.logits()).as(what).isEqualTo(expected.logits());
                    assertThat(result.ids()).as(what).isEqualTo(expected.ids());
                }
            }
        }
    }
}
