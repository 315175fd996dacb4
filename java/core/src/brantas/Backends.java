package brantas;

import brantas.op.Backend;
import brantas.plain.PlainBackend;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import brantas.simd.SimdBackend;
import brantas.spi.BackendProvider;
import brantas.spi.KernelLab;
import java.util.Optional;
import java.util.ServiceLoader;

/// Picks the backend by name; the only place that names them all.
final class Backends {
    private static final String GPU = "cuda";

    private Backends() {}

    static Backend open(Options options) {
        return switch (options.backend()) {
            case "auto" -> automatic(options);
            case "simd" -> simd(options);
            case "plain" -> new PlainBackend();
            case "plain-bf16" -> new PlainBackend(true);
            case GPU ->
                    gpu().orElseThrow(() ->
                                    new BrantasException(
                                            "The backend cuda is not part of this program: add brantas-cuda"
                                                    + " to the class path, or use --backend simd."))
                            .open(choice(options));
            default ->
                    throw new BrantasException(
                            "There is no backend '"
                                    + options.backend()
                                    + "': use auto, cuda, simd, plain or plain-bf16.");
        };
    }

    /// The GPU where there is one that works, the CPU otherwise, and in that case a word about why.
    private static Backend automatic(Options options) {
        Optional<BackendProvider> gpu = gpu();
        if (gpu.isPresent() && gpu.get().present()) {
            try {
                return gpu.get().open(choice(options));
            } catch (BrantasException e) {
                options.notice().accept("Computing on the CPU: " + e.getMessage());
            }
        }
        return simd(options);
    }

    private static Optional<BackendProvider> gpu() {
        return ServiceLoader.load(BackendProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(p -> p.name().equals(GPU))
                .findFirst();
    }

    /// The kernels of a backend, one by one, on the device that the options name.
    static KernelLab.Bench lab(Options options) {
        return ServiceLoader.load(KernelLab.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(lab -> lab.name().equals(GPU))
                .findFirst()
                .orElseThrow(() ->
                        new BrantasException(
                                "The backend cuda is not part of this program: add brantas-cuda to"
                                        + " the class path."))
                .open(choice(options));
    }

    private static BackendProvider.Choice choice(Options options) {
        return new BackendProvider.Choice(options.device(), options.graphs(), options.exact());
    }

    private static Backend simd(Options options) {
        int threads = options.threads() == 0 ? Machine.processors() : options.threads();
        if (threads < 1 || threads > 1024) {
            throw new BrantasException(
                    "threads is "
                            + options.threads()
                            + ": use a number from 1 to 1024, or 0 for all.");
        }
        return new SimdBackend(threads);
    }

    /// What an open backend is, for people.
    static String words(Backend backend) {
        return backend.name() + " (" + backend.description() + ")";
    }
}
