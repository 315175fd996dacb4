package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import jcuda.LibUtils;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Unpacking a native library: where to, what is trusted there, and what is said when nothing
/// serves.
class UnpackedLibraryTest {
    @TempDir Path folder;
    private byte[] content;
    private UnpackedLibrary library;

    @BeforeEach
    void read() throws IOException {
        // Any real library serves; this one needs no driver to be opened.
        content = library("JCudaRuntime");
        library = new UnpackedLibrary("libtry.so", content);
    }

    private static byte[] library(String name) throws IOException {
        String file =
                LibUtils.createLibraryFileName(
                        LibUtils.createPlatformLibraryName(name + "-" + jcuda.JCudaVersion.get()));
        try (InputStream in = LibUtils.class.getResourceAsStream("/lib/" + file)) {
            assertThat(in).as(file).isNotNull();
            return in.readAllBytes();
        }
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile).toList();
        }
    }

    @Test
    void theFolderIsNamedByContentAndPrivate() throws IOException {
        Path root = folder.resolve("cache");
        Path file = library.unpack(List.of(root));

        assertThat(file).hasBinaryContent(content).hasFileName("libtry.so");
        assertThat(root.relativize(file).toString()).matches("native-[0-9a-f]{16}/libtry\\.so");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(root)))
                .isEqualTo("rwx------");
        assertThat(files()).containsExactly(file);
        byte[] other = content.clone();
        other[other.length - 1]++;
        assertThat(new UnpackedLibrary("libtry.so", other).unpack(List.of(root)))
                .hasBinaryContent(other)
                .isNotEqualTo(file);
    }

    @Test
    void aCompleteFileIsLeftAloneAndADamagedOneReplaced() throws IOException {
        Path file = library.unpack(List.of(folder));
        Object inode = Files.getAttribute(file, "unix:ino");

        library.unpack(List.of(folder));
        assertThat(Files.getAttribute(file, "unix:ino")).isEqualTo(inode);

        Files.write(file, new byte[] {1, 2, 3});
        assertThat(library.unpack(List.of(folder))).isEqualTo(file).hasBinaryContent(content);
        byte[] sameLength = content.clone();
        sameLength[1000]++;
        Files.write(file, sameLength);
        assertThat(library.unpack(List.of(folder))).isEqualTo(file).hasBinaryContent(content);
        assertThat(files()).containsExactly(file);
    }

    @Test
    void severalAtOnceAllFindAWholeFile() throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(6)) {
            Callable<Path> once = () -> library.unpack(List.of(folder));
            for (Future<Path> result :
                    threads.invokeAll(Stream.generate(() -> once).limit(12).toList())) {
                assertThat(result.get()).hasBinaryContent(content);
            }
        }
        assertThat(files()).hasSize(1);
    }

    @Test
    void foldersOfOthersAndLinksArePassedOver() throws IOException {
        Path open = Files.createDirectory(folder.resolve("open"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), folder);
        Path plain = Files.createFile(folder.resolve("plain"));
        Path good = folder.resolve("good");

        assertThat(library.unpack(List.of(open, link, plain, Path.of("/proc/brantas"), good)))
                .startsWith(good);
        assertThat(files()).hasSize(2);
    }

    @Test
    void whereNothingServesOneSentenceSaysWhy() throws IOException {
        Path open = Files.createDirectory(folder.resolve("open"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));

        assertThatThrownBy(() -> library.unpack(List.of(open, Path.of("/proc/brantas"))))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith(
                        "The native library libtry.so cannot be unpacked to " + open)
                .hasMessageContaining("(others may write to it), /proc/brantas (")
                .hasMessageEndingWith(
                        ": set XDG_CACHE_HOME to a folder of yours that allows programs.");
    }

    @Test
    void aFileThatDoesNotLoadIsFoundOutBefore() {
        UnpackedLibrary broken = new UnpackedLibrary("libtry.so", new byte[] {1, 2, 3});

        assertThatThrownBy(() -> broken.unpack(List.of(folder)))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("programs there are not executed");
    }

    @Test
    void aForeignLibraryOnTheLibraryPathIsRefused() throws IOException {
        Path mine = folder.resolve("libtry.so");
        Files.write(mine, content);
        assertThatCode(() -> library.requireUnshadowed(List.of(folder, Path.of("/nowhere"))))
                .doesNotThrowAnyException();

        Files.write(mine, new byte[] {1});
        assertThatThrownBy(() -> library.requireUnshadowed(List.of(folder)))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        mine
                                + " would be loaded in place of the version that Brantas is made"
                                + " for: remove it, or take its folder off LD_LIBRARY_PATH.");
    }
}
