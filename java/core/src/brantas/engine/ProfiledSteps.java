package brantas.engine;

import brantas.model.ModelState;
import brantas.model.Qwen35;
import brantas.model.Workspace;
import brantas.op.StepBatch;
import brantas.op.StepProfile;
import brantas.op.TokenSampler;
import brantas.settings.BrantasException;
import brantas.settings.Sampling;
import brantas.spi.Tap;
import java.util.BitSet;
import java.util.SplittableRandom;

/// Two steps of one sequence as the engine runs them, each timed piece by piece: a prompt in one
/// step, and the step of the token behind it. Both are run once before they are timed, so that
/// everything they need exists.
///
/// @param prefill of the prompt
/// @param decode of one token
public record ProfiledSteps(StepProfile prefill, StepProfile decode) {
    /// Runs the steps.
    ///
    /// @param tokens of the prompt, at least 1
    /// @throws BrantasException if the model's backend cannot tell
    public static ProfiledSteps of(Qwen35 model, int tokens) {
        return new Run(model, tokens).profile();
    }

    private static final class Run {
        private final Qwen35 model;
        private final int tokens;
        private final ModelState state;
        private final TokenSampler sampler;
        private final StepBatch batch;
        private final int pages;
        private final Runnable ops;
        private final int[] ids = new int[1];

        Run(Qwen35 model, int tokens) {
            this.model = model;
            this.tokens = tokens;
            int vocabulary = model.config().vocabSize();
            BitSet all = new BitSet();
            all.set(0, vocabulary);
            this.sampler =
                    model.ops().sampler(vocabulary, all, 1, 1).orElseThrow(() -> untold(model));
            this.pages = tokens / Engine.PAGE_SIZE + 1;
            this.state = new ModelState(model.ops(), model.config(), pages, Engine.PAGE_SIZE, 1);
            Workspace ws = Workspace.of(model.ops(), model.config(), tokens, 1, 1);
            this.batch = new StepBatch(tokens, 1, pages);
            this.ops =
                    () -> {
                        model.forward(batch, state, ws, Tap.NONE);
                        sampler.count(batch);
                        model.logits(batch, ws);
                        sampler.draw(ws.logits(), batch);
                    };
        }

        private static BrantasException untold(Qwen35 model) {
            return new BrantasException(
                    "The backend "
                            + model.ops().name()
                            + " does not time its steps: use --backend cuda.");
        }

        ProfiledSteps profile() {
            SplittableRandom random = new SplittableRandom(1);
            int vocabulary = model.config().vocabSize();
            int[] prompt = random.ints(tokens, 0, vocabulary).toArray();
            int[] next = random.ints(1, 0, vocabulary).toArray();
            return new ProfiledSteps(timed(prompt, 0), timed(next, tokens));
        }

        private StepProfile timed(int[] rows, int past) {
            Runnable once =
                    () -> {
                        if (past == 0) {
                            state.clear(0);
                            sampler.clear(0);
                        }
                        fill(rows, past);
                        model.ops().step(batch, ops);
                        sampler.take(ids, 1);
                    };
            once.run();
            return model.ops().profile(once).orElseThrow(() -> untold(model));
        }

        private void fill(int[] rows, int past) {
            batch.clear();
            batch.addSequence(past, 0);
            for (int p = 0; p <= (past + rows.length - 1) / Engine.PAGE_SIZE; p++) {
                batch.addPage(p);
            }
            for (int i = 0; i < rows.length; i++) {
                int at = past + i;
                boolean last = i == rows.length - 1;
                batch.addRow(rows[i], at, at, at, last);
                if (last) {
                    batch.draw(Sampling.GREEDY, at + 1L);
                }
            }
            batch.seal();
        }
    }
}
