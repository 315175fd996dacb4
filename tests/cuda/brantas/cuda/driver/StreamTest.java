package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Copies, fills and marks in streams, done at once and as late as allowed.
class StreamTest {
    private static final int COUNT = 1000;

    private Map<String, Long> before;
    private Device device;
    private Stream stream;
    private PinnedMemory source;
    private PinnedMemory target;

    @BeforeEach
    void open() {
        Emulator.reset();
        before = Emulator.held();
        Devices devices = Devices.find();
        device = devices.open(devices.choose("0"));
        stream = device.stream("main");
        source = device.allocatePinned("source", COUNT * 4L);
        target = device.allocatePinned("target", COUNT * 4L);
        for (int i = 0; i < COUNT; i++) {
            source.segment().setAtIndex(ValueLayout.JAVA_INT, i, i + 1);
        }
    }

    @AfterEach
    void close() {
        device.close();
        assertThat(Emulator.held()).isEqualTo(before);
        Emulator.reset();
    }

    private int[] target() {
        return target.segment().toArray(ValueLayout.JAVA_INT);
    }

    @ParameterizedTest
    @ValueSource(strings = {"immediate", "deferred"})
    void copiesThereAndBack(String streams) {
        DeviceMemory first = device.allocate("first", COUNT * 4L);
        DeviceMemory second = device.allocate("second", COUNT * 8L);
        Emulator.reset();
        Emulator.choose("STREAMS", streams);

        stream.copyIn(first, source);
        stream.copy(second, COUNT * 4L, first, 0, COUNT * 4L);
        stream.copyOut(target, 0, second, COUNT * 4L, COUNT * 4L);
        stream.synchronize();

        assertThat(target()).isEqualTo(IntStream.rangeClosed(1, COUNT).toArray());
        assertThat(Emulator.count("host_to_device_copies")).isEqualTo(1);
        assertThat(Emulator.count("device_to_device_copies")).isEqualTo(1);
        assertThat(Emulator.count("device_to_host_copies")).isEqualTo(1);
        assertThat(Emulator.count("pageable_copies")).isZero();
    }

    @Test
    void partsAreCopiedAndFilled() {
        DeviceMemory memory = device.allocate("memory", COUNT * 4L);

        stream.copyIn(memory, 40, source, 80, 12);
        stream.fill(memory, 48, 8, (byte) 1);
        stream.copyOut(target, 400, memory, 36, 24);
        stream.synchronize();

        assertThat(java.util.Arrays.copyOfRange(target(), 99, 107))
                .containsExactly(0, 0, 21, 22, 0x01010101, 0x01010101, 0, 0);
    }

    @Test
    void rangesLieInsideTheirMemory() {
        DeviceMemory memory = device.allocate("memory", 64);
        List<Runnable> outside =
                List.of(
                        () -> stream.copyIn(memory, source),
                        () -> stream.copyIn(memory, 0, source, COUNT * 4L - 8, 9),
                        () -> stream.copyOut(target, -1, memory, 0, 8),
                        () -> stream.copyOut(target, 0, memory, 60, 5),
                        () -> stream.copy(memory, 0, memory, 32, Long.MAX_VALUE),
                        () -> stream.fill(memory, 32, 33, (byte) 0),
                        () -> stream.fill(memory, 0, -1, (byte) 0));
        for (Runnable call : outside) {
            assertThatThrownBy(call::run)
                    .isInstanceOf(IndexOutOfBoundsException.class)
                    .hasMessageContaining(", which has ");
        }
        assertThatThrownBy(() -> stream.copyOut(target, 0, memory, 60, 5))
                .hasMessage("5 bytes from 60 of memory, which has 64");
    }

    @Test
    void whatTheDriverRefusesNamesTheCopy() {
        DeviceMemory memory = device.allocate("the cache", 64);

        assertThatThrownBy(() -> stream.copy(memory, 0, memory, 8, 16))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuMemcpyDtoDAsync failed for 16 bytes from the cache (64 bytes) to the"
                                + " cache (64 bytes) in stream main on Emulated CUDA device (device"
                                + " 0): CUDA_ERROR_INVALID_VALUE");
    }

    @Test
    void marksOrderStreamsAndTellTheTime() {
        Stream side = device.stream("side");
        DeviceMemory memory = device.allocate("memory", COUNT * 4L);
        Event filled = device.event(true);
        Event copied = device.event(true);
        Emulator.choose("STREAMS", "deferred");

        // The question does one piece of the stream's work; the other is left for whoever waits.
        stream.fill(memory, 0, COUNT * 4L, (byte) 1);
        stream.fill(memory, 0, COUNT * 4L, (byte) 2);
        stream.record(filled);
        assertThat(filled.passed()).isFalse();
        side.await(filled);
        side.copyOut(target, memory);
        side.record(copied);
        copied.synchronize();

        assertThat(copied.passed()).isTrue();
        assertThat(filled.passed()).isTrue();
        assertThat(target()).containsOnly(0x02020202);
        assertThat(copied.millisecondsSince(filled)).isNotNegative();
        Event plain = device.event(false);
        assertThatThrownBy(() -> plain.millisecondsSince(filled))
                .hasMessage("the event was made without time");
    }
}
