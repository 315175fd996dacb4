package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Loading images, launching kernels, recording launches: the kernel is RMSNorm. With an eps of 3,
/// a row of large equal values becomes 1 + weight, here 4, and a row of ones half of that.
class FunctionTest {
    private static final short BF16_ONE = 0x3f80;
    private static final short BF16_64 = 0x4280;
    private static final int COLS = 8;
    private static final float EPS = 3;

    private static final Kernel RMS_NORM = rmsNorm(false);

    @TempDir Path folder;
    private Map<String, Long> before;
    // An error of the device ends its context, and handles not given back before end with it.
    private boolean lost;
    private Devices devices;
    private Device device;
    private Stream stream;
    private Module module;
    private Function function;
    private DeviceMemory input;
    private DeviceMemory weight;
    private DeviceMemory output;
    private PinnedMemory host;

    private static Kernel rmsNorm(boolean shared) {
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

    @BeforeEach
    void open() {
        Emulator.reset();
        before = Emulator.held();
        devices = Devices.find();
        open(false);
    }

    private void open(boolean synchronous) {
        device = devices.open(devices.choose("0"), synchronous);
        stream = device.stream("main");
        module = device.load(Emulator.kernels(), Manifest.read());
        function = module.function(RMS_NORM);
        input = device.allocate("input", 2 * COLS * 2);
        weight = device.allocate("weight", COLS * 4);
        output = device.allocate("output", 2 * COLS * 2);
        host = device.allocatePinned("host", 2 * COLS * 2);
        // 3.004 as fp32, and rounding to bf16 makes the results 4 and 2.
        stream.fill(weight, 0, weight.bytes(), (byte) 0x40);
        write(BF16_64);
        Emulator.reset();
    }

    @AfterEach
    void close() {
        device.close();
        assertThat(Emulator.count("live_allocations")).isZero();
        if (!lost) {
            assertThat(Emulator.held()).isEqualTo(before);
        }
        Emulator.reset();
    }

    private void write(short value) {
        for (int i = 0; i < 2 * COLS; i++) {
            host.segment().setAtIndex(ValueLayout.JAVA_SHORT, i, value);
        }
        stream.copyIn(input, host);
        stream.synchronize();
    }

    private Function written(long dst) {
        return function.begin()
                .address(dst)
                .address(input.address())
                .address(weight.address())
                .rows(Rows.of(0, 2))
                .int32(COLS)
                .int32(COLS)
                .int32(COLS)
                .float32(EPS);
    }

    /// Where nothing is allocated.
    private long beyond() {
        return output.address() + 64;
    }

    private void launch() {
        written(output.address()).launch(stream, 2, 1, 1);
    }

    private float[] result() {
        stream.copyOut(host, 0, output, 0, output.bytes());
        stream.synchronize();
        float[] values = new float[2 * COLS];
        for (int i = 0; i < values.length; i++) {
            int bits = host.segment().getAtIndex(ValueLayout.JAVA_SHORT, i) << 16;
            values[i] = Float.intBitsToFloat(bits);
        }
        return values;
    }

    @Test
    void aKernelRuns() {
        launch();

        assertThat(result()).containsOnly(4f);
        assertThat(Emulator.count("kernel_launches")).isEqualTo(1);
    }

    @Test
    void fieldsAreWrittenInOrderWithTheirTypes() {
        assertThatThrownBy(() -> module.function(RMS_NORM).address(1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("rms_norm: u64 was written before begin()");
        assertThatThrownBy(() -> function.begin().int32(1))
                .hasMessage("rms_norm: i32 was written for field dst:u64@0");
        assertThatThrownBy(() -> function.begin().int64(1)).hasMessageContaining("dst:u64@0");
        assertThatThrownBy(() -> function.begin().address(1).address(2).address(3).float32(1))
                .hasMessage("rms_norm: f32 was written for field rows:rows@24");
        assertThatThrownBy(() -> written(1).uint32(5))
                .hasMessage("rms_norm: u32 was written after the last field");
        assertThatThrownBy(() -> function.begin().address(1).launch(stream, 1, 1, 1))
                .hasMessage("rms_norm: launched without argument x");
        assertThatThrownBy(() -> module.function(RMS_NORM).launch(stream, 1, 1, 1))
                .hasMessage("rms_norm: launched without argument dst");
        assertThat(Emulator.count("kernel_launches")).isZero();
    }

    @Test
    void aGridWithoutBlocksLaunchesNothing() {
        written(output.address()).launch(stream, 0, 1, 1);
        written(output.address()).launch(stream, 1, 0, 1);
        written(output.address()).launch(stream, 1, 1, 0);

        assertThat(Emulator.count("kernel_launches")).isZero();
        assertThat(result()).containsOnly(0f);
    }

    @Test
    void sizesThatNoDeviceTakesAreRefusedBeforeTheDriverSeesThem() {
        assertThatThrownBy(() -> written(16).launch(stream, 3, 65_536, 1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage(
                        "kernel rms_norm (grid 3×65536×1, block 256, shared 32, dst 0x10, x 0x"
                                + Long.toHexString(input.address())
                                + ", weight 0x"
                                + Long.toHexString(weight.address())
                                + ", rows 0–2 of 0x0, cols 8, dst_stride 8, x_stride 8, eps 3.0):"
                                + " a grid has at most 2147483647 × 65535 × 65535 blocks");
        assertThatThrownBy(() -> written(16).launch(stream, -1, 1, 1))
                .hasMessageContaining("a grid has at most");
        assertThatThrownBy(() -> written(16).launch(stream, 1, 1, 1, 64))
                .hasMessageEndingWith("the shared memory is not the kernel's");
        assertThatThrownBy(() -> written(16).launch(stream, 1, 1, 1, 128, 0))
                .hasMessageEndingWith("the block size is not the kernel's");
        Function variable = module.function(rmsNorm(true));
        assertThatThrownBy(() -> variable.launch(stream, 1, 1, 1))
                .hasMessage("rms_norm: the launch must state its shared memory");
        assertThat(Emulator.count("kernel_launches")).isZero();
    }

    @Test
    void muchSharedMemoryIsAskedForOnceAndItsRefusalSeen() {
        Emulator.choose("KERNELS", "skip");
        function = module.function(rmsNorm(true));
        written(output.address()).launch(stream, 2, 1, 1, 100_000);
        written(output.address()).launch(stream, 2, 1, 1, 60_000);
        written(output.address()).launch(stream, 2, 1, 1, 163 << 10);
        assertThat(Emulator.count("kernel_launches")).isEqualTo(3);

        assertThatThrownBy(() -> written(1).launch(stream, 2, 1, 1, (163 << 10) + 1))
                .isInstanceOf(DeviceException.class)
                .hasMessageEndingWith(
                        "needs more shared memory than the 166912 bytes of Emulated CUDA device"
                                + " (device 0)");
        function = module.function(rmsNorm(true));
        Emulator.choose("FAIL_SHARED", 1);
        assertThatThrownBy(() -> written(1).launch(stream, 2, 1, 1, 50_000))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuFuncSetAttribute failed for kernel rms_norm (grid 2×1×1");
        written(output.address()).launch(stream, 2, 1, 1, 50_000);
        assertThat(Emulator.count("kernel_launches")).isEqualTo(4);
    }

    @Test
    void aLaunchThatIsRefusedNamesItselfAndDoesNoHarm() {
        Emulator.choose("FAIL_LAUNCH", 1);

        assertThatThrownBy(this::launch)
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuLaunchKernel failed for kernel rms_norm (grid 2×1×1, block 256,"
                                + " shared 32, dst 0x")
                .hasMessageContaining(", cols 8, dst_stride 8, x_stride 8, eps 3.0) on");
        launch();
        assertThat(result()).containsOnly(4f);
    }

    @Test
    void anAddressOutsideIsFoundOutLaterOrAtOnceAsAsked() {
        lost = true;
        Emulator.choose("STREAMS", "deferred");
        written(beyond()).launch(stream, 2, 1, 1);
        assertThatThrownBy(stream::synchronize)
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith("cuStreamSynchronize failed for stream main")
                .hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS");
        assertThatThrownBy(this::launch)
                .hasMessageContaining("is unusable since an earlier error: cuStreamSynchronize");
        device.close();
        assertThat(Emulator.count("live_allocations")).isZero();

        open(true);
        Emulator.choose("STREAMS", "deferred");
        launch();
        assertThatThrownBy(() -> written(beyond()).launch(stream, 2, 1, 1))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuStreamSynchronize failed for kernel rms_norm (grid 2×1×1, block 256,"
                                + " shared 32, dst 0x"
                                + Long.toHexString(beyond()));
    }

    @Test
    void aStreamOfAnotherDeviceIsRefused() {
        Device other = devices.open(devices.choose("0"));
        Stream foreign = other.stream("foreign");
        try {
            assertThatThrownBy(() -> written(1).launch(foreign, 1, 1, 1))
                    .hasMessage("rms_norm: stream foreign is another device's");
        } finally {
            other.close();
        }
    }

    @Test
    void launchingAllocatesNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Emulator.choose("KERNELS", "skip");
        Rows rows = Rows.of(0, 2);
        long dst = output.address();
        long src = input.address();
        long allocated = Long.MAX_VALUE;
        // What the virtual machine links on the way counts too, once: one round of many is without.
        for (int round = 0; round < 10 && allocated > 0; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < 1000; i++) {
                function.begin().address(dst).address(src).address(weight.address()).rows(rows);
                function.int32(COLS).int32(COLS).int32(COLS).float32(EPS).launch(stream, 2, 1, 1);
            }
            allocated = threads.getCurrentThreadAllocatedBytes() - before;
        }

        assertThat(allocated).isLessThan(1000);
    }

    @Test
    void aRecordedLaunchIsDoneAtEachReplayWithWhatLiesInMemoryThen() {
        Graph graph = Graph.capture(stream, this::launch);
        assertThat(result()).containsOnly(0f);

        graph.launch(stream);
        assertThat(result()).containsOnly(4f);
        write(BF16_ONE);
        written(1);
        graph.launch(stream);
        assertThat(result()).containsOnly(2f);
        assertThat(Emulator.count("kernel_launches")).isZero();
        assertThat(Emulator.count("graph_launches")).isEqualTo(2);
        graph.close();
        assertThat(Emulator.count("live_graph_execs")).isZero();
    }

    @Test
    void aRecordingThatFailsLeavesTheStreamUsable() {
        Event event = device.event(false);
        List<Runnable> failing =
                List.of(
                        () -> {
                            throw new IllegalArgumentException("no");
                        },
                        () -> {
                            throw new AssertionError("no");
                        },
                        stream::synchronize,
                        device::synchronize,
                        () -> device.allocate("x", 64),
                        () -> device.allocatePinned("x", 64),
                        () -> Graph.capture(stream, this::launch));
        for (Runnable work : failing) {
            assertThatThrownBy(() ->
                            Graph.capture(
                                    stream,
                                    () -> {
                                        launch();
                                        work.run();
                                    }))
                    .isInstanceOfAny(RuntimeException.class, AssertionError.class);
        }
        for (String what : List.of("FAIL_GRAPH", "FAIL_LAUNCH")) {
            Emulator.choose(what, 1);
            assertThatThrownBy(() -> Graph.capture(stream, this::launch)).as(what).isNotNull();
        }
        assertThat(Emulator.count("live_graphs")).isZero();
        assertThat(Emulator.count("live_graph_execs")).isZero();

        launch();
        stream.record(event);
        assertThat(result()).containsOnly(4f);
        assertThat(Emulator.count("kernel_launches")).isEqualTo(1);
        Graph.capture(stream, this::launch).launch(stream);
        stream.synchronize();
    }

    @Test
    void imagesOfOtherSourcesAreRefused() {
        Manifest other = new Manifest("00000000", List.of());
        long before = Emulator.count("live_modules");

        assertThatThrownBy(() -> device.load(Emulator.kernels(), other))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The kernel image "
                                + Emulator.kernels()
                                + " was built from other kernel sources: run scripts/build-native.");
        assertThat(Emulator.count("live_modules")).isEqualTo(before);
    }

    @Test
    void imagesThatDoNotFitAreRefused() throws IOException {
        Path fat = folder.resolve("brantas-kernels.fatbin");
        byte[] header = new byte[256];
        System.arraycopy(new byte[] {0x50, (byte) 0xed, 0x55, (byte) 0xba}, 0, header, 0, 4);
        Files.write(fat, header);
        assertThatThrownBy(() -> device.load(fat, Manifest.read()))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith(
                        "The kernel image "
                                + fat
                                + " has no code for Emulated CUDA device (device 0) of compute"
                                + " capability 8.0 (CUDA_ERROR_NO_BINARY_FOR_GPU (209, ")
                .hasMessageEndingWith(
                        ": run scripts/build-native with ARCHS=80 and a CUDA toolkit up to 12.6.");

        Path empty = Files.createFile(folder.resolve("empty"));
        assertThatThrownBy(() -> device.load(empty, Manifest.read()))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("has no code for");
        assertThatThrownBy(() -> device.load(folder.resolve("absent"), Manifest.read()))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The kernel image "
                                + folder.resolve("absent")
                                + " cannot be read: run scripts/build-native.");
    }

    @Test
    void aKernelThatTheImageLacksIsNamed() {
        Emulator.choose("MISSING_SYMBOL", "rms_norm");

        assertThatThrownBy(() -> module.function(RMS_NORM))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The kernel image "
                                + Emulator.kernels()
                                + " lacks kernel rms_norm: run scripts/build-native.");
    }
}
