package brantas.cuda.driver;

import brantas.settings.BrantasException;
import brantas.settings.NativeFolders;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import jcuda.JCudaVersion;
import jcuda.LibUtils;
import org.jspecify.annotations.Nullable;

/// JCuda's native half. JCuda looks for it on the library path and then unpacks it below
/// `java.io.tmpdir` under a fixed name, where it takes any file that is already there: an old one,
/// a half-written one, another user's. So the library is unpacked by us into a private folder, and
/// JCuda is initialised while that property names the folder: it finds exactly our copy.
final class Binding {
    // Static because JCuda is: the JVM initialises its class once, for good or ill.
    private static final AtomicReference<@Nullable Path> LOADED = new AtomicReference<>();

    private Binding() {}

    /// Loads the binding, at the first call.
    ///
    /// @return the file it was loaded from
    /// @throws BrantasException when no folder serves or the library does not load
    static synchronized Path load() {
        Path loaded = LOADED.get();
        if (loaded != null) {
            return loaded;
        }
        String name = LibUtils.createPlatformLibraryName("JCudaDriver-" + JCudaVersion.get());
        String fileName = LibUtils.createLibraryFileName(name);
        UnpackedLibrary library = new UnpackedLibrary(fileName, read("/lib/" + fileName));
        library.requireUnshadowed(NativeFolders.libraryPath());
        Path file = library.unpack(NativeFolders.candidates());
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            throw new IllegalStateException(file + " has no folder");
        }
        NativeFolders.withTemporaryFolder(folder, Binding::initialise);
        LOADED.set(file);
        return file;
    }

    private static byte[] read(String resource) {
        try (InputStream in = LibUtils.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new BrantasException(
                        "Brantas has no CUDA binding for this kind of machine ("
                                + resource
                                + " is not in its jars): use --backend simd.");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new BrantasException(
                    resource + " cannot be read from its jar: install Brantas again.", e);
        }
    }

    private static Class<?> initialise() {
        try {
            return Class.forName("jcuda.driver.JCudaDriver");
        } catch (ClassNotFoundException | LinkageError e) {
            throw new BrantasException(
                    "The CUDA binding does not load: start Java with"
                            + " --enable-native-access=ALL-UNNAMED, or use --backend simd.",
                    e);
        }
    }
}
