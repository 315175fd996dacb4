package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.settings.Machine;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The part of the launcher that decides which JDK will do.
class LauncherTest {
    @TempDir Path folder;

    private static Door bash(String script) throws IOException, InterruptedException {
        Path jdk = Machine.home().orElseThrow().resolve("scripts/jdk.sh");
        Process process =
                new ProcessBuilder("bash", "-c", ". '" + jdk + "'; " + script)
                        .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                        .start();
        byte[] out = process.getInputStream().readAllBytes();
        byte[] err = process.getErrorStream().readAllBytes();
        return new Door(
                process.waitFor(),
                new String(out, StandardCharsets.UTF_8),
                new String(err, StandardCharsets.UTF_8));
    }

    @ParameterizedTest
    @CsvSource({
        "25.0.3, 0",
        "25.0.4, 0",
        "25.0.10, 0",
        "25.1, 0",
        "26, 0",
        "26-ea, 0",
        "25.0.3+9-LTS, 0",
        "25, 1",
        "25.0.1, 1",
        "25.0.2, 1",
        "25-ea, 1",
        "24.0.9, 1",
        "17.0.15, 1",
        "1.8.0_392, 1",
        "'', 1",
        "abc, 1"
    })
    void versions(String version, int status) throws IOException, InterruptedException {
        assertThat(bash("jdk_fits '" + version + "'").status()).isEqualTo(status);
    }

    @Test
    void whatIsTooOldIsNamedOnOneLine() throws IOException, InterruptedException {
        Door door =
                bash(
                        """
                        mkdir -p '%1$s/bin'; touch '%1$s/bin/java' '%1$s/bin/javac'
                        chmod +x '%1$s'/bin/*; echo 'JAVA_VERSION="25.0.2"' > '%1$s/release'
                        jdk_places() { echo '%1$s'; }
                        find_jdk
                        """
                                .formatted(folder));
        assertThat(door.status()).isEqualTo(1);
        assertThat(door.err())
                .startsWith("brantas: ")
                .contains("25.0.2 in " + folder, "25.0.3", "JAVA_HOME")
                .hasLineCount(1);
        Door none = bash("jdk_places() { :; }; find_jdk");
        assertThat(none.err()).contains("found none").hasLineCount(1);
    }
}
