package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Memory of a device and its end, on the emulated device.
class DeviceTest {
    private final Devices devices = start();
    private final Map<String, Long> before = Emulator.held();
    // An error of the device ends its context, and handles that were not given back before end with
    // it.
    private boolean lost;
    private Device device = devices.open(devices.choose("0"));
    private Stream stream = device.stream("main");

    private static Devices start() {
        Emulator.reset();
        return Devices.find();
    }

    @AfterEach
    void nothingIsLeft() {
        device.close();
        assertThat(Emulator.count("live_allocations")).isZero();
        if (!lost) {
            assertThat(Emulator.held()).isEqualTo(before);
        }
        Emulator.reset();
    }

    private byte[] content(DeviceMemory memory) {
        PinnedMemory host = device.allocatePinned("content", memory.bytes());
        stream.copyOut(host, memory);
        stream.synchronize();
        byte[] bytes = host.segment().toArray(ValueLayout.JAVA_BYTE);
        host.close();
        return bytes;
    }

    @Test
    void memoryIsZeroedAlsoWhenItIsReused() {
        DeviceMemory first = device.allocate("first", 1001);
        assertThat(content(first)).hasSize(1001).containsOnly(0);
        stream.fill(first, 0, 1001, (byte) 7);
        long address = first.address();
        first.close();

        DeviceMemory second = device.allocate("second", 1001);

        assertThat(second.address()).isEqualTo(address);
        assertThat(content(second)).containsOnly(0);
        assertThat(Emulator.count("allocations")).isEqualTo(1);
        PinnedMemory host = device.allocatePinned("host", 1000);
        assertThat(host.segment().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
        host.segment().fill((byte) 7);
        host.close();
        assertThat(device.allocatePinned("host", 1000).segment().toArray(ValueLayout.JAVA_BYTE))
                .containsOnly(0);
    }

    @Test
    void whatIsClosedIsNotUsedAnyMore() {
        DeviceMemory memory = device.allocate("the cache", 64);
        PinnedMemory host = device.allocatePinned("the ring", 64);
        MemorySegment segment = host.segment();
        memory.close();
        host.close();
        memory.close();
        host.close();

        assertThatThrownBy(memory::address).hasMessage("the cache was closed");
        assertThatThrownBy(() -> segment.get(ValueLayout.JAVA_BYTE, 0))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> stream.copyIn(device.allocate("x", 64), host))
                .hasMessage("the ring was closed");
        // Closed twice, but one block.
        assertThat(device.allocate("a", 64).address())
                .isNotEqualTo(device.allocate("b", 64).address());
    }

    @Test
    void memoryThatIsOutIsOneSentence() {
        Emulator.choose("MEMORY", 8L << 20);
        device.allocate("weights", 3L << 20);

        assertThatThrownBy(() -> device.allocate("The key cache of layer 3", 6L << 20))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The key cache of layer 3 needs 6 MiB on Emulated CUDA device (device 0), 5"
                                + " MiB are free: lower --context or --sequences, or use a smaller"
                                + " model.");
        assertThat(device.usedMemory()).isEqualTo(3L << 20);
        assertThat(content(device.allocate("after", 2L << 20))).containsOnly(0);
    }

    @Test
    void unusedMemoryCountsAsFreeAndMakesRoom() {
        Emulator.choose("MEMORY", 8L << 20);
        device.allocate("large", 6L << 20).close();

        assertThat(device.usedMemory()).isZero();
        assertThat(device.freeMemory()).isEqualTo(8L << 20);
        DeviceMemory other = device.allocate("other", 7L << 20);
        assertThat(device.usedMemory()).isEqualTo(7L << 20);
        other.close();
        device.trim();
        assertThat(Emulator.count("live_allocations")).isZero();
    }

    @Test
    void pageLockedMemoryThatIsRefusedIsOneSentence() {
        Emulator.choose("FAIL_PINNED", 1);

        assertThatThrownBy(() -> device.allocatePinned("The staging ring", 5L << 20))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The staging ring needs 5 MiB of page-locked host memory, which the system"
                                + " does not grant: free memory on this machine, or lower --context"
                                + " or --sequences.");
        assertThat(device.allocatePinned("again", 5L << 20).bytes()).isEqualTo(5L << 20);
    }

    @Test
    void sizesThatMeanNothingAreRefused() {
        assertThatThrownBy(() -> device.allocate("x", 0)).hasMessage("x of 0 bytes");
        assertThatThrownBy(() -> device.allocatePinned("y", -1)).hasMessage("y of -1 bytes");
    }

    @Test
    void eachStepOfOpeningMayFail() {
        device.close();
        DeviceInfo info = devices.choose("0");
        for (String what : List.of("CONTEXT", "STREAM")) {
            Emulator.choose("FAIL_" + what, 1);
            assertThatThrownBy(() -> devices.open(info))
                    .as(what)
                    .isInstanceOf(RuntimeException.class);
            assertThat(Emulator.held()).as(what).isEqualTo(before);
        }
        device = devices.open(info);
        for (String what : List.of("STREAM", "EVENT", "MODULE", "SYMBOL")) {
            Emulator.choose("FAIL_" + what, 1);
            assertThatThrownBy(this::oneOfEach).as(what).isInstanceOf(RuntimeException.class);
        }
        oneOfEach();
    }

    private void oneOfEach() {
        device.stream("side");
        device.event(true);
        device.load(Emulator.kernels(), Manifest.read());
    }

    @Test
    void closingGivesEverythingBack() {
        for (int i = 0; i < 3; i++) {
            oneOfEach();
            device.allocate("kept", 100);
            device.allocate("given back", 200).close();
            device.allocatePinned("kept", 100);
            device.allocatePinned("given back", 200).close();
        }
        DeviceMemory memory = device.allocate("memory", 64);
        Stream closed = device.stream("closed early");
        closed.close();
        closed.close();
        Graph graph = Graph.capture(stream, () -> stream.fill(memory, 0, 64, (byte) 1));
        assertThat(Emulator.count("live_graph_execs")).isEqualTo(1);
        assertThat(Emulator.count("live_graphs")).isZero();

        device.close();
        device.close();

        assertThat(Emulator.held()).isEqualTo(before);
        graph.close();
        memory.close();
        stream.close();
        assertThatThrownBy(memory::address).hasMessage("memory was closed");
        assertThatThrownBy(() -> device.allocate("x", 1))
                .hasMessage("Emulated CUDA device (device 0) was closed");
        assertThatThrownBy(() -> graph.launch(stream)).hasMessageContaining("was closed");
    }

    @Test
    void aCopyThatFailsMakesTheDeviceUnusableUntilItIsOpenedAnew() {
        DeviceMemory memory = device.allocate("memory", 64);
        PinnedMemory host = device.allocatePinned("host", 64);
        Event event = device.event(false);
        lost = true;
        Emulator.choose("STREAMS", "deferred");
        Emulator.choose("FAIL_COPY", 1);
        stream.copyIn(memory, host);

        assertThatThrownBy(stream::synchronize)
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuStreamSynchronize failed for stream main on Emulated CUDA device (device"
                                + " 0): CUDA_ERROR_ILLEGAL_ADDRESS (700, ")
                .hasMessageContaining("injected failure of COPY")
                .hasMessageEndingWith(
                        "; the cause may be work that was started earlier, which"
                                + " BRANTAS_SYNCHRONOUS=1 names");
        List<Runnable> calls =
                List.of(
                        () -> device.allocate("x", 1),
                        device::synchronize,
                        device::freeMemory,
                        () -> stream.copyOut(host, memory),
                        () -> stream.record(event),
                        event::passed);
        for (Runnable call : calls) {
            assertThatThrownBy(call::run)
                    .isInstanceOf(DeviceException.class)
                    .hasMessageStartingWith(
                            "Emulated CUDA device (device 0) is unusable since an earlier error:"
                                    + " cuStreamSynchronize failed for stream main");
        }

        device.close();
        Emulator.choose("STREAMS", "immediate");
        device = devices.open(devices.choose("0"));
        stream = device.stream("anew");
        assertThat(content(device.allocate("x", 10))).containsOnly(0);
    }

    @Test
    void anErrorThatOnlyClosingSeesIsReported() {
        DeviceMemory memory = device.allocate("memory", 64);
        PinnedMemory host = device.allocatePinned("host", 64);
        lost = true;
        Emulator.choose("STREAMS", "deferred");
        Emulator.choose("FAIL_COPY", 1);
        stream.copyIn(memory, host);

        assertThatThrownBy(device::close)
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith("cuCtxSynchronize failed for the device");
    }

    @Test
    void anyThreadMayUseTheDevice() throws InterruptedException {
        List<byte[]> seen = new ArrayList<>();
        DeviceMemory memory = device.allocate("memory", 16);
        Thread engine =
                Thread.ofPlatform()
                        .start(() -> {
                            stream.fill(memory, 0, 16, (byte) 3);
                            seen.add(content(memory));
                        });
        engine.join();

        assertThat(seen).hasSize(1);
        assertThat(seen.getFirst()).containsOnly(3);
    }

    @Test
    void twoUsersOfOneDeviceDoNotDisturbEachOther() {
        Device other = devices.open(devices.choose("0"));
        DeviceMemory mine = device.allocate("mine", 16);
        DeviceMemory others = other.allocate("others", 16);
        stream.fill(mine, 0, 16, (byte) 3);
        other.close();

        assertThatThrownBy(others::address).hasMessage("others was closed");
        assertThat(content(mine)).containsOnly(3);
        assertThat(Emulator.count("live_allocations")).isEqualTo(1);
    }
}
