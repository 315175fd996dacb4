package brantas;

import brantas.engine.MemoryPlan;
import brantas.format.Checkpoint;
import brantas.format.Checkpoint.Load;
import brantas.format.ModelConfig;
import brantas.format.Progress;
import brantas.format.TensorSource;
import brantas.format.WeightNames;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.settings.Machine;
import java.nio.file.Path;

/// A checkpoint, a backend and the model between them; closing frees all three in the right order.
record LoadedModel(TensorSource source, Backend backend, Qwen35 model, MemoryPlan plan)
        implements AutoCloseable {
    static LoadedModel open(Path folder, Options options, long context) {
        Machine.checkJava();
        // Mapping costs nothing: plan from the headers before any weight is touched.
        boolean read = options.load() == Load.READ;
        Progress whileMapping = read ? Progress.NONE : progress(options);
        Checkpoint mapped = Checkpoint.open(folder, Load.MAP, whileMapping);
        MemoryPlan plan;
        try {
            plan = plan(mapped.name(), mapped.config(), mapped.bytes(), options, context);
        } catch (RuntimeException e) {
            mapped.close();
            throw e;
        }
        if (!read) {
            return of(mapped, options, plan);
        }
        mapped.close();
        return of(Checkpoint.open(folder, options.load(), progress(options)), options, plan);
    }

    /// Plans the memory of a size that is not there yet, as bf16, and refuses what does not fit.
    static MemoryPlan plan(String size, ModelConfig config, Options options, long context) {
        long parameters =
                WeightNames.all(config).stream().mapToLong(WeightNames.Expected::elements).sum();
        return plan(size, config, 2 * parameters, options, context);
    }

    private static MemoryPlan plan(
            String name, ModelConfig config, long bytes, Options options, long context) {
        long available = Machine.availableMemory();
        MemoryPlan plan = MemoryPlan.of(config, bytes, context, options.sequences(), available);
        plan.check(name, available);
        return plan;
    }

    static LoadedModel of(TensorSource source, Options options, MemoryPlan plan) {
        Backend backend = null;
        try {
            backend = Backends.open(options);
            return new LoadedModel(source, backend, ModelLoader.load(backend, source), plan);
        } catch (RuntimeException e) {
            if (backend != null) {
                backend.close();
            }
            source.close();
            throw e;
        }
    }

    @Override
    public void close() {
        backend.close();
        source.close();
    }

    private static Progress progress(Options options) {
        return (what, done, total) ->
                options.progress().accept(new Options.LoadStep(what, done, total));
    }
}
