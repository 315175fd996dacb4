package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Which launches go through the shim, and that they are launches like the others: the emulated
/// device counts those that came with the attribute, and refuses them before compute capability
/// 9.0. The kernel is RMSNorm with another value in every element: weights double from column to
/// column, and eps keeps the rows apart.
class ProgrammaticLaunchTest {
    private static final int ROWS = 3;
    private static final int COLS = 40;
    private static final float EPS = 1;
    private static final String ABOVE = "9.0";
    private static final String BELOW = "8.0";

    @BeforeEach
    @AfterEach
    void reset() {
        Emulator.reset();
    }

    /// An open device of a compute capability with the kernel and its operands.
    private static final class Bench implements AutoCloseable {
        final Device device;
        final Stream stream;
        final Module module;
        final Function function;
        final DeviceMemory input;
        final DeviceMemory weight;
        final DeviceMemory output;
        final PinnedMemory host;

        /// @param device compute capability of the device
        /// @param code architecture that the kernels were compiled for
        Bench(String device, String code) {
            Emulator.choose("CAPABILITY", device);
            Devices devices = Devices.find();
            this.device = devices.open(devices.choose("0"));
            stream = this.device.stream("main");
            Emulator.choose("CAPABILITY", code);
            module = this.device.load(Emulator.kernels(), Manifest.read());
            function = module.function(rmsNorm(false));
            Emulator.choose("CAPABILITY", device);
            input = this.device.allocate("input", ROWS * COLS * 2);
            weight = this.device.allocate("weight", COLS * 4);
            output = this.device.allocate("output", ROWS * COLS * 2);
            host = this.device.allocatePinned("host", input.bytes());
            for (int i = 0; i < COLS; i++) {
                host.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, Math.scalb(1f, i));
            }
            stream.copyIn(weight, 0, host, 0, weight.bytes());
            stream.synchronize();
            for (int i = 0; i < ROWS * COLS; i++) {
                host.segment().setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (0x3f00 + i));
            }
            stream.copyIn(input, host);
            stream.synchronize();
        }

        static Kernel rmsNorm(boolean shared) {
            Kernel.Builder builder =
                    Kernel.named("rms_norm")
                            .address("dst")
                            .address("x")
                            .address("weight")
                            .rows("rows")
                            .int32("cols")
                            .int32("dst_stride")
                            .int32("x_stride")
                            .float32("eps")
                            .block(256);
            return (shared ? builder.sharedVariable() : builder.shared(32)).build();
        }

        Function written(Function function, Rows rows) {
            function.begin().address(output.address()).address(input.address());
            function.address(weight.address()).rows(rows);
            return function.int32(COLS).int32(COLS).int32(COLS).float32(EPS);
        }

        void launch() {
            written(function, Rows.of(0, ROWS)).launch(stream, ROWS, 1, 1);
        }

        short[] result() {
            stream.copyOut(host, 0, output, 0, output.bytes());
            stream.synchronize();
            return host.segment().asSlice(0, output.bytes()).toArray(ValueLayout.JAVA_SHORT);
        }

        @Override
        public void close() {
            device.close();
        }
    }

    private static long programmatic() {
        return Emulator.count("dependent_launches");
    }

    private static short[] plainResult() {
        try (Bench bench = new Bench(BELOW, BELOW)) {
            bench.launch();
            assertThat(programmatic()).isZero();
            assertThat(bench.module.programmaticLaunch()).isFalse();
            return bench.result();
        } finally {
            Emulator.reset();
        }
    }

    @Test
    void launchesFromNineOnGoThroughTheShimAndGiveTheSame() {
        short[] plain = plainResult();
        assertThat(plain).doesNotContain((short) 0).doesNotHaveDuplicates();

        for (String capability : List.of("9.0", "12.0")) {
            Emulator.reset();
            try (Bench bench = new Bench(capability, capability)) {
                assertThat(bench.device.withoutProgrammaticLaunch()).isEmpty();
                assertThat(bench.module.programmaticLaunch()).isTrue();
                bench.launch();
                bench.launch();
                assertThat(bench.result()).isEqualTo(plain);
                assertThat(programmatic()).isEqualTo(2);
                assertThat(Emulator.count("kernel_launches")).isEqualTo(2);
            }
        }
    }

    @Test
    void aDeviceBelowSaysWhyItHasNone() {
        try (Bench bench = new Bench("8.9", "8.9")) {
            bench.launch();
            assertThat(programmatic()).isZero();
            assertThat(bench.module.programmaticLaunch()).isFalse();
            assertThat(bench.device.withoutProgrammaticLaunch())
                    .isEqualTo(
                            "compute capability 8.9 is below 9.0: kernels start without"
                                    + " programmatic launch.");
        }
    }

    @Test
    void codeThatDoesNotWaitIsLaunchedPlainlyOnAnyDevice() {
        short[] plain = plainResult();

        try (Bench bench = new Bench(ABOVE, BELOW)) {
            assertThat(bench.module.programmaticLaunch()).isFalse();
            bench.launch();
            assertThat(bench.result()).isEqualTo(plain);
            assertThat(programmatic()).isZero();
            // The question is the function's, not the image's.
            Function made = bench.module.function(Bench.rmsNorm(false));
            bench.written(made, Rows.of(0, ROWS)).launch(bench.stream, ROWS, 1, 1);
            assertThat(programmatic()).isEqualTo(1);
        }
    }

    @Test
    void aRecordedLaunchIsProgrammaticToo() {
        short[] plain = plainResult();

        try (Bench bench = new Bench(ABOVE, ABOVE)) {
            Graph graph = Graph.capture(bench.stream, bench::launch);
            assertThat(bench.result()).containsOnly((short) 0);
            assertThat(programmatic()).isEqualTo(1);
            graph.launch(bench.stream);
            assertThat(bench.result()).isEqualTo(plain);
            assertThat(Emulator.count("kernel_launches")).isZero();
        }
    }

    @Test
    void gridAndSharedMemoryArriveAndAreAskedFor() {
        try (Bench bench = new Bench(ABOVE, ABOVE)) {
            bench.launch();
            short[] all = bench.result();
            bench.stream.fill(bench.output, 0, bench.output.bytes(), (byte) 0);
            Function shared = bench.module.function(Bench.rmsNorm(true));
            // One block, one row; more shared memory than a kernel gets unasked.
            bench.written(shared, Rows.of(1, 2)).launch(bench.stream, 1, 1, 1, 100_000);
            bench.written(shared, Rows.of(1, 2)).launch(bench.stream, 0, 1, 1, 100_000);

            short[] row = bench.result();
            assertThat(Arrays.copyOfRange(row, COLS, 2 * COLS))
                    .isEqualTo(Arrays.copyOfRange(all, COLS, 2 * COLS));
            assertThat(Arrays.copyOf(row, COLS)).containsOnly((short) 0);
            assertThat(Arrays.copyOfRange(row, 2 * COLS, 3 * COLS)).containsOnly((short) 0);
            assertThat(programmatic()).isEqualTo(2);
        }
    }

    @Test
    void aRefusedLaunchNamesItself() {
        try (Bench bench = new Bench(ABOVE, ABOVE)) {
            Emulator.choose("FAIL_LAUNCH", 1);
            assertThatThrownBy(bench::launch)
                    .isInstanceOf(DeviceException.class)
                    .hasMessageStartingWith(
                            "cuLaunchKernelEx failed for kernel rms_norm (grid 3×1×1, block 256,"
                                    + " shared 32, dst 0x");
            bench.launch();
            bench.stream.synchronize();
        }
    }

    @Test
    void launchingAllocatesNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Bench bench = new Bench(ABOVE, ABOVE)) {
            Emulator.choose("KERNELS", "skip");
            Rows rows = Rows.of(0, ROWS);
            long allocated = Long.MAX_VALUE;
            for (int round = 0; round < 10 && allocated > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1000; i++) {
                    bench.written(bench.function, rows).launch(bench.stream, ROWS, 1, 1);
                }
                allocated = threads.getCurrentThreadAllocatedBytes() - before;
            }
            assertThat(allocated).isLessThan(1000);
            assertThat(programmatic()).isGreaterThanOrEqualTo(1000);
        }
    }

    @Test
    void withoutTheShimLaunchesArePlain() throws Exception {
        String result = "result " + Arrays.hashCode(plainResult());

        // The library lies in a folder named after the platform.
        assertThat(probe("-Dorg.bytedeco.javacpp.platform=absent"))
                .contains(
                        "this build has no shim, as there was no g++ when it was made: kernels"
                                + " start without programmatic launch.",
                        "programmatic false 0",
                        result);
        assertThat(probe()).contains("programmatic true 1", result);
    }

    private static List<String> probe(String... options) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java"));
        command.addAll(List.of("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
        command.add("--enable-native-access=ALL-UNNAMED");
        command.add("-Dbrantas.home=" + System.getProperty("brantas.home"));
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add(Probe.class.getName());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.lines().toList();
    }

    /// The process of [#probe].
    static final class Probe {
        private Probe() {}

        public static void main(String[] arguments) {
            try (Bench bench = new Bench(ABOVE, ABOVE)) {
                bench.launch();
                System.out.println(bench.device.withoutProgrammaticLaunch());
                System.out.println(
                        "programmatic " + bench.module.programmaticLaunch() + " " + programmatic());
                System.out.println("result " + Arrays.hashCode(bench.result()));
            }
        }
    }
}
