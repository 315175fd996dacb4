package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Emulator;
import brantas.engine.TeacherForcing.Pieces;
import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.op.TokenSampler;
import brantas.sample.Counts;
import brantas.sample.Sampler;
import brantas.settings.Sampling;
import brantas.spi.BackendProvider.Choice;
import brantas.tensor.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The GPU draws the ids that the host's sampler draws from the same logits, with every setting.
///
/// Both use the same random number and the same order of candidates; the GPU weighs them in fixed
/// point from an fp32 exponential, the host in fp64. So the ids may differ where the random number
/// falls within some 1e-6 of the mass from the border between two candidates, in one of so many
/// draws: not in the hundreds here, whose seeds are fixed.
class CudaSamplingTest {
    private static final int VOCABULARY = 997;
    private static final int SLOTS = 8;
    private static final int ROUNDS = 96;
    private static final int HISTORY = 48;

    @AfterEach
    void forget() {
        Emulator.reset();
    }

    private static Backend cuda() {
        return new CudaProvider().open(new Choice("auto", true, false));
    }

    private static <T> T any(Random random, List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    /// Every option on or off, values from mild to extreme.
    private static Sampling settings(Random random) {
        boolean penalties = random.nextBoolean();
        return new Sampling(
                any(random, List.of(0.0, 0.05, 0.7, 1.0, 1.5, 10.0)),
                any(random, List.of(1.0, 1.0, 0.95, 0.5, 0.01)),
                any(random, List.of(0, 0, 1, 2, 20, 300, 996, 5000)),
                any(random, List.of(0.0, 0.0, 0.01, 0.3, 1.0)),
                penalties ? any(random, List.of(0.0, 0.5, -1.0, 2.0)) : 0,
                penalties ? any(random, List.of(0.0, 0.25, -0.5, 2.0)) : 0,
                penalties ? any(random, List.of(1.0, 1.1, 2.0, 0.8)) : 1,
                random.nextLong());
    }

    /// A sequence: its tokens so far, as the host counts them, and its logits.
    private record Speaker(Sampling how, int[] tokens, int prompt, Counts counts, float[] logits) {
        static Speaker of(Random random) {
            Sampling how = settings(random);
            int[] tokens = new int[2 + random.nextInt(HISTORY - 2)];
            int prompt = 1 + random.nextInt(tokens.length - 1);
            Counts counts = new Counts(VOCABULARY);
            for (int i = 0; i < tokens.length; i++) {
                // Few different ones, so that they repeat.
                tokens[i] = random.nextInt(random.nextBoolean() ? 12 : VOCABULARY);
                if (i < prompt) {
                    counts.prompt(tokens[i]);
                } else {
                    counts.generated(tokens[i]);
                }
            }
            float[] logits = new float[VOCABULARY];
            float spread = any(random, List.of(0.5f, 3f, 12f));
            boolean ties = random.nextInt(4) == 0;
            for (int id = 0; id < VOCABULARY; id++) {
                float value = spread * (float) random.nextGaussian();
                logits[id] = ties ? Math.round(value) : value;
            }
            return new Speaker(how, tokens, prompt, counts, logits);
        }

        /// Puts the tokens from `from` on into a batch.
        void add(StepBatch batch, int slot, int from, int to) {
            batch.addSequence(from, slot);
            if (how.penalises()) {
                batch.countTokens(prompt);
            }
            batch.addPage(slot);
            for (int t = from; t < to; t++) {
                boolean last = t == tokens.length - 1;
                batch.addRow(tokens[t], t, t, t, last);
                if (last) {
                    batch.draw(how, tokens.length);
                }
            }
        }

        int expected(Sampler sampler) {
            System.arraycopy(logits, 0, sampler.row(), 0, VOCABULARY);
            return sampler.draw(how, counts, tokens.length);
        }
    }

    /// Streams do nothing until they are waited for, so that a wait that is missing shows.
    @Test
    void drawsWhatTheHostDraws() {
        Emulator.choose("STREAMS", "deferred");
        Random random = new Random(4);
        BitSet allowed = new BitSet();
        for (int id = 0; id < VOCABULARY; id++) {
            allowed.set(id, random.nextInt(8) > 0);
        }
        Sampler host = new Sampler(VOCABULARY, allowed);
        StepBatch batch = new StepBatch(SLOTS * HISTORY, SLOTS, SLOTS);
        int[] ids = new int[SLOTS];
        int drawn = 0;
        int penalised = 0;
        try (Backend ops = cuda();
                Arena arena = Arena.ofConfined()) {
            TokenSampler sampler = ops.sampler(VOCABULARY, allowed, SLOTS, SLOTS).orElseThrow();
            Buffer logits = ops.floats("logits", SLOTS, VOCABULARY);
            MemorySegment rows = arena.allocate(4L * SLOTS * VOCABULARY, 64);
            Runnable count = () -> sampler.count(batch);
            Runnable draw =
                    () -> {
                        sampler.count(batch);
                        sampler.draw(logits, batch);
                    };
            for (int round = 0; round < ROUNDS; round++) {
                // One to eight sequences: recordings for several sizes, used while partly filled.
                List<Speaker> speakers = new ArrayList<>();
                for (int s = 0; s <= round % SLOTS; s++) {
                    speakers.add(Speaker.of(random));
                }
                allButLast(speakers, batch, sampler);
                ops.step(batch, count);
                last(speakers, batch, rows);
                ops.upload(logits, 0, speakers.size(), rows);
                ops.step(batch, draw);
                sampler.take(ids, speakers.size());
                for (int s = 0; s < speakers.size(); s++) {
                    Speaker speaker = speakers.get(s);
                    assertThat(ids[s])
                            .as("round %d, sequence %d: %s", round, s, speaker.how())
                            .isEqualTo(speaker.expected(host));
                    drawn++;
                    penalised += speaker.how().penalises() ? 1 : 0;
                }
            }
        }
        assertThat(drawn).isGreaterThan(400);
        assertThat(penalised).isBetween(drawn / 4, drawn);
    }

    /// Counts start anew; those with one row come first.
    private static void allButLast(List<Speaker> speakers, StepBatch batch, TokenSampler sampler) {
        batch.clear();
        for (boolean single : List.of(true, false)) {
            for (int s = 0; s < speakers.size(); s++) {
                int rows = speakers.get(s).tokens().length - 1;
                if (single == (rows == 1)) {
                    sampler.clear(s);
                    speakers.get(s).add(batch, s, 0, rows);
                }
            }
        }
        batch.seal();
    }

    /// The last token of each, and the logits behind it.
    private static void last(List<Speaker> speakers, StepBatch batch, MemorySegment rows) {
        batch.clear();
        for (int s = 0; s < speakers.size(); s++) {
            Speaker speaker = speakers.get(s);
            int length = speaker.tokens().length;
            speaker.add(batch, s, length - 1, length);
            MemorySegment.copy(
                    speaker.logits(),
                    0,
                    rows,
                    ValueLayout.JAVA_FLOAT,
                    4L * s * VOCABULARY,
                    VOCABULARY);
        }
        batch.seal();
    }

    /// The engine on the GPU, with logits that never leave it, says what the host's sampler draws
    /// from the same logits, downloaded.
    @ParameterizedTest
    @ValueSource(strings = {"moe", "dense-r3"})
    void theEngineSaysWhatTheHostWouldSay(String name) {
        GoldenModel golden = GoldenModel.of(name, name);
        Random random = new Random(5);
        int[] prompt = golden.cases().get(3).ids();
        int tokens = 6;
        try (EmulatedEngine engine = EmulatedEngine.open(golden, true)) {
            int vocabulary = engine.model().config().vocabSize();
            BitSet allowed = new BitSet();
            allowed.set(0, vocabulary);
            Sampler host = new Sampler(vocabulary, allowed);
            for (int run = 0; run < 8; run++) {
                Sampling how = settings(random);
                List<Integer> said = engine.generate(prompt, tokens, how);
                int[] all = new int[prompt.length + tokens];
                System.arraycopy(prompt, 0, all, 0, prompt.length);
                for (int i = 0; i < tokens; i++) {
                    all[prompt.length + i] = said.get(i);
                }
                List<Integer> pieces = new ArrayList<>(List.of(prompt.length));
                for (int i = 0; i < tokens; i++) {
                    pieces.add(1);
                }
                float[] logits =
                        Logits.of(engine.model(), List.of(all), new Pieces(pieces, false)).of(0);
                Counts counts = new Counts(vocabulary);
                for (int id : prompt) {
                    counts.prompt(id);
                }
                for (int length = prompt.length; length < all.length; length++) {
                    System.arraycopy(logits, (length - 1) * vocabulary, host.row(), 0, vocabulary);
                    assertThat(all[length])
                            .as("%s, %s: token %d", name, how, length)
                            .isEqualTo(host.draw(how, counts, length));
                    counts.generated(all[length]);
                }
            }
        }
    }
}
