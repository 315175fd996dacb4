package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.conformance.GoldenModel.Case;
import brantas.engine.TeacherForcing.Pieces;
import brantas.format.Checkpoint;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.plain.PlainBackend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole models against the logits of the reference implementation, all positions it stored.
class GoldenTextTest {
    @ParameterizedTest
    @ValueSource(strings = {"dense-tied", "dense-r3", "moe", "moe-per-expert-sharded", "yarn"})
    void plainMatchesTheReference(String name) {
        GoldenModel golden = GoldenModel.of(name, name.startsWith("moe") ? "moe" : name);
        try (Checkpoint checkpoint = golden.open();
                Backend ops = new PlainBackend()) {
            Qwen35 model = ModelLoader.load(ops, checkpoint);
            List<int[]> prompts = golden.cases().stream().map(Case::ids).toList();
            Logits logits = Logits.of(model, prompts, Pieces.WHOLE);
            for (int i = 0; i < prompts.size(); i++) {
                Case c = golden.cases().get(i);
                assertThat(worst(c, logits, i))
                        .as("%s %s, largest difference", name, c)
                        .isLessThanOrEqualTo(Math.max(1e-4 + 2e-5 * c.largest(), 2 * c.noise()));
            }
        }
    }

    static double worst(Case c, Logits logits, int sequence) {
        double worst = 0;
        for (int p = c.first(); p < c.ids().length; p++) {
            for (int id = 0; id < c.vocabulary(); id++) {
                worst = Math.max(worst, Math.abs(c.logit(p, id) - logits.at(sequence, p, id)));
            }
        }
        return worst;
    }

    static List<Pieces> splits(long seed) {
        List<Integer> random = new ArrayList<>();
        new java.util.SplittableRandom(seed).ints(12, 1, 90).forEach(random::add);
        return Arrays.asList(
                Pieces.WHOLE,
                new Pieces(List.of(), true),
                new Pieces(List.of(64), false),
                new Pieces(List.of(63, 1, 2), false),
                new Pieces(random, false));
    }
}
