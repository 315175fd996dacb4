package brantas.engine;

import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.op.StepBatch;
import brantas.op.TokenSampler;
import brantas.sample.Sampler;
import brantas.tensor.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/// How a step's logits become ids: by the backend, as the last ops of the step, or by the host from
/// downloaded rows.
sealed interface Drawing extends AutoCloseable {
    /// The backend's way if it has one, the host's otherwise.
    static Drawing of(Qwen35 model, EngineLimits limits, BitSet allowed) {
        int vocabulary = model.config().vocabSize();
        return model.ops()
                .sampler(vocabulary, allowed, limits.sequences(), limits.sequences())
                .<Drawing>map(sampler -> new OnDevice(sampler, limits.sequences()))
                .orElseGet(() -> new OnHost(model.ops(), vocabulary, allowed));
    }

    /// Width of the token counts that the host keeps for penalties; 0 if the backend does.
    int countedVocabulary();

    /// The op that counts a step's tokens for the penalties; part of every step.
    void count(StepBatch batch);

    /// The op that draws.
    void record(StepBatch batch, Buffer logits);

    /// Waits for what [#record] began.
    void finish(int outputs);

    /// The id of an output of the step.
    int take(Buffer logits, int output, Sequence sequence);

    /// A new sequence begins in a slot.
    void clear(int slot);

    @Override
    void close();

    /// Only ids come back.
    final class OnDevice implements Drawing {
        private final TokenSampler sampler;
        private final int[] ids;

        OnDevice(TokenSampler sampler, int outputs) {
            this.sampler = sampler;
            this.ids = new int[outputs];
        }

        @Override
        public int countedVocabulary() {
            return 0;
        }

        @Override
        public void count(StepBatch batch) {
            sampler.count(batch);
        }

        @Override
        public void record(StepBatch batch, Buffer logits) {
            sampler.draw(logits, batch);
        }

        @Override
        public void finish(int outputs) {
            sampler.take(ids, outputs);
        }

        @Override
        public int take(Buffer logits, int output, Sequence sequence) {
            return ids[output];
        }

        @Override
        public void clear(int slot) {
            sampler.clear(slot);
        }

        @Override
        public void close() {
            // The sampler's memory is the backend's.
        }
    }

    /// Rows of logits come back.
    final class OnHost implements Drawing {
        private final Backend ops;
        private final Sampler sampler;
        private final int vocabulary;
        private final Arena arena = Arena.ofShared();
        private final MemorySegment row;

        OnHost(Backend ops, int vocabulary, BitSet allowed) {
            this.ops = ops;
            this.vocabulary = vocabulary;
            this.sampler = new Sampler(vocabulary, allowed);
            this.row = arena.allocate(4L * vocabulary, 64);
        }

        @Override
        public int countedVocabulary() {
            return vocabulary;
        }

        @Override
        public void count(StepBatch batch) {
            // Sequences count their own tokens.
        }

        @Override
        public void record(StepBatch batch, Buffer logits) {
            // The rows are fetched one by one, when they are needed.
        }

        @Override
        public void finish(int outputs) {
            // Downloading waits.
        }

        @Override
        public int take(Buffer logits, int output, Sequence s) {
            ops.download(row, logits, output, 1);
            MemorySegment.copy(row, ValueLayout.JAVA_FLOAT, 0, sampler.row(), 0, vocabulary);
            return sampler.draw(s.request.sampling(), s.counts, s.length());
        }

        @Override
        public void clear(int slot) {
            // A new sequence has new counts.
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
