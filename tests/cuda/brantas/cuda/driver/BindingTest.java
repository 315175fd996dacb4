package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import brantas.settings.NativeFolders;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Which copy of JCuda's library a process loads, and that one without a driver loads none.
class BindingTest {
    @TempDir Path folder;

    private static Process start(Path cache, boolean driver, List<String> options)
            throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add(FindDevices.class.getName());
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("XDG_CACHE_HOME", cache.toString());
        if (!driver) {
            builder.environment().remove("LD_LIBRARY_PATH");
        }
        return builder.start();
    }

    private static List<String> lines(Process process) throws IOException {
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .toList();
    }

    @Test
    void exactlyOurCopyIsLoaded() throws IOException {
        Path file = Binding.DRIVER.load();

        assertThat(FindDevices.loaded()).containsExactly(file.toRealPath());
        assertThat(NativeFolders.candidates()).anyMatch(file::startsWith);
        assertThat(Binding.DRIVER.load()).isEqualTo(file);
    }

    @Test
    void processesThatStartTogetherShareOneCopy() throws Exception {
        List<Process> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            all.add(start(folder, true, List.of()));
        }
        List<String> first = lines(all.getFirst());
        assertThat(first).hasSize(2).first().isEqualTo("found 1");
        assertThat(first.get(1)).startsWith(folder.toRealPath() + "/brantas/native-");
        for (Process process : all.subList(1, 3)) {
            assertThat(lines(process)).isEqualTo(first);
        }
        try (var files = Files.walk(folder)) {
            assertThat(files.filter(Files::isRegularFile)).hasSize(1);
        }
    }

    @Test
    void aForeignFileUnderTheFixedNameIsNotTouched() throws IOException {
        Path temporary = Files.createDirectory(folder.resolve("tmp"));
        Path foreign = temporary.resolve(Binding.DRIVER.load().getFileName());
        Files.writeString(foreign, "not a library");

        List<String> said = lines(start(folder, true, List.of("-Djava.io.tmpdir=" + temporary)));

        assertThat(said).hasSize(2).first().isEqualTo("found 1");
        assertThat(foreign).hasContent("not a library");
    }

    @Test
    void aForeignLibraryOnTheLibraryPathIsRefused() throws IOException {
        Path foreign = folder.resolve(Binding.DRIVER.load().getFileName());
        Files.writeString(foreign, "not ours");

        assertThat(lines(start(folder, true, List.of("-Djava.library.path=" + folder))))
                .containsExactly(
                        foreign
                                + " would be loaded in place of the version that Brantas is made"
                                + " for: remove it, or take its folder off LD_LIBRARY_PATH.");
    }

    @Test
    void withoutADriverNothingIsUnpackedOrLoaded() throws IOException {
        List<String> said = lines(start(folder, false, List.of()));

        assumeThat(said)
                .as("a driver is installed here")
                .noneMatch(line -> line.startsWith("found "));
        assertThat(said)
                .containsExactly(
                        "There is no NVIDIA driver on this machine (libcuda.so.1 does not load):"
                                + " install one, or use --backend simd.");
        assertThat(folder).isEmptyDirectory();
    }
}
