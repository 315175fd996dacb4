package brantas.cli.gpu;

import brantas.StepTrace;
import brantas.StepTrace.Piece;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The steps of a [StepTrace] in the format that chrome://tracing and Perfetto show: a process for
/// each step, and in it lanes for kernels, the gaps between them, copies, and the host.
public final class ChromeTrace {
    private static final List<String> LANES = List.of("kernels", "gaps", "copies", "host");

    private ChromeTrace() {}

    /// What a step took, in microseconds.
    ///
    /// @param kernels how many
    /// @param busy the time of all kernels
    /// @param gaps between the first and the last kernel
    /// @param host the time of all calls but the last wait
    public record Sum(int kernels, double busy, double gaps, double host) {
        /// Sums a step up.
        public static Sum of(List<Piece> pieces) {
            List<Piece> kernels = ChromeTrace.kernels(pieces);
            double busy = kernels.stream().mapToDouble(Piece::micros).sum();
            double gaps =
                    ChromeTrace.gaps(kernels).stream().mapToDouble(g -> g.end - g.start).sum();
            double host =
                    pieces.stream()
                            .filter(p -> !p.kind().equals("wait"))
                            .mapToDouble(Piece::hostMicros)
                            .sum();
            return new Sum(kernels.size(), busy, gaps, host);
        }
    }

    private record Gap(String between, double start, double end) {}

    /// The whole file.
    public static Map<String, @Nullable Object> of(StepTrace trace) {
        List<Map<String, @Nullable Object>> events = new ArrayList<>();
        step(events, 1, "decode step behind " + trace.promptTokens() + " tokens", trace.decode());
        step(events, 2, "prefill step of " + trace.promptTokens() + " tokens", trace.prefill());
        Map<String, @Nullable Object> file = new LinkedHashMap<>();
        file.put("displayTimeUnit", "ns");
        file.put("emulated", trace.emulated());
        file.put("model", trace.model());
        file.put("device", trace.device());
        file.put("prompt_tokens", trace.promptTokens());
        file.put("traceEvents", events);
        return file;
    }

    private static List<Piece> kernels(List<Piece> pieces) {
        return pieces.stream().filter(p -> p.kind().equals("kernel")).toList();
    }

    private static List<Gap> gaps(List<Piece> kernels) {
        List<Gap> gaps = new ArrayList<>();
        for (int i = 1; i < kernels.size(); i++) {
            Piece before = kernels.get(i - 1);
            Piece after = kernels.get(i);
            double free = before.start() + before.micros();
            if (after.start() > free) {
                gaps.add(new Gap(before.name() + " – " + after.name(), free, after.start()));
            }
        }
        return gaps;
    }

    private static void step(
            List<Map<String, @Nullable Object>> events, int process, String name, List<Piece> all) {
        events.add(named("process_name", process, 0, name));
        for (int lane = 0; lane < LANES.size(); lane++) {
            events.add(named("thread_name", process, lane, LANES.get(lane)));
        }
        for (Piece p : all) {
            int lane = p.kind().equals("kernel") ? 0 : 2;
            if (!p.kind().equals("wait")) {
                events.add(span(process, lane, p.name(), p.start(), p.micros(), p.detail()));
            }
        }
        for (Gap g : gaps(kernels(all))) {
            events.add(span(process, 1, g.between(), g.start(), g.end() - g.start(), ""));
        }
        for (Piece p : all) {
            boolean launch = p.kind().equals("kernel");
            String call = launch ? "launch " + p.name() : p.name();
            events.add(span(process, 3, call, p.hostStart(), p.hostMicros(), p.detail()));
        }
    }

    private static Map<String, @Nullable Object> named(
            String what, int process, int lane, String name) {
        Map<String, @Nullable Object> event = new LinkedHashMap<>();
        event.put("ph", "M");
        event.put("name", what);
        event.put("pid", process);
        event.put("tid", lane);
        event.put("args", Map.of("name", name));
        return event;
    }

    private static Map<String, @Nullable Object> span(
            int process, int lane, String name, double start, double micros, String detail) {
        Map<String, @Nullable Object> event = new LinkedHashMap<>();
        event.put("ph", "X");
        event.put("name", name);
        event.put("cat", LANES.get(lane));
        event.put("pid", process);
        event.put("tid", lane);
        event.put("ts", start);
        event.put("dur", micros);
        if (!detail.isEmpty()) {
            event.put("args", Map.of(lane == 0 ? "grid" : "detail", detail));
        }
        return event;
    }
}
