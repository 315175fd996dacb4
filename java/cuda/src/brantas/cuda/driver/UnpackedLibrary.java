package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/// A native library out of a jar, as a file of this user's that nobody else can have put there. Its
/// folder is named by the content, so that versions never meet; a file is written under a name of
/// its own and renamed, so that processes that start together see all of it or nothing. A folder
/// that cannot be written, belongs to others or lies on a file system without execution is passed
/// over for the next.
final class UnpackedLibrary {
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private final String fileName;
    private final byte[] content;

    /// @param fileName of the library, `libx.so`
    UnpackedLibrary(String fileName, byte[] content) {
        this.fileName = fileName;
        this.content = content;
    }

    /// Unpacks into the first folder that works, or finds it there.
    ///
    /// @throws BrantasException naming each folder and why it does not serve
    Path unpack(List<Path> folders) {
        List<String> reasons = new ArrayList<>();
        for (Path folder : folders) {
            try {
                Path file = place(folder);
                requireExecution(file);
                return file;
            } catch (IOException | UnsupportedOperationException e) {
                reasons.add(folder + " (" + reason(e) + ")");
            }
        }
        throw new BrantasException(
                "The native library "
                        + fileName
                        + " cannot be unpacked to "
                        + String.join(", ", reasons)
                        + ": set XDG_CACHE_HOME to a folder of yours that allows programs.");
    }

    /// Refuses a library of the same name that the JVM would load before ours.
    ///
    /// @throws BrantasException naming the file, unless its content is the same
    void requireUnshadowed(List<Path> libraryPath) {
        for (Path folder : libraryPath) {
            Path file = folder.resolve(fileName);
            if (Files.isRegularFile(file) && !isOurs(file)) {
                throw new BrantasException(
                        file
                                + " would be loaded in place of the version that Brantas is made"
                                + " for: remove it, or take its folder off LD_LIBRARY_PATH.");
            }
        }
    }

    private Path place(Path root) throws IOException {
        Files.createDirectories(root, PRIVATE);
        requirePrivate(root);
        Path folder = Files.createDirectories(root.resolve("native-" + hash()), PRIVATE);
        requirePrivate(folder);
        Path file = folder.resolve(fileName);
        if (!isOurs(file)) {
            Path fresh = Files.createTempFile(folder, fileName, ".part", PRIVATE);
            try {
                Files.write(fresh, content);
                Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                Files.deleteIfExists(fresh);
            }
            if (!isOurs(file)) {
                throw new IOException("its content changes");
            }
        }
        return file;
    }

    private static void requirePrivate(Path folder) throws IOException {
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
            throw new IOException("not a folder");
        }
        Object owner = Files.getAttribute(folder, "unix:uid", LinkOption.NOFOLLOW_LINKS);
        if (!owner.equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))) {
            throw new IOException("belongs to another user");
        }
        Set<PosixFilePermission> permissions =
                Files.getPosixFilePermissions(folder, LinkOption.NOFOLLOW_LINKS);
        if (permissions.contains(PosixFilePermission.GROUP_WRITE)
                || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
            throw new IOException("others may write to it");
        }
    }

    /// Opens and closes the library as the JVM will: there is one attempt to initialise a binding,
    /// so a file that does not load is found out before.
    private static void requireExecution(Path file) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup(file, arena);
        } catch (IllegalArgumentException e) {
            throw new IOException("programs there are not executed", e);
        }
    }

    private boolean isOurs(Path file) {
        try {
            return Files.size(file) == content.length
                    && Arrays.equals(Files.readAllBytes(file), content);
        } catch (IOException e) {
            return false;
        }
    }

    private String hash() {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
            return HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    private static String reason(Exception e) {
        return switch (e) {
            case java.nio.file.AccessDeniedException denied -> "not writable";
            case java.nio.file.FileSystemException file when file.getReason() != null ->
                    file.getReason();
            default -> e.getMessage() == null ? e.toString() : e.getMessage();
        };
    }
}
