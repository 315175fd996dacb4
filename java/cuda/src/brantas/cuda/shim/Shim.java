package brantas.cuda.shim;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.javacpp.Loader;

/// Launches with attributes that the driver's Java binding lacks. Its library is built where there
/// is a C++ compiler, and may be missing: then kernels start the plain way. The library is loaded
/// from a file of this process alone, which is removed at once, because a name that several
/// versions share ends in one of them running another's code.
public final class Shim {
    /// The kernel may begin before its predecessor in the stream has ended. Only for kernels that
    /// wait for their predecessors themselves.
    public static final int PROGRAMMATIC = 1;

    private static final int NO_DRIVER = -1;
    private static final int NO_EXTENDED_LAUNCH = -2;
    private static final String WITHOUT = ": kernels start without programmatic launch.";

    private Shim() {}

    /// What loading gave: empty, or why there is no library. Happens once, at the first use.
    private static final class Library {
        static final String MISSING = load();

        private Library() {}

        private static String load() {
            try {
                String name = Loader.getPlatform() + "/lib" + Binding.LIBRARY + ".so";
                try (InputStream library = Shim.class.getResourceAsStream(name)) {
                    if (library == null) {
                        return "this build has no shim, as there was no g++ when it was made";
                    }
                    load(library);
                }
                return "";
            } catch (IOException | LinkageError e) {
                return "the shim cannot be loaded (" + e.getMessage() + ")";
            }
        }

        private static void load(InputStream library) throws IOException {
            Path file = Files.createTempFile("brantas-shim", ".so");
            try {
                Files.copy(library, file, StandardCopyOption.REPLACE_EXISTING);
                System.load(file.toString());
            } finally {
                Files.deleteIfExists(file);
            }
        }
    }

    /// The shim, if its library loads and the driver can launch with attributes. If not, `without`
    /// gets the reason, one sentence.
    public static Optional<Shim> open(Consumer<String> without) {
        String missing = Library.MISSING.isEmpty() ? driver(Binding.open()) : Library.MISSING;
        if (missing.isEmpty()) {
            return Optional.of(new Shim());
        }
        without.accept(missing + WITHOUT);
        return Optional.empty();
    }

    private static String driver(int result) {
        return switch (result) {
            case 0 -> "";
            case NO_DRIVER -> "there is no libcuda.so.1";
            case NO_EXTENDED_LAUNCH -> "the driver is older than CUDA 12";
            default -> "the shim answers " + result;
        };
    }

    /// Launches; the driver's result code, 0 for success.
    public int launch(LaunchRequest request) {
        return Binding.launch(request.address());
    }
}
