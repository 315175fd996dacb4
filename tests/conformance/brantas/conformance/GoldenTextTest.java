package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.conformance.GoldenModel.Case;
import brantas.engine.Engine;
import brantas.engine.EngineLimits;
import brantas.engine.Generation;
import brantas.engine.GenerationRequest;
import brantas.engine.TeacherForcing.Pieces;
import brantas.format.Checkpoint;
import brantas.format.FlatCheckpoint;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.plain.PlainBackend;
import brantas.settings.Sampling;
import brantas.simd.SimdBackend;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole models against what the reference implementation computed: logits of all stored positions,
/// under every way of cutting the prompts and with all prompts as one ragged batch, and greedy
/// continuations through the engine.
///
/// Tolerances are those of the golden data's own description: with m the largest absolute logit,
/// 1e-4 + 2e-5·m (or twice the reference's own noise) for fp64 inside, 5e-4 + 1e-4·m for fp32 in
/// another order.
class GoldenTextTest {
    /// Prompts of 2, 63, 65 and 130 tokens.
    private static final int[] ALONE = {1, 4, 6, 7};

    private static final long SEED = Long.getLong("brantas.seed", 20260216);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "dense-tied",
                "dense-r3",
                "dense-r3-flat-text-only",
                "moe",
                "moe-per-expert-sharded",
                "yarn"
            })
    void plainMatchesTheReference(String name, @TempDir Path scratch) {
        GoldenModel golden = open(name, scratch);
        try (Checkpoint checkpoint = golden.open();
                Backend ops = new PlainBackend()) {
            Qwen35 model = ModelLoader.load(ops, checkpoint);
            Logits logits = Logits.of(model, prompts(golden), Pieces.WHOLE);
            for (int i = 0; i < golden.cases().size(); i++) {
                Case c = golden.cases().get(i);
                assertThat(worst(c, logits, i))
                        .as("%s %s: largest difference", name, c)
                        .isLessThanOrEqualTo(Math.max(1e-4 + 2e-5 * c.largest(), 2 * c.noise()));
            }
            greedy(model, golden);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "dense-tied",
                "dense-r3",
                "dense-r3-flat-text-only",
                "moe",
                "moe-per-expert-sharded",
                "yarn"
            })
    void simdMatchesTheReferenceUnderEverySplit(String name, @TempDir Path scratch) {
        GoldenModel golden = open(name, scratch);
        try (Checkpoint checkpoint = golden.open();
                Backend ops = new SimdBackend(2)) {
            Qwen35 model = ModelLoader.load(ops, checkpoint);
            for (Pieces pieces : splits(SEED)) {
                Logits logits = Logits.of(model, prompts(golden), pieces);
                for (int i = 0; i < golden.cases().size(); i++) {
                    Case c = golden.cases().get(i);
                    assertThat(worst(c, logits, i))
                            .as("%s %s in %s (seed %d): largest difference", name, c, pieces, SEED)
                            .isLessThanOrEqualTo(5e-4 + 1e-4 * c.largest());
                }
            }
            greedy(model, golden);
        }
    }

    /// Prefill in any pieces and decode give the same logits, position by position, and a sequence
    /// gives the same bits in every company.
    @ParameterizedTest
    @ValueSource(strings = {"dense-tied", "dense-r3", "moe", "yarn"})
    void splitsAgreeAndCompanyChangesNothing(String name) {
        GoldenModel golden = GoldenModel.of(name, name);
        try (Checkpoint checkpoint = golden.open();
                Backend ops = new SimdBackend(2)) {
            Qwen35 model = ModelLoader.load(ops, checkpoint);
            List<int[]> all = prompts(golden);
            List<int[]> some = List.of(all.get(7), all.get(2), all.get(6), all.get(0));
            Logits whole = Logits.of(model, all, Pieces.WHOLE);
            for (Pieces pieces : splits(SEED)) {
                Logits together = Logits.of(model, all, pieces);
                Logits other = Logits.of(model, some, pieces);
                assertThat(other.of(0)).as("among fewer, %s", pieces).isEqualTo(together.of(7));
                for (int i : ALONE) {
                    Case c = golden.cases().get(i);
                    float[] alone = Logits.of(model, List.of(all.get(i)), pieces).of(0);
                    assertThat(alone).as("%s alone, %s", c, pieces).isEqualTo(together.of(i));
                    assertThat(difference(alone, whole.of(i)))
                            .as("%s whole and in %s (seed %d)", c, pieces, SEED)
                            .isLessThanOrEqualTo(1e-4 * (1 + c.largest()));
                }
            }
        }
    }

    private static GoldenModel open(String name, Path scratch) {
        if (name.equals("dense-r3-flat-text-only")) {
            FlatCheckpoint.write(GoldenModel.golden(), scratch);
            return new GoldenModel(scratch, GoldenModel.of("dense-r3", "dense-r3").cases());
        }
        return GoldenModel.of(name, name.startsWith("moe") ? "moe" : name);
    }

    private static List<int[]> prompts(GoldenModel golden) {
        return golden.cases().stream().map(Case::ids).toList();
    }

    private static double worst(Case c, Logits logits, int sequence) {
        double worst = 0;
        for (int p = c.first(); p < c.ids().length; p++) {
            for (int id = 0; id < c.vocabulary(); id++) {
                worst = Math.max(worst, Math.abs(c.logit(p, id) - logits.at(sequence, p, id)));
            }
        }
        return worst;
    }

    private static double difference(float[] a, float[] b) {
        double worst = 0;
        for (int i = 0; i < a.length; i++) {
            worst = Math.max(worst, Math.abs(a[i] - b[i]));
        }
        return worst;
    }

    /// All continuations at once through the engine; ids are equal until a step at which the
    /// reference itself was undecided.
    private static void greedy(Qwen35 model, GoldenModel golden) {
        BitSet allowed = new BitSet();
        allowed.set(0, model.config().vocabSize());
        try (Engine engine = new Engine(model, EngineLimits.of(4, 2048), allowed)) {
            List<Case> cases = golden.cases().stream().filter(c -> c.greedy().length > 0).toList();
            List<Generation> running = new ArrayList<>();
            for (Case c : cases) {
                running.add(
                        engine.submit(
                                new GenerationRequest(
                                        c.ids(), c.greedy().length, Sampling.GREEDY, Set.of())));
            }
            for (int i = 0; i < cases.size(); i++) {
                Case c = cases.get(i);
                for (int step = 0; step < c.greedy().length; step++) {
                    int id = running.get(i).next();
                    if (id != c.greedy()[step] && c.gap()[step] < 1e-3) {
                        break;
                    }
                    assertThat(id).as("%s: greedy id %d", c, step).isEqualTo(c.greedy()[step]);
                }
            }
        }
    }

    private static List<Pieces> splits(long seed) {
        List<Integer> random = new ArrayList<>();
        new SplittableRandom(seed).ints(12, 1, 90).forEach(random::add);
        return List.of(
                Pieces.WHOLE,
                new Pieces(List.of(), true),
                new Pieces(List.of(64), false),
                new Pieces(List.of(63, 1, 2), false),
                new Pieces(random, false));
    }
}
