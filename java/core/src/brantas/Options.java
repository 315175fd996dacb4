package brantas;

import brantas.format.Checkpoint.Load;
import java.util.function.Consumer;

/// How a model is opened. Start from [#DEFAULTS] and change what matters.
///
/// @param backend `auto`, `simd` or `plain`
/// @param threads CPU threads; 0 takes all cores
/// @param read whether weights are read into memory instead of mapped: slower to open, steady where
///   the operating system drops cached file pages
/// @param context positions that all running sequences share; 0 plans it from the model and the
///   free memory
/// @param sequences most sequences that run at once
/// @param progress told how loading goes
public record Options(
        String backend,
        int threads,
        boolean read,
        long context,
        int sequences,
        Consumer<LoadStep> progress) {
    /// Automatic backend, all cores, mapped weights, eight sequences.
    public static final Options DEFAULTS = new Options("auto", 0, false, 0, 8, step -> {});

    /// Another backend.
    public Options withBackend(String value) {
        return new Options(value, threads, read, context, sequences, progress);
    }

    /// Another number of threads.
    public Options withThreads(int value) {
        return new Options(backend, value, read, context, sequences, progress);
    }

    /// Mapped or read weights.
    public Options withRead(boolean value) {
        return new Options(backend, threads, value, context, sequences, progress);
    }

    /// Another number of shared positions.
    public Options withContext(long value) {
        return new Options(backend, threads, read, value, sequences, progress);
    }

    /// Another number of concurrent sequences.
    public Options withSequences(int value) {
        return new Options(backend, threads, read, context, value, progress);
    }

    /// Somebody to tell how loading goes.
    public Options withProgress(Consumer<LoadStep> value) {
        return new Options(backend, threads, read, context, sequences, value);
    }

    Load load() {
        return read ? Load.READ : Load.MAP;
    }

    /// A piece of loading done.
    ///
    /// @param what what is being loaded, for people
    /// @param done bytes so far
    /// @param total bytes in all
    public record LoadStep(String what, long done, long total) {}
}
