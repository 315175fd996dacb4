package brantas.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/// Folders for native libraries.
class NativeFoldersTest {
    private static String temporary() {
        return System.getProperty("java.io.tmpdir");
    }

    @Test
    void theTemporaryFolderIsAnotherOnlyMeanwhile() {
        String before = temporary();

        String meanwhile =
                NativeFolders.withTemporaryFolder(
                        Path.of("/private"), NativeFoldersTest::temporary);

        assertThat(meanwhile).isEqualTo("/private");
        assertThat(temporary()).isEqualTo(before);
        assertThatThrownBy(() ->
                        NativeFolders.withTemporaryFolder(
                                Path.of("/private"),
                                () -> {
                                    throw new IllegalStateException("no");
                                }))
                .hasMessage("no");
        assertThat(temporary()).isEqualTo(before);
    }

    @Test
    void candidatesAreAbsoluteAndEndInTheTemporaryFolder() {
        assertThat(NativeFolders.candidates()).allMatch(Path::isAbsolute).isNotEmpty();
        assertThat(NativeFolders.candidates().getLast().toString())
                .startsWith(Path.of(temporary()) + "/brantas-");
    }
}
