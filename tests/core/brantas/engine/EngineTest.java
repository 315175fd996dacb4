package brantas.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.format.Checkpoint;
import brantas.format.Checkpoint.Load;
import brantas.format.Progress;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.settings.BrantasException;
import brantas.settings.Sampling;
import brantas.simd.SimdBackend;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The engine on a small real model: the same answer in any company, cancelling, limits, reuse of
/// memory.
class EngineTest {
    private static final long SEED = Long.getLong("brantas.seed", 11);

    private Checkpoint checkpoint;
    private Backend ops;
    private Qwen35 model;

    @BeforeEach
    void open() {
        Path golden = Path.of(System.getProperty("brantas.golden"), "text", "moe");
        checkpoint = Checkpoint.open(golden, Load.MAP, Progress.NONE);
        ops = new SimdBackend(2);
        model = ModelLoader.load(ops, checkpoint);
    }

    @AfterEach
    void close() {
        ops.close();
        checkpoint.close();
    }

    private Engine engine(int sequences, long positions) {
        BitSet all = new BitSet();
        all.set(0, model.config().vocabSize());
        return new Engine(model, EngineLimits.of(sequences, positions), all);
    }

    private static GenerationRequest request(int[] prompt, int tokens, long seed) {
        return new GenerationRequest(
                prompt, tokens, new Sampling(1, 0.95, 20, 0, 0.3, 0, 1.1, seed), Set.of());
    }

    private static List<Integer> drain(Generation generation) {
        List<Integer> ids = new ArrayList<>();
        for (int id = generation.next(); id >= 0; id = generation.next()) {
            ids.add(id);
        }
        return ids;
    }

    /// Sampled answers do not depend on the other sequences, on their order, or on slots that
    /// others used before.
    @Test
    void companyDoesNotChangeAnAnswer() {
        SplittableRandom random = new SplittableRandom(SEED);
        List<int[]> prompts = new ArrayList<>();
        for (int n : new int[] {1, 5, 64, 65, 130, 600, 17, 2}) {
            prompts.add(random.ints(n, 0, 500).toArray());
        }
        List<List<Integer>> alone = new ArrayList<>();
        try (Engine engine = engine(1, 1024)) {
            for (int i = 0; i < prompts.size(); i++) {
                alone.add(drain(engine.submit(request(prompts.get(i), 12 + i, i))));
            }
        }
        try (Engine engine = engine(5, 4096)) {
            for (int round = 0; round < 2; round++) {
                List<Generation> running = new ArrayList<>();
                for (int i = 0; i < prompts.size(); i++) {
                    running.add(engine.submit(request(prompts.get(i), 12 + i, i)));
                }
                for (int i = 0; i < prompts.size(); i++) {
                    assertThat(drain(running.get(i)))
                            .as("prompt %d, seed %d", i, SEED)
                            .isEqualTo(alone.get(i));
                    assertThat(running.get(i).finishReason()).isEqualTo(FinishReason.LENGTH);
                }
            }
        }
    }

    @Test
    void endTokensStopAndAreNotDelivered() {
        try (Engine engine = engine(1, 256)) {
            List<Integer> free = drain(engine.submit(request(new int[] {3, 4, 5}, 20, 1)));
            int stop = free.get(7);
            int first = free.indexOf(stop);
            GenerationRequest stopping =
                    new GenerationRequest(
                            new int[] {3, 4, 5},
                            20,
                            request(new int[] {1}, 1, 1).sampling(),
                            Set.of(stop));
            Generation stopped = engine.submit(stopping);
            assertThat(drain(stopped)).isEqualTo(free.subList(0, first));
            assertThat(stopped.finishReason()).isEqualTo(FinishReason.STOP);
        }
    }

    @Test
    void cancellingFreesTheRoomForOthers() {
        try (Engine engine = engine(1, 1024)) {
            Generation endless = engine.submit(request(new int[] {1, 2, 3}, 900, 5));
            Generation waiting = engine.submit(request(new int[] {4}, 5, 6));
            assertThat(endless.next()).isNotNegative();
            endless.cancel();
            drain(endless);
            assertThat(endless.finishReason()).isEqualTo(FinishReason.CANCELLED);
            assertThat(endless.produced()).isLessThan(900);
            assertThat(drain(waiting)).hasSize(5);
        }
    }

    @Test
    void whatCanNeverFitIsRefusedWithTheNumbers() {
        try (Engine engine = engine(2, 128)) {
            assertThatThrownBy(() -> engine.submit(request(new int[100], 50, 0)))
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContaining("100 tokens")
                    .hasMessageContaining("50")
                    .hasMessageContaining("128");
            assertThat(drain(engine.submit(request(new int[100], 28, 0)))).hasSize(28);
        }
    }

    @Test
    void closingEndsEveryoneAndRefusesMore() {
        Engine engine = engine(1, 2048);
        Generation running = engine.submit(request(new int[] {1}, 2000, 1));
        Generation waiting = engine.submit(request(new int[] {2}, 2000, 2));
        assertThat(running.next()).isNotNegative();
        engine.close();
        drain(running);
        drain(waiting);
        assertThat(running.finishReason()).isEqualTo(FinishReason.CANCELLED);
        assertThat(waiting.finishReason()).isEqualTo(FinishReason.CANCELLED);
        assertThatThrownBy(() -> engine.submit(request(new int[] {1}, 1, 1)))
                .isInstanceOf(IllegalStateException.class);
    }
}
