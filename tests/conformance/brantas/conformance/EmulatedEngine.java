package brantas.conformance;

import brantas.cuda.CudaProvider;
import brantas.engine.Engine;
import brantas.engine.EngineLimits;
import brantas.engine.Generation;
import brantas.engine.GenerationRequest;
import brantas.format.Checkpoint;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.settings.Sampling;
import brantas.spi.BackendProvider.Choice;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;

/// A golden model in an engine on the emulated device: what users run, in the small.
record EmulatedEngine(Checkpoint checkpoint, Backend ops, Qwen35 model, Engine engine)
        implements AutoCloseable {
    private static final EngineLimits LIMITS = EngineLimits.of(3, 3 * 128);

    /// Opens device, model and engine for three short requests.
    ///
    /// @param graphs whether steps are recorded
    static EmulatedEngine open(GoldenModel golden, boolean graphs) {
        return open(golden, graphs, LIMITS);
    }

    /// Opens device, model and engine; what was opened is closed again when the rest fails.
    ///
    /// @param graphs whether steps are recorded
    static EmulatedEngine open(GoldenModel golden, boolean graphs, EngineLimits limits) {
        Checkpoint checkpoint = golden.open();
        try {
            Backend ops = new CudaProvider().open(new Choice("auto", graphs, false));
            try {
                Qwen35 model = ModelLoader.load(ops, checkpoint);
                BitSet allowed = new BitSet();
                allowed.set(0, model.config().vocabSize());
                Engine engine = new Engine(model, limits, allowed);
                return new EmulatedEngine(checkpoint, ops, model, engine);
            } catch (RuntimeException | Error e) {
                ops.close();
                throw e;
            }
        } catch (RuntimeException | Error e) {
            checkpoint.close();
            throw e;
        }
    }

    Generation submit(int[] prompt, int tokens, Sampling sampling) {
        return engine.submit(new GenerationRequest(prompt, tokens, sampling, Set.of()));
    }

    /// The ids that follow `prompt`; when the last is there, the device has nothing left to do.
    List<Integer> generate(int[] prompt, int tokens, Sampling sampling) {
        return all(submit(prompt, tokens, sampling));
    }

    /// All ids of a request; waits for its end.
    static List<Integer> all(Generation generation) {
        List<Integer> ids = new ArrayList<>();
        for (int id = generation.next(); id >= 0; id = generation.next()) {
            ids.add(id);
        }
        return ids;
    }

    @Override
    public void close() {
        engine.close();
        try {
            ops.close();
        } finally {
            checkpoint.close();
        }
    }
}
