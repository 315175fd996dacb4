package brantas.engine;

import brantas.engine.TeacherForcing.Pieces;
import brantas.model.Qwen35;
import brantas.settings.Sampling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Whether two backends choose the same tokens. Each goes on greedily by itself, which shows how
/// long they agree; then both are led along the same text, so that one early difference does not
/// decide about all that follows. Where they choose otherwise, the referee says how close the
/// choice was.
///
/// @param tokens compared
/// @param together tokens from the beginning that both generate by themselves
/// @param equal choices that are the same when both are led
/// @param widest by how much the referee prefers its own choice where they differ, at most, as a
///   part of its largest logit
public record GreedyParity(int tokens, int together, int equal, double widest) {
    /// Compares.
    ///
    /// @param referee whose text is followed
    /// @param other which is judged
    /// @param prompt ids that come before
    public static GreedyParity of(Qwen35 referee, Qwen35 other, int[] prompt, int tokens) {
        int[] text = generate(referee, prompt, tokens);
        int[] alone = generate(other, prompt, tokens);
        int together = 0;
        while (together < Math.min(text.length, alone.length)
                && text[together] == alone[together]) {
            together++;
        }
        int[] led = new int[prompt.length + text.length];
        System.arraycopy(prompt, 0, led, 0, prompt.length);
        System.arraycopy(text, 0, led, prompt.length, text.length);
        Choices choices = new Choices(led.length, null);
        TeacherForcing.run(other, List.of(led), steps(prompt.length, text.length), choices);
        Choices judge = new Choices(led.length, choices.best);
        TeacherForcing.run(referee, List.of(led), Pieces.WHOLE, judge);
        int from = prompt.length - 1;
        int equal = 0;
        double widest = 0;
        for (int position = from; position < from + text.length; position++) {
            if (judge.best[position] == choices.best[position]) {
                equal++;
            } else {
                widest = Math.max(widest, judge.gap[position]);
            }
        }
        return new GreedyParity(text.length, together, equal, widest);
    }

    /// The prompt as a whole, then a token at a time, as decoding goes.
    private static Pieces steps(int prompt, int tokens) {
        int[] lengths = new int[tokens + 1];
        Arrays.fill(lengths, 1);
        lengths[0] = prompt;
        return new Pieces(IntStream.of(lengths).boxed().toList(), false);
    }

    private static int[] generate(Qwen35 model, int[] prompt, int tokens) {
        BitSet all = new BitSet();
        all.set(0, model.config().vocabSize());
        EngineLimits limits = EngineLimits.of(1, prompt.length + tokens + Engine.PAGE_SIZE);
        try (Engine engine = new Engine(model, limits, all)) {
            Generation generation =
                    engine.submit(new GenerationRequest(prompt, tokens, Sampling.GREEDY, Set.of()));
            int[] ids = new int[tokens];
            int count = 0;
            for (int id = generation.next(); id >= 0; id = generation.next()) {
                ids[count++] = id;
            }
            return Arrays.copyOf(ids, count);
        }
    }

    /// The best id of each position, and how far behind it another's choice is.
    private static final class Choices implements TeacherForcing.Sink {
        final int[] best;
        final double[] gap;
        private final int @Nullable [] others;

        Choices(int positions, int @Nullable [] others) {
            this.best = new int[positions];
            this.gap = new double[positions];
            this.others = others;
        }

        @Override
        public void logits(int sequence, int position, int count, MemorySegment rows) {
            int vocabulary = Math.toIntExact(rows.byteSize() / 4 / count);
            for (int r = 0; r < count; r++) {
                long row = (long) r * vocabulary;
                int largest = 0;
                double size = 0;
                for (int id = 0; id < vocabulary; id++) {
                    float value = rows.getAtIndex(ValueLayout.JAVA_FLOAT, row + id);
                    size = Math.max(size, Math.abs(value));
                    if (value > rows.getAtIndex(ValueLayout.JAVA_FLOAT, row + largest)) {
                        largest = id;
                    }
                }
                best[position + r] = largest;
                if (others != null) {
                    int other = others[position + r];
                    float mine = rows.getAtIndex(ValueLayout.JAVA_FLOAT, row + largest);
                    float theirs = rows.getAtIndex(ValueLayout.JAVA_FLOAT, row + other);
                    gap[position + r] = size == 0 ? 0 : (mine - theirs) / size;
                }
            }
        }

        @Override
        public void hidden(int layer, int sequence, int position, int count, MemorySegment rows) {
            throw new IllegalStateException("nobody asked for it");
        }

        @Override
        public boolean taps() {
            return false;
        }
    }
}
