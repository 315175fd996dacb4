package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a timeline takes down of a stream, and that nothing is left of it.
class TimelineTest {
    private static final long BYTES = 4_000;

    private Map<String, Long> before;
    private Device device;
    private Stream stream;
    private PinnedMemory host;
    private DeviceMemory memory;

    @BeforeEach
    void open() {
        Emulator.reset();
        before = Emulator.held();
        Devices devices = Devices.find();
        device = devices.open(devices.choose("0"));
        stream = device.stream("main");
        host = device.allocatePinned("host", BYTES);
        memory = device.allocate("memory", BYTES);
    }

    @AfterEach
    void close() {
        device.close();
        assertThat(Emulator.held()).isEqualTo(before);
        Emulator.reset();
    }

    @Test
    void everyCallIsTakenDownInOrder() {
        long events = Emulator.count("live_events");
        List<Timeline.Entry> entries;
        try (Timeline timeline = Timeline.watch(stream)) {
            assertThat(stream.watched()).isTrue();
            stream.copyIn(memory, host);
            stream.copyOut(host, memory);
            stream.synchronize();
            entries = timeline.entries();
        }
        assertThat(entries)
                .extracting(Timeline.Entry::kind)
                .containsExactly(Timeline.Kind.UPLOAD, Timeline.Kind.DOWNLOAD, Timeline.Kind.WAIT);
        assertThat(entries.getFirst().detail()).isEqualTo("4000 bytes");
        double end = 0;
        for (Timeline.Entry e : entries.subList(0, 2)) {
            assertThat(e.start()).isGreaterThanOrEqualTo(end);
            assertThat(e.micros()).isNotNegative();
            end = e.start() + e.micros();
        }
        assertThat(entries.getLast().hostStart())
                .isGreaterThanOrEqualTo(entries.get(1).hostStart() + entries.get(1).hostMicros());
        assertThat(stream.watched()).isFalse();
        assertThat(Emulator.count("live_events")).isEqualTo(events);
    }

    @Test
    void recordedWorkIsNotTimed() {
        try (Timeline timeline = Timeline.watch(stream);
                Graph graph = Graph.capture(stream, () -> stream.copyIn(memory, host))) {
            graph.launch(stream);
            assertThat(timeline.entries()).isEmpty();
        }
    }

    @Test
    void unwatchedStreamsMakeNoMarks() {
        long events = Emulator.count("live_events");
        stream.copyIn(memory, host);
        stream.synchronize();
        assertThat(Emulator.count("live_events")).isEqualTo(events);
    }
}
