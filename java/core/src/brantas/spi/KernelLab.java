package brantas.spi;

import brantas.op.ModelShapes;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/// Measures and tries the kernels of a backend one by one, outside any model. Found as a service
/// beside the [BackendProvider] of the same name.
public interface KernelLab {
    /// Name of the backend whose kernels they are: `cuda`.
    String name();

    /// Opens a device.
    ///
    /// @throws brantas.settings.BrantasException if it cannot be used, with the reason and the
    ///   remedy
    Bench open(BackendProvider.Choice choice);

    /// An open device. One thread uses it at a time.
    interface Bench extends AutoCloseable {
        /// What it is.
        About about();

        /// Measures every kernel of a model's decode and prefill steps, and some more shapes that
        /// others publish figures of.
        ///
        /// @param each told of each as soon as it is there
        List<KernelTime> measure(Model model, Consumer<KernelTime> each);

        /// Tries something.
        List<Finding> run(Trial trial, Model model);

        @Override
        void close();
    }

    /// What can be tried.
    enum Trial {
        /// Every kernel is loaded, with the shared memory that it asks for.
        LOAD,
        /// Kernels that split their work give the same bits again and again.
        DETERMINISM,
        /// Time between two kernels of a graph.
        GAPS,
        /// Bytes per second of a large copy within the device.
        COPY,
        /// Variants of a kernel that a launch policy chooses from, each where it may be chosen.
        VARIANTS
    }

    /// A device.
    ///
    /// @param emulated whether it is none, so that times mean nothing and shapes are tiny
    /// @param image file of the kernels
    /// @param imageHash SHA-256 of that file
    /// @param programmatic whether kernels begin before their predecessors end
    /// @param bandwidth bytes per second by the data sheet, 0 where it is not known
    /// @param flops bf16 operations per second by the data sheet, 0 where it is not known
    /// @param cacheBytes of the L2 cache, or a guess that is not too small
    record About(
            String device,
            boolean emulated,
            String capability,
            int multiprocessors,
            long memoryBytes,
            String driver,
            String image,
            String imageHash,
            boolean programmatic,
            double bandwidth,
            double flops,
            long cacheBytes) {}

    /// Whose kernels.
    ///
    /// @param inner width of a dense feed-forward, 0 with experts
    record Model(String name, ModelShapes shapes, int hidden, int inner) {}

    /// How long a launch takes, in a graph of many, with weights that are not in the cache.
    ///
    /// @param phase `decode` or `prefill` for a launch of that step, `table` for another shape
    /// @param kernel what is launched, joined by + where it is several
    /// @param purpose its work in the model
    /// @param shape rows and sizes
    /// @param micros median
    /// @param least smallest
    /// @param repeats graphs that were timed
    /// @param launches of a graph
    /// @param copies of the weights that take turns
    /// @param bytes that must be moved
    /// @param flops that must be done
    record KernelTime(
            String phase,
            String kernel,
            String purpose,
            String shape,
            double micros,
            double least,
            int repeats,
            int launches,
            int copies,
            double bytes,
            double flops) {}

    /// What came of a trial.
    ///
    /// @param name of the thing that was tried
    /// @param passed false where something is wrong
    /// @param text in words
    /// @param numbers by name
    record Finding(String name, boolean passed, String text, Map<String, Double> numbers) {}
}
