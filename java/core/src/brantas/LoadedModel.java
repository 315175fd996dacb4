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
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import java.nio.file.Path;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// A checkpoint, a backend and the model between them; closing frees all three in the right order.
record LoadedModel(TensorSource source, Backend backend, Qwen35 model, MemoryPlan plan)
        implements AutoCloseable {
    static LoadedModel open(Path folder, Options options, long context) {
        Machine.checkJava();
        // Mapping costs nothing: plan from the headers before any weight is touched.
        boolean read = options.load() == Load.READ;
        Progress whileMapping = read ? Progress.NONE : progress(options);
        Checkpoint mapped = Checkpoint.open(folder, Load.MAP, whileMapping);
        Backend backend = null;
        MemoryPlan plan;
        try {
            backend = Backends.open(options);
            plan = plan(mapped, backend, options, context);
        } catch (BrantasException e) {
            boolean other = backend != null && backend.memory().copiesWeights();
            close(backend, mapped);
            if (!other || !options.backend().equals("auto")) {
                throw e;
            }
            options.notice().accept("Computing on the CPU: " + e.getMessage());
            return open(folder, options.withBackend("simd"), context);
        } catch (RuntimeException | Error e) {
            close(backend, mapped);
            throw e;
        }
        if (!read) {
            return of(mapped, backend, plan, options);
        }
        mapped.close();
        Checkpoint copy;
        try {
            copy = Checkpoint.open(folder, Load.READ, progress(options));
        } catch (RuntimeException | Error e) {
            backend.close();
            throw e;
        }
        return of(copy, backend, plan, options);
    }

    private static MemoryPlan plan(
            TensorSource source, Backend backend, Options options, long context) {
        boolean copies = backend.memory().copiesWeights();
        long weights = copies ? textBytes(source) : source.bytes();
        ModelConfig config = source.config();
        int sequences = options.sequences();
        MemoryPlan plan = MemoryPlan.of(config, weights, context, sequences, backend.memory());
        plan.check(source.name());
        return plan;
    }

    /// Bytes of what is computed with: a backend that copies leaves the rest where it is.
    private static long textBytes(TensorSource source) {
        return source.tensors().values().stream()
                .filter(t -> !t.name().startsWith(WeightNames.MTP))
                .filter(t -> !t.name().startsWith(WeightNames.VISION))
                .mapToLong(TensorSource.TensorInfo::bytes)
                .sum();
    }

    /// A size that exists as random weights only, as bf16; refuses what does not fit before making
    /// it.
    ///
    /// @param make makes the weights
    static LoadedModel random(
            String size,
            ModelConfig config,
            Options options,
            long context,
            Function<Progress, TensorSource> make) {
        Machine.checkJava();
        long parameters =
                WeightNames.all(config).stream().mapToLong(WeightNames.Expected::elements).sum();
        Backend backend = Backends.open(options);
        MemoryPlan plan;
        TensorSource source;
        try {
            int sequences = options.sequences();
            plan = MemoryPlan.of(config, 2 * parameters, context, sequences, backend.memory());
            plan.check(size);
            source = make.apply(progress(options));
        } catch (RuntimeException | Error e) {
            backend.close();
            throw e;
        }
        return of(source, backend, plan, options);
    }

    private static LoadedModel of(
            TensorSource source, Backend backend, MemoryPlan plan, Options options) {
        try {
            Progress progress = plan.memory().copiesWeights() ? progress(options) : Progress.NONE;
            Qwen35 model = ModelLoader.load(backend, source, progress);
            return new LoadedModel(source, backend, model, plan);
        } catch (RuntimeException | Error e) {
            close(backend, source);
            throw e;
        }
    }

    private static void close(@Nullable Backend backend, TensorSource source) {
        if (backend != null) {
            backend.close();
        }
        source.close();
    }

    @Override
    public void close() {
        close(backend, source);
    }

    private static Progress progress(Options options) {
        return (what, done, total) ->
                options.progress().accept(new Options.LoadStep(what, done, total));
    }
}
