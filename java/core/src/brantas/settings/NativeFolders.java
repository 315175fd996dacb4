package brantas.settings;

import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/// Where native libraries are unpacked to and looked for on this machine. Bindings that unpack
/// their own library do so below `java.io.tmpdir` under a name that everybody can guess;
/// [#withTemporaryFolder] lets them find a folder of ours there instead.
public final class NativeFolders {
    private static final String TEMPORARY = "java.io.tmpdir";

    private NativeFolders() {}

    /// Folders of this user that may hold unpacked libraries, best first; none of them need exist.
    public static List<Path> candidates() {
        List<Path> folders = new ArrayList<>();
        String cache = System.getenv("XDG_CACHE_HOME");
        if (cache != null && Path.of(cache).isAbsolute()) {
            folders.add(Path.of(cache, "brantas"));
        }
        String home = System.getProperty("user.home", "");
        if (!home.isEmpty() && Path.of(home).isAbsolute()) {
            folders.add(Path.of(home, ".cache", "brantas"));
        }
        String user = System.getProperty("user.name", "user").replaceAll("[^A-Za-z0-9_-]", "_");
        folders.add(Path.of(System.getProperty(TEMPORARY, "/tmp"), "brantas-" + user));
        return folders;
    }

    /// Folders that `System.loadLibrary` searches, in its order.
    public static List<Path> libraryPath() {
        return Arrays.stream(System.getProperty("java.library.path", "").split(File.pathSeparator))
                .filter(entry -> !entry.isEmpty())
                .map(Path::of)
                .toList();
    }

    /// Runs `work` with `java.io.tmpdir` naming `folder`. One at a time; the JDK's own temporary
    /// files do not follow the property after start-up, so that only code which reads the property
    /// by itself notices.
    public static synchronized <T> T withTemporaryFolder(Path folder, Supplier<T> work) {
        String before = System.setProperty(TEMPORARY, folder.toString());
        try {
            return work.get();
        } finally {
            if (before == null) {
                System.clearProperty(TEMPORARY);
            } else {
                System.setProperty(TEMPORARY, before);
            }
        }
    }
}
