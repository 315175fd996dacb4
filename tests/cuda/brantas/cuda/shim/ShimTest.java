package brantas.cuda.shim;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Launches through the shim on the emulated device, whose driver counts dependent launches, and
/// what the shim says where it cannot launch. The driver is called by the foreign API here, so that
/// nothing of ours stands between the test and what arrives.
class ShimTest {
    private static final Path HOME = Path.of(System.getProperty("brantas.home"));
    private static final int ROWS = 3;
    private static final int COLS = 40;
    private static final int SHARED = 32;
    private static final int NOT_SUPPORTED = 801;
    private static final int INVALID_HANDLE = 400;

    private final Arena arena = Arena.ofConfined();
    private final SymbolLookup driver = SymbolLookup.libraryLookup("libcuda.so.1", arena);
    private final List<String> reasons = new ArrayList<>();
    private final MemorySegment answer = arena.allocate(JAVA_LONG);
    private long function;
    private long source;
    private long weight;
    private long result;

    @TempDir private Path folder;

    @BeforeEach
    void device() throws Throwable {
        check("cuInit", 0);
        check("cuDevicePrimaryCtxRetain", answer, 0);
        check("cuCtxSetCurrent", MemorySegment.ofAddress(answer.get(JAVA_LONG, 0)));
        byte[] image = Files.readAllBytes(HOME.resolve("target/emulator/kernels.so"));
        check("cuModuleLoadData", answer, arena.allocateFrom(ValueLayout.JAVA_BYTE, image));
        MemorySegment module = MemorySegment.ofAddress(answer.get(JAVA_LONG, 0));
        check("cuModuleGetFunction", answer, module, arena.allocateFrom("rms_norm"));
        function = answer.get(JAVA_LONG, 0);
        check("cuMemAlloc_v2", answer, (long) ROWS * COLS * Short.BYTES);
        source = answer.get(JAVA_LONG, 0);
        check("cuMemAlloc_v2", answer, (long) COLS * Float.BYTES);
        weight = answer.get(JAVA_LONG, 0);
        check("cuMemsetD8_v2", weight, (byte) 0x3f, (long) COLS * Float.BYTES);
        check("cuMemAlloc_v2", answer, (long) ROWS * COLS * Short.BYTES);
        result = answer.get(JAVA_LONG, 0);
        check("cuMemsetD8_v2", result, (byte) 0, (long) ROWS * COLS * Short.BYTES);
        short[] values = new short[ROWS * COLS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (short) (0x3f00 + i);
        }
        MemorySegment from = arena.allocateFrom(ValueLayout.JAVA_SHORT, values);
        check("cuMemcpyHtoD_v2", source, from, from.byteSize());
        choose("9.0");
    }

    @AfterEach
    void release() throws Throwable {
        choose("8.0");
        check("cuMemFree_v2", source);
        check("cuMemFree_v2", weight);
        check("cuMemFree_v2", result);
        check("cuDevicePrimaryCtxRelease_v2", 0);
        arena.close();
    }

    @Test
    void launchesAsTheDriverDoes() throws Throwable {
        check(
                "cuLaunchKernel",
                MemorySegment.ofAddress(function),
                ROWS,
                1,
                1,
                256,
                1,
                1,
                SHARED,
                MemorySegment.NULL,
                parameters(),
                MemorySegment.NULL);
        short[] expected = takeResult();
        assertThat(expected).doesNotContain((short) 0);

        long launches = count("kernel_launches");
        long dependent = count("dependent_launches");
        Shim shim = Shim.open(reasons::add).orElseThrow();
        LaunchRequest request = request();
        assertThat(shim.launch(request)).isZero();
        assertThat(takeResult()).isEqualTo(expected);
        assertThat(count("dependent_launches")).isEqualTo(dependent);

        assertThat(shim.launch(request.attributes(Shim.PROGRAMMATIC, 1))).isZero();
        assertThat(takeResult()).isEqualTo(expected);
        assertThat(count("dependent_launches")).isEqualTo(dependent + 1);
        assertThat(count("kernel_launches")).isEqualTo(launches + 2);
        assertThat(reasons).isEmpty();
    }

    @Test
    void handsTheStreamAndTheSharedMemoryOn() throws Throwable {
        Shim shim = Shim.open(reasons::add).orElseThrow();
        check("cuStreamCreate", answer, 1);
        MemorySegment stream = MemorySegment.ofAddress(answer.get(JAVA_LONG, 0));
        check("cuStreamBeginCapture_v2", stream, 0);
        assertThat(shim.launch(request().stream(stream.address()))).isZero();
        check("cuStreamEndCapture", stream, answer);
        assertThat(takeResult()).as("captured, not run").containsOnly((short) 0);
        check("cuGraphDestroy", MemorySegment.ofAddress(answer.get(JAVA_LONG, 0)));
        check("cuStreamDestroy_v2", stream);

        assertThat(shim.launch(request().block(256, 48 << 10))).isZero();
        assertThat(shim.launch(request().block(256, (48 << 10) + 1))).isNotZero();
        assertThat(shim.launch(request().block(1025, 0))).isNotZero();
        assertThat(shim.launch(request().grid(1, 1 << 16, 1))).isNotZero();
    }

    @Test
    void handsTheClusterOn() throws Throwable {
        Shim shim = Shim.open(reasons::add).orElseThrow();
        assertThat(shim.launch(request().attributes(0, 2))).isEqualTo(NOT_SUPPORTED);
        assertThat(lastError()).contains("launch attribute 4");
    }

    @Test
    void theDriversCodeComesBack() {
        Shim shim = Shim.open(reasons::add).orElseThrow();
        LaunchRequest wrong = new LaunchRequest(arena, source, parameters().address());
        assertThat(shim.launch(wrong.grid(1, 1, 1).block(256, 0))).isEqualTo(INVALID_HANDLE);
    }

    @Test
    void aRequestDiesWithItsArena() {
        Shim shim = Shim.open(reasons::add).orElseThrow();
        LaunchRequest request;
        try (Arena closed = Arena.ofConfined()) {
            request = new LaunchRequest(closed, function, 0);
        }
        assertThatThrownBy(() -> shim.launch(request)).hasMessageContaining("arena is closed");
    }

    @Test
    void anOldDriverOrNoneIsOneSentence() throws Exception {
        Path library = folder.resolve("libcuda.so.1");
        run("g++", "-shared", "-x", "c++", "/dev/null", "-o", library.toString());
        assertThat(probe(folder))
                .isEqualTo(
                        "the driver is older than CUDA 12: kernels start without programmatic"
                                + " launch.");
        Files.writeString(library, "no library, and long enough to be read as one".repeat(10));
        assertThat(probe(folder))
                .isEqualTo("there is no libcuda.so.1: kernels start without programmatic launch.");
        assertThat(probe(HOME.resolve("target/emulator"))).isEqualTo("open");
    }

    @Test
    void aLibraryThatCannotBeUnpackedIsOneSentence() throws Exception {
        String missing = folder.resolve("missing").toString();
        assertThat(probe(HOME.resolve("target/emulator"), "-Djava.io.tmpdir=" + missing))
                .startsWith("the shim cannot be loaded (")
                .endsWith("): kernels start without programmatic launch.");
    }

    /// Opens the shim in a process of its own, with the driver that lies in a folder.
    private static String probe(Path folder, String... options) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add(Probe.class.getName());
        ProcessBuilder process = new ProcessBuilder(command);
        process.environment().put("LD_LIBRARY_PATH", folder.toString());
        // The Java virtual machine may have remarks of its own, before.
        return run(process).lines().toList().getLast();
    }

    private static String run(String... command) throws Exception {
        return run(new ProcessBuilder(command));
    }

    private static String run(ProcessBuilder builder) throws IOException, InterruptedException {
        Process process = builder.redirectErrorStream(true).start();
        byte[] output = process.getInputStream().readAllBytes();
        assertThat(process.waitFor())
                .as(builder.command() + new String(output, StandardCharsets.UTF_8))
                .isZero();
        return new String(output, StandardCharsets.UTF_8).strip();
    }

    /// The process of [#probe].
    static final class Probe {
        private Probe() {}

        public static void main(String[] arguments) {
            Optional<Shim> shim = Shim.open(System.out::println);
            if (shim.isPresent()) {
                System.out.println("open");
            }
        }
    }

    private LaunchRequest request() {
        return new LaunchRequest(arena, function, parameters().address())
                .grid(ROWS, 1, 1)
                .block(256, SHARED);
    }

    /// The one argument of the kernel rms_norm, behind the array of its address.
    private MemorySegment parameters() {
        MemorySegment memory = arena.allocate(64, 8);
        memory.set(JAVA_LONG, 0, memory.address() + 8);
        memory.set(JAVA_LONG, 8, result);
        memory.set(JAVA_LONG, 16, source);
        memory.set(JAVA_LONG, 24, weight);
        memory.set(JAVA_INT, 44, ROWS);
        memory.set(JAVA_INT, 48, COLS);
        memory.set(JAVA_INT, 52, COLS);
        memory.set(JAVA_INT, 56, COLS);
        memory.set(ValueLayout.JAVA_FLOAT, 60, 1e-6f);
        return memory;
    }

    private short[] takeResult() throws Throwable {
        MemorySegment to = arena.allocate(ROWS * COLS * Short.BYTES, 8);
        check("cuCtxSynchronize");
        check("cuMemcpyDtoH_v2", to, result, to.byteSize());
        check("cuMemsetD8_v2", result, (byte) 0, to.byteSize());
        return to.toArray(ValueLayout.JAVA_SHORT);
    }

    private void choose(String capability) throws Throwable {
        MemorySegment name = arena.allocateFrom("CAPABILITY");
        check("brantas_emulator_set", name, arena.allocateFrom(capability));
    }

    private long count(String what) throws Throwable {
        return (long) call("brantas_emulator_count", JAVA_LONG, arena.allocateFrom(what));
    }

    private String lastError() throws Throwable {
        MemorySegment text = (MemorySegment) call("brantas_emulator_last_error", ADDRESS);
        return text.reinterpret(1000).getString(0);
    }

    private void check(String name, Object... arguments) throws Throwable {
        assertThat((int) call(name, JAVA_INT, arguments)).as(name).isZero();
    }

    private Object call(String name, MemoryLayout answers, Object... arguments) throws Throwable {
        MemoryLayout[] layouts = new MemoryLayout[arguments.length];
        for (int i = 0; i < arguments.length; i++) {
            layouts[i] =
                    switch (arguments[i]) {
                        case Integer number -> JAVA_INT;
                        case Long number -> JAVA_LONG;
                        case Byte number -> ValueLayout.JAVA_BYTE;
                        default -> ADDRESS;
                    };
        }
        return Linker.nativeLinker()
                .downcallHandle(
                        driver.find(name).orElseThrow(), FunctionDescriptor.of(answers, layouts))
                .invokeWithArguments(arguments);
    }
}
