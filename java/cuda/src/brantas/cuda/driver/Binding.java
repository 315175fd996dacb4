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

/// The native half of one of JCuda's classes. JCuda looks for it on the library path and then
/// unpacks it below `java.io.tmpdir` under a fixed name, where it takes any file that is already
/// there: an old one, a half-written one, another user's. So the library is unpacked by us into a
/// private folder, and the class is initialised while that property names the folder: it finds
/// exactly our copy.
public final class Binding {
    /// The driver's functions.
    static final Binding DRIVER =
            new Binding("JCudaDriver", "jcuda.driver.JCudaDriver", "use --backend simd");

    /// The functions of cuBLAS, whose library must be loaded before.
    public static final Binding CUBLAS =
            new Binding("JCublas2", "jcuda.jcublas.JCublas2", "unset BRANTAS_CUBLAS");

    private final String library;
    private final String className;
    private final String otherwise;
    // One for the process because JCuda's is: the JVM initialises a class once, for good or ill.
    private final AtomicReference<@Nullable Path> loaded = new AtomicReference<>();

    private Binding(String library, String className, String otherwise) {
        this.library = library;
        this.className = className;
        this.otherwise = otherwise;
    }

    /// Loads the binding, at the first call.
    ///
    /// @return the file it was loaded from
    /// @throws BrantasException when no folder serves or the library does not load
    public synchronized Path load() {
        Path before = loaded.get();
        if (before != null) {
            return before;
        }
        String name = LibUtils.createPlatformLibraryName(library + "-" + JCudaVersion.get());
        String fileName = LibUtils.createLibraryFileName(name);
        UnpackedLibrary unpacked = new UnpackedLibrary(fileName, read("/lib/" + fileName));
        unpacked.requireUnshadowed(NativeFolders.libraryPath());
        Path file = unpacked.unpack(NativeFolders.candidates());
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            throw new IllegalStateException(file + " has no folder");
        }
        NativeFolders.withTemporaryFolder(folder, this::initialise);
        loaded.set(file);
        return file;
    }

    private byte[] read(String resource) {
        try (InputStream in = LibUtils.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new BrantasException(
                        "Brantas has no CUDA binding for this kind of machine ("
                                + resource
                                + " is not in its jars): "
                                + otherwise
                                + ".");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new BrantasException(
                    resource + " cannot be read from its jar: install Brantas again.", e);
        }
    }

    private Class<?> initialise() {
        try {
            return Class.forName(className);
        } catch (ClassNotFoundException | LinkageError e) {
            throw new BrantasException(
                    "The CUDA binding "
                            + library
                            + " does not load: start Java with"
                            + " --enable-native-access=ALL-UNNAMED, or "
                            + otherwise
                            + ".",
                    e);
        }
    }
}
