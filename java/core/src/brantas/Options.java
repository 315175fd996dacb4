package brantas;

import brantas.format.Checkpoint.Load;
import java.util.function.Consumer;

/// How a model is opened. Start from [#DEFAULTS] and change what matters.
///
/// @param backend `auto`, `cuda`, `simd`, `plain`, or `plain-bf16` (plain, with a GPU's roundings)
/// @param device of `cuda`: `auto` for the one with most free memory, an index, or a UUID
/// @param graphs whether `cuda` records decode steps and replays them
/// @param exact whether `cuda` keeps the precision of fp32 inside the delta rule, slower, for
///   comparisons
/// @param threads CPU threads; 0 takes all cores
/// @param read whether weights are read into memory instead of mapped: slower to open, steady where
///   the operating system drops cached file pages
/// @param context positions that all running sequences share; 0 plans it from the model and the
///   free memory
/// @param sequences most sequences that run at once
/// @param progress told how loading goes
/// @param notice told in one sentence what was not as asked, such as a GPU that cannot be used
public record Options(
        String backend,
        String device,
        boolean graphs,
        boolean exact,
        int threads,
        boolean read,
        long context,
        int sequences,
        Consumer<LoadStep> progress,
        Consumer<String> notice) {
    /// Automatic backend, all cores, mapped weights, eight sequences.
    public static final Options DEFAULTS =
            new Options("auto", "auto", true, false, 0, false, 0, 8, step -> {}, notice -> {});

    /// Another backend.
    public Options withBackend(String value) {
        return new Options(
                value, device, graphs, exact, threads, read, context, sequences, progress, notice);
    }

    /// Another device.
    public Options withDevice(String value) {
        return new Options(
                backend, value, graphs, exact, threads, read, context, sequences, progress, notice);
    }

    /// Recorded decode steps, or not.
    public Options withGraphs(boolean value) {
        return new Options(
                backend, device, value, exact, threads, read, context, sequences, progress, notice);
    }

    /// Exact insides, or fast ones.
    public Options withExact(boolean value) {
        return new Options(
                backend, device, graphs, value, threads, read, context, sequences, progress,
                notice);
    }

    /// Another number of threads.
    public Options withThreads(int value) {
        return new Options(
                backend, device, graphs, exact, value, read, context, sequences, progress, notice);
    }

    /// Mapped or read weights.
    public Options withRead(boolean value) {
        return new Options(
                backend, device, graphs, exact, threads, value, context, sequences, progress,
                notice);
    }

    /// Another number of shared positions.
    public Options withContext(long value) {
        return new Options(
                backend, device, graphs, exact, threads, read, value, sequences, progress, notice);
    }

    /// Another number of concurrent sequences.
    public Options withSequences(int value) {
        return new Options(
                backend, device, graphs, exact, threads, read, context, value, progress, notice);
    }

    /// Somebody to tell how loading goes.
    public Options withProgress(Consumer<LoadStep> value) {
        return new Options(
                backend, device, graphs, exact, threads, read, context, sequences, value, notice);
    }

    /// Somebody to tell what was not as asked.
    public Options withNotice(Consumer<String> value) {
        return new Options(
                backend, device, graphs, exact, threads, read, context, sequences, progress, value);
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
