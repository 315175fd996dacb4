package brantas;

import brantas.op.Backend;
import brantas.plain.PlainBackend;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import brantas.simd.SimdBackend;

/// Picks the backend by name; the only place that names them all.
final class Backends {
    private Backends() {}

    static Backend open(Options options) {
        int threads = options.threads() == 0 ? Machine.processors() : options.threads();
        if (threads < 1 || threads > 1024) {
            throw new BrantasException(
                    "threads is "
                            + options.threads()
                            + ": use a number from 1 to 1024, or 0 for all.");
        }
        return switch (options.backend()) {
            case "auto", "simd" -> new SimdBackend(threads);
            case "plain" -> new PlainBackend();
            default ->
                    throw new BrantasException(
                            "There is no backend '"
                                    + options.backend()
                                    + "': use auto, simd or plain.");
        };
    }
}
