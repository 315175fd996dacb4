package brantas.cuda.blas;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// When the backend multiplies by cuBLAS, and that it makes no difference to results: each case is
/// a process of its own, because a process finds libraries by the environment that it started with.
class VendorGemmTest {
    private static final Path EMULATOR =
            Path.of(System.getProperty("brantas.home"), "target", "emulator");
    private static final String WITH_CUBLAS = EMULATOR + ":" + EMULATOR.resolve("cublas");

    @TempDir Path folder;

    private List<String> run(String libraries, String wish, String... environment)
            throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add(MultiplyRows.class.getName());
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
        Map<String, String> variables = builder.environment();
        variables.put("XDG_CACHE_HOME", folder.toString());
        variables.put("LD_LIBRARY_PATH", libraries);
        variables.put("BRANTAS_CUBLAS", wish);
        variables.put("BRANTAS_KERNELS", EMULATOR.resolve("kernels-fast.so").toString());
        for (int i = 0; i < environment.length; i += 2) {
            variables.put(environment[i], environment[i + 1]);
        }
        Process process = builder.start();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .toList();
    }

    private static boolean installed() {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup("libcublas.so.12", arena);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /// The 15 lines on results.
    private static List<String> results(List<String> lines) {
        assertThat(lines).hasSizeGreaterThan(16);
        return lines.subList(1, 16);
    }

    @Test
    void resultsAreThoseOfOurKernels() throws IOException {
        List<String> ours = run(WITH_CUBLAS, "off");
        assertThat(ours.getFirst()).startsWith("opened emulated device").doesNotContain("cuBLAS");
        // A binding that nobody asked for is not even unpacked.
        assertThat(ours).contains("products 0", "closed 0");
        try (var files = Files.walk(folder)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .noneMatch(name -> name.contains("JCublas"));
        }

        List<String> theirs =
                run(
                        WITH_CUBLAS,
                        "on",
                        "BRANTAS_EMULATOR_CLOCK",
                        "kernels",
                        "BRANTAS_EMULATOR_STREAMS",
                        "deferred");

        assertThat(theirs.getFirst()).contains(", cuBLAS for prefill");
        assertThat(results(theirs)).isEqualTo(results(ours));
        // Four to measure, and one for each result: every shape has rows that are not single.
        assertThat(theirs).contains("products 19");
    }

    @Test
    void aProductThatFailsIsAnErrorAndTheLibraryIsClosed() throws IOException {
        assertThat(run(WITH_CUBLAS, "on", "BRANTAS_EMULATOR_CLOCK", "kernels"))
                .endsWith(
                        "failed cublasGemmEx failed for a weight [5, 9] times 3 rows (F32) on"
                                + " Emulated CUDA device (device 0):"
                                + " CUBLAS_STATUS_EXECUTION_FAILED (13)",
                        "live 1",
                        "closed 0");
    }

    @Test
    void withoutTheLibraryTheReasonIsSaid() throws IOException {
        assumeThat(installed()).as("cuBLAS is installed here").isFalse();
        List<String> lines = run(EMULATOR.toString(), "on");

        assertThat(lines.getFirst())
                .endsWith(
                        ", no cuBLAS: libcublas.so.12 does not load (install cuBLAS of CUDA 12 and"
                                + " put its folder, where libcublasLt.so.12 lies too, on"
                                + " LD_LIBRARY_PATH), graphs off");
        assertThat(results(lines)).isEqualTo(results(run(EMULATOR.toString(), "off")));
    }

    @Test
    void anotherLibraryOfTheNameIsNotCalled() throws IOException {
        Path other = Files.createDirectory(folder.resolve("other"));
        Files.createSymbolicLink(
                other.resolve("libcublas.so.12"), EMULATOR.resolve("libcuda.so.1"));

        assertThat(run(EMULATOR + ":" + other, "on").getFirst())
                .contains(", no cuBLAS: libcublas.so.12 has no cublasCreate_v2 (install cuBLAS of");
    }

    @Test
    void aSlowerLibraryIsNotUsed() throws IOException {
        // By the clock our kernels take no time if they do nothing.
        List<String> lines = run(WITH_CUBLAS, "on", "BRANTAS_EMULATOR_KERNELS", "skip");

        assertThat(lines.getFirst())
                .containsPattern(", no cuBLAS: a product takes it [0-9.]+ ms and our kernel ");
        assertThat(lines).contains("products 4", "live 0", "closed 0");
    }

    @Test
    void aWishThatIsNeitherOnNorOffIsRefused() throws IOException {
        assertThat(run(WITH_CUBLAS, "yes"))
                .containsExactly("BRANTAS_CUBLAS is \"yes\": set it to on or off.");
    }
}
