package brantas.cuda.driver;

import java.util.ArrayList;
import java.util.List;

/// Times everything that is put into a stream while it is watched: on the device by a mark before
/// and one behind each piece of work, on the host by the call. The marks keep a kernel from
/// beginning before its predecessor has ended, and take a microsecond or two of their own, so that
/// gaps are wider than in a graph. Recorded work is not timed.
public final class Timeline implements AutoCloseable {
    private final Device device;
    private final Stream stream;
    private final Event origin;
    private final long originNanos;
    private final List<Mark> marks = new ArrayList<>();

    /// What was timed.
    public enum Kind {
        /// A kernel.
        KERNEL,
        /// A copy to the device.
        UPLOAD,
        /// A copy from the device.
        DOWNLOAD,
        /// The host waiting for the device; no work.
        WAIT
    }

    /// A piece of work. Times are microseconds since the watch began.
    ///
    /// @param name of the kernel, or of the kind of work
    /// @param detail grid and block, or bytes
    /// @param start on the device; of no meaning for [Kind#WAIT], as is the next
    /// @param micros on the device
    /// @param hostStart when the host began the call
    /// @param hostMicros how long the call took
    public record Entry(
            Kind kind,
            String name,
            String detail,
            double start,
            double micros,
            double hostStart,
            double hostMicros) {}

    private record Mark(
            Kind kind, String name, String detail, List<Event> events, long begin, long end) {}

    private Timeline(Stream stream) {
        this.stream = stream;
        this.device = stream.device();
        this.origin = device.event(true);
        stream.record(origin);
        origin.synchronize();
        this.originNanos = System.nanoTime();
    }

    /// Watches a stream until it is closed.
    public static Timeline watch(Stream stream) {
        Timeline timeline = new Timeline(stream);
        stream.watch(timeline);
        return timeline;
    }

    void run(Kind kind, String name, String detail, Runnable work) {
        if (stream.recording()) {
            work.run();
            return;
        }
        List<Event> events =
                kind == Kind.WAIT ? List.of() : List.of(device.event(true), device.event(true));
        if (kind != Kind.WAIT) {
            stream.record(events.getFirst());
        }
        long begin = System.nanoTime();
        work.run();
        long end = System.nanoTime();
        if (kind != Kind.WAIT) {
            stream.record(events.getLast());
        }
        marks.add(new Mark(kind, name, detail, events, begin, end));
    }

    /// Waits for the stream; then all that was timed, in the order of the calls.
    public List<Entry> entries() {
        stream.watch(null);
        stream.synchronize();
        List<Entry> all = new ArrayList<>();
        for (Mark m : marks) {
            double start = 0;
            double micros = 0;
            if (!m.events().isEmpty()) {
                start = 1e3 * m.events().getFirst().millisecondsSince(origin);
                micros = 1e3 * m.events().getLast().millisecondsSince(m.events().getFirst());
            }
            double hostStart = (m.begin() - originNanos) * 1e-3;
            double hostMicros = (m.end() - m.begin()) * 1e-3;
            all.add(
                    new Entry(
                            m.kind(), m.name(), m.detail(), start, micros, hostStart, hostMicros));
        }
        return all;
    }

    /// Ends the watch and gives the marks back.
    @Override
    public void close() {
        stream.watch(null);
        marks.forEach(mark -> mark.events().forEach(Event::close));
        marks.clear();
        origin.close();
    }
}
