package brantas.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import brantas.settings.BrantasException;
import brantas.settings.Sampling;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SamplerTest {
    private static final long SEED = Long.getLong("brantas.seed", 7);
    private static final int VOCABULARY = 1000;

    private static Sampling sampling(double temperature, double topP, int topK, double minP) {
        return new Sampling(temperature, topP, topK, minP, 0, 0, 1, 42);
    }

    private static Sampler sampler(int allowed) {
        BitSet ids = new BitSet();
        ids.set(0, allowed);
        return new Sampler(VOCABULARY, ids);
    }

    private static float[] random(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] logits = new float[VOCABULARY];
        for (int i = 0; i < VOCABULARY; i++) {
            // Few distinct values, so that ties are common.
            logits[i] = random.nextInt(-40, 40) / 8f;
        }
        return logits;
    }

    private static int draw(Sampler sampler, float[] logits, Sampling sampling, long position) {
        System.arraycopy(logits, 0, sampler.row(), 0, logits.length);
        return sampler.draw(sampling, new Counts(0), position);
    }

    @Test
    void greedyTakesTheLowestIdAmongTheLargest() {
        float[] logits = new float[VOCABULARY];
        logits[17] = 3;
        logits[11] = 3;
        assertThat(draw(sampler(VOCABULARY), logits, Sampling.GREEDY, 0)).isEqualTo(11);
    }

    @Test
    void paddingRowsAreNeverDrawn() {
        float[] logits = random(SEED);
        logits[990] = 100;
        Sampler sampler = sampler(900);
        assertThat(draw(sampler, logits, Sampling.GREEDY, 0)).isLessThan(900);
        for (int i = 0; i < 500; i++) {
            assertThat(draw(sampler, logits, sampling(5, 1, 0, 0), i)).isLessThan(900);
        }
    }

    @Test
    void aDrawIsAFunctionOfSeedAndPosition() {
        float[] logits = random(SEED);
        Sampling s = sampling(1, 0.9, 50, 0);
        int[] once =
                IntStream.range(0, 200).map(i -> draw(sampler(VOCABULARY), logits, s, i)).toArray();
        Sampler used = sampler(VOCABULARY);
        int[] again = new int[200];
        for (int i = 199; i >= 0; i--) {
            again[i] = draw(used, logits, s, i);
        }
        assertThat(again).isEqualTo(once);
        assertThat(Arrays.stream(once).distinct().count()).isGreaterThan(10);
    }

    /// Against a plain sort of all probabilities, for many settings: the same candidates, and
    /// frequencies that fit.
    @Test
    void drawsFollowTheTruncatedDistribution() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int round = 0; round < 40; round++) {
            float[] logits = random(random.nextLong());
            Sampling s =
                    sampling(
                            0.3 + 2 * random.nextDouble(),
                            random.nextBoolean() ? 1 : 0.05 + 0.9 * random.nextDouble(),
                            random.nextBoolean() ? 0 : random.nextInt(1, 60),
                            random.nextBoolean() ? 0 : random.nextDouble() * 0.3);
            double[] p = reference(logits, s);
            Sampler sampler = sampler(VOCABULARY);
            int draws = 3000;
            double[] seen = new double[VOCABULARY];
            for (int i = 0; i < draws; i++) {
                seen[draw(sampler, logits, s, i)] += 1.0 / draws;
            }
            double distance = 0;
            for (int id = 0; id < VOCABULARY; id++) {
                if (p[id] == 0) {
                    assertThat(seen[id]).as("id %d, %s, seed %d", id, s, SEED).isZero();
                }
                distance += Math.abs(seen[id] - p[id]) / 2;
            }
            long support = Arrays.stream(p).filter(x -> x > 0).count();
            assertThat(distance)
                    .as("%s, seed %d", s, SEED)
                    .isLessThan(0.02 + Math.sqrt(support / (2.0 * draws)));
        }
    }

    private static double[] reference(float[] logits, Sampling s) {
        Integer[] order = IntStream.range(0, VOCABULARY).boxed().toArray(Integer[]::new);
        Arrays.sort(
                order,
                Comparator.comparingDouble((Integer i) -> -logits[i]).thenComparingInt(i -> i));
        int keep = s.topK() > 0 ? Math.min(s.topK(), VOCABULARY) : VOCABULARY;
        double[] p = new double[VOCABULARY];
        double total = 0;
        for (int i = 0; i < keep; i++) {
            p[order[i]] = Math.exp((logits[order[i]] - logits[order[0]]) / s.temperature());
            total += p[order[i]];
        }
        double before = 0;
        double kept = 0;
        for (int i = 0; i < keep; i++) {
            double mass = p[order[i]];
            boolean inside =
                    (i == 0 || s.topP() >= 1 || before < s.topP() * total) && mass >= s.minP();
            before += mass;
            p[order[i]] = inside ? mass : 0;
            kept += p[order[i]];
        }
        for (int i = 0; i < VOCABULARY; i++) {
            p[i] /= kept;
        }
        return p;
    }

    @Test
    void penaltiesLowerWhatWasSaid() {
        float[] logits = {2, -2, 2, 0, 1};
        BitSet all = new BitSet();
        all.set(0, 5);
        Sampler sampler = new Sampler(5, all);
        Counts counts = new Counts(5);
        counts.prompt(0);
        counts.prompt(1);
        counts.generated(2);
        counts.generated(2);
        System.arraycopy(logits, 0, sampler.row(), 0, 5);
        sampler.draw(new Sampling(0, 1, 0, 0, 0.5, 0.25, 2, 0), counts, 0);
        assertThat(sampler.row()[0]).isCloseTo(1f, within(1e-6f));
        assertThat(sampler.row()[1]).isCloseTo(-4f, within(1e-6f));
        assertThat(sampler.row()[2]).isCloseTo(1f - 0.5f - 0.5f, within(1e-6f));
        assertThat(sampler.row()[4]).isEqualTo(1f);
    }

    /// Known answers of the published generator for key 0, counter 0 and for all ones.
    @Test
    void philoxGivesThePublishedNumbers() {
        long zero = (0x6627e8d5L << 32 | 0xe169c58dL) >>> 11;
        assertThat(Philox.uniform(0, 0)).isEqualTo(zero * 0x1.0p-53);
    }

    @Test
    void uniformNumbersFillTheUnitInterval() {
        double sum = 0;
        for (int i = 0; i < 200_000; i++) {
            double u = Philox.uniform(SEED, i);
            assertThat(u).isBetween(0.0, Math.nextDown(1.0));
            sum += u;
        }
        assertThat(sum / 200_000).isCloseTo(0.5, within(0.004));
    }

    @Test
    void wrongValuesAreNamed() {
        assertThatThrownBy(() -> sampling(-1, 1, 0, 0))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("temperature is -1.0");
        assertThatThrownBy(() -> sampling(1, 0, 0, 0))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("top_p is 0.0");
        assertThatThrownBy(() -> sampling(1, Double.NaN, 0, 0))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("top_p");
        assertThatThrownBy(() -> sampling(1, 1, -3, 0))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("top_k is -3");
    }
}
