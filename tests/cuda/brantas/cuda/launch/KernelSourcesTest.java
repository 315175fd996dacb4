package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// The generator of the manifest on sources made for it: what it makes of a good head, and that a
/// bad one is refused with file, line and one sentence.
class KernelSourcesTest {
    private static final Path HOME = Path.of(System.getProperty("brantas.home"));

    private static final String GOOD =
            """
            #include "common/step.cuh"

            struct AddArgs {
                u64 dst;  // f32 [n]
                Rows rows;
                i32 n;
                f32 scale;
            };

            constexpr i32 THREADS = 64;

            //! kernel add(AddArgs) block 64 shared 0 grid [n / 64] dtypes f32 archs all
            KERNEL(add, AddArgs, THREADS) {
            }
            """;

    private static final String HEAD =
            "//! kernel add(AddArgs) block 64 shared 0 grid [n / 64] dtypes f32 archs all\n";
    private static final String ENTRY = "KERNEL(add, AddArgs, THREADS) {\n}\n";

    @TempDir private static Path classes;
    @TempDir private Path sources;

    @BeforeEach
    void headers() throws IOException {
        Path common = Files.createDirectories(sources.resolve("common"));
        for (String header : List.of("port.cuh", "step.cuh")) {
            Files.copy(HOME.resolve("cuda-kernels/common/" + header), common.resolve(header));
        }
    }

    @Test
    void aKernelIsALineWithTheLayoutOfItsStruct() throws Exception {
        assertThat(manifest(GOOD).lines())
                .contains(
                        "kernel add args 32 block 64 shared 0 fields"
                                + " dst:u64@0 rows:rows@8 n:i32@24 scale:f32@28")
                .contains("struct Rows size 16 fields live:u64@0 from:i32@8 to:i32@12")
                .anyMatch(line -> line.startsWith("struct Step size "))
                .anyMatch(line -> line.startsWith("struct Draw size "));
    }

    @Test
    void aHeadMayGoOnInTheNextLine() throws Exception {
        String folded = GOOD.replace(" dtypes f32 archs", "\n//!     dtypes f32 archs");
        assertThat(manifest(folded)).isEqualTo(manifest(GOOD));
    }

    @Test
    void theHashFollowsTheInterfaceAndNothingElse() throws Exception {
        String hash = hash(GOOD);
        assertThat(hash).matches("[0-9a-f]{8}");
        assertThat(hash(GOOD.replace("// f32 [n]", "// [n], KERNEL(x)"))).isEqualTo(hash);
        assertThat(hash(GOOD.replace("[n / 64]", "[n]"))).isEqualTo(hash);
        assertThat(hash(GOOD.replace("i32 n", "u32 n"))).isNotEqualTo(hash);
        assertThat(hash(GOOD.replace("f32 scale", "f32 factor"))).isNotEqualTo(hash);
        assertThat(hash(GOOD.replace("shared 0", "shared variable"))).isNotEqualTo(hash);
        assertThat(hash(GOOD.replace(" 64", " 128"))).isNotEqualTo(hash);
    }

    static List<Arguments> bad() {
        return List.of(
                bad(HEAD, "", 12, "the entry point has no head"),
                bad(ENTRY, "", 12, "the head is not followed directly by KERNEL(...)"),
                bad(ENTRY, "\n" + ENTRY, 12, "the head is not followed directly by KERNEL(...)"),
                bad(HEAD, HEAD + HEAD, 12, "the head is not followed directly by KERNEL(...)"),
                bad(HEAD, "//! grid [n]\n" + HEAD, 12, "this line belongs to no head"),
                bad("block 64", "block many", 12, "is not of the form"),
                bad("block 64", "block 32", 12, "blocks of 32, the entry point is compiled for 64"),
                bad("THREADS)", "OTHER)", 12, "OTHER threads: write a number"),
                bad("= 64;", "= 2048;", 12, "blocks of 64, the entry point is compiled for 2048"),
                bad(" 64", " 2048", 12, "a block of 2048 threads is not possible: 1 to 1024"),
                bad("shared 0", "shared 200000", 12, "200000 bytes of shared memory"),
                bad("L(add,", "L(sub,", 12, "says add(AddArgs), the entry point sub(AddArgs)"),
                bad("L(add, AddArgs, THREADS)", "L(add)", 12, "is not KERNEL(name, Args, threads)"),
                bad("struct AddArgs", "struct SubArgs", 12, "declares struct AddArgs"),
                bad(ENTRY, ENTRY + HEAD + ENTRY, 15, "kernel add is declared at"),
                bad("f32 scale", "double scale", 7, "field scale of AddArgs is of type double"),
                bad("f32 scale;", "", 8, "would pad the end of AddArgs"),
                bad("u64 dst;", "u32 dst;", 5, "would pad AddArgs before rows"),
                bad("i32 n;", "i32 n, m;", 6, "\"i32 n, m;\" is not a field"),
                bad("i32 n;", "i32 n[2];", 6, "\"i32 n[2];\" is not a field"),
                bad("\"common/step.cuh\"", "<cmath>", 1, "include cmath in a header there"));
    }

    private static Arguments bad(String good, String instead, int line, String sentence) {
        return arguments(good, instead, line, sentence);
    }

    @ParameterizedTest
    @MethodSource("bad")
    void aBadHeadIsRefusedWithItsLine(String good, String instead, int line, String sentence) {
        assertThat(GOOD).contains(good);
        assertThatThrownBy(() -> manifest(GOOD.replace(good, instead)))
                .hasMessageContaining("add.cu:" + line + ": ")
                .hasMessageContaining(sentence);
    }

    @Test
    void anEntryPointInAHeaderIsRefused() throws IOException {
        Files.writeString(sources.resolve("common/add.cuh"), GOOD);
        assertThatThrownBy(() -> manifest(GOOD.replace("add", "sub").replace("Add", "Sub")))
                .hasMessageContaining("add.cuh:12: an entry point in a header");
    }

    @Test
    void theCommandFailsWithOneSentence() throws Exception {
        Files.writeString(sources.resolve("add.cu"), GOOD.replace(HEAD, ""));
        Process run =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                HOME.resolve("native-build/Manifest.java").toString(),
                                "--kernels",
                                sources.toString(),
                                "--hash")
                        .redirectErrorStream(true)
                        .start();
        String output = new String(run.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(output.strip()).startsWith("brantas: ").contains("add.cu:12: ").hasLineCount(1);
        assertThat(run.waitFor()).isEqualTo(1);
    }

    private String manifest(String source) throws Exception {
        return (String) ask("text", source);
    }

    private String hash(String source) throws Exception {
        return (String) ask("hash", source);
    }

    /// Compiles the generator, which belongs to no module, and asks it.
    private Object ask(String method, String source) throws Exception {
        Files.writeString(sources.resolve("add.cu"), source);
        try (Stream<Path> files = Files.list(HOME.resolve("native-build"))) {
            String[] arguments =
                    Stream.concat(
                                    Stream.of("-d", classes.toString()),
                                    files.map(Path::toString).filter(f -> f.endsWith(".java")))
                            .toArray(String[]::new);
            if (!Files.exists(classes.resolve("Manifest.class"))) {
                int status = ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments);
                assertThat(status).as("compiling the generator").isZero();
            }
        }
        URL[] path = {classes.toUri().toURL()};
        try (URLClassLoader loader = new URLClassLoader(path, null)) {
            Class<?> sourcesType = loader.loadClass("KernelSources");
            Constructor<?> read = sourcesType.getDeclaredConstructor(Path.class);
            read.setAccessible(true);
            Constructor<?> make = loader.loadClass("Manifest").getDeclaredConstructor(sourcesType);
            make.setAccessible(true);
            Object manifest = make.newInstance(read.newInstance(sources));
            Method ask = manifest.getClass().getDeclaredMethod(method);
            ask.setAccessible(true);
            return ask.invoke(manifest);
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
