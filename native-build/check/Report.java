import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/// The measurements as people and programs read them: a table of registers and blocks, all that is
/// known of each kernel, and a JSON document with a line for each kernel and target, from which
/// speed can be predicted.
final class Report {
    private final List<Evidence> measured;
    private final String toolkit;
    private final Set<String> hot;

    /// @param hot names of the kernels that time is spent in
    Report(List<Evidence> measured, String toolkit, Set<String> hot) {
        this.measured = measured;
        this.toolkit = toolkit;
        this.hot = hot;
    }

    private Map<String, List<Evidence>> byKernel() {
        return measured.stream()
                .collect(
                        Collectors.groupingBy(Evidence::kernel, TreeMap::new, Collectors.toList()));
    }

    private Set<String> targets() {
        return measured.stream()
                .map(e -> String.valueOf(e.target().sm()))
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /// Registers and blocks on a multiprocessor, a line for each kernel; hot ones have an asterisk.
    String table() {
        StringBuilder text = new StringBuilder("%-26s".formatted("registers/blocks"));
        targets().forEach(t -> text.append(" %7s".formatted("sm_" + t)));
        text.append('\n');
        byKernel()
                .forEach((kernel, all) -> {
                    String mark = hot.contains(kernel) ? " *" : "";
                    text.append("%-26s".formatted(kernel + mark));
                    for (Evidence e : all) {
                        String cell = e.registers() + "/" + e.occupancy().blocks();
                        text.append(" %7s".formatted(cell));
                    }
                    text.append('\n');
                });
        return text.toString();
    }

    /// Everything. Counts of instructions are of the code as it lies there: what a loop repeats is
    /// counted once, what is unrolled as often as it was unrolled.
    String full() {
        StringBuilder text = new StringBuilder();
        text.append("Static evidence of the kernels, compiled by toolkit ").append(toolkit);
        text.append(". Hot kernels have an asterisk.\n\n").append(table());
        byKernel()
                .forEach((kernel, all) -> {
                    Evidence first = all.getFirst();
                    text.append('\n').append(kernel);
                    text.append(hot.contains(kernel) ? " *" : "");
                    text.append(": blocks of ").append(number(first.block()));
                    text.append(" threads with ").append(number(first.shared()));
                    text.append(" bytes of dynamic shared memory\n");
                    all.forEach(e -> text.append(line(e)));
                });
        return text.toString();
    }

    private static String number(int launch) {
        return launch == Launches.VARIABLE ? "variable" : String.valueOf(launch);
    }

    private static String line(Evidence e) {
        Target.Occupancy occupancy = e.occupancy();
        String opcodes =
                e.opcodes().entrySet().stream()
                        .map(o -> o.getKey() + " " + o.getValue())
                        .collect(Collectors.joining(", "));
        return "  %-6s %d registers, %d stack, %d spilled, %d static shared, %d barriers; "
                        .formatted(
                                e.target().name(),
                                e.registers(),
                                e.figures().stack(),
                                e.figures().spills(),
                                e.figures().shared(),
                                e.figures().barriers())
                + "%d blocks, %d warps (%s); %d instructions: %s\n"
                        .formatted(
                                occupancy.blocks(),
                                occupancy.warps(),
                                occupancy.limit(),
                                e.instructions(),
                                opcodes);
    }

    /// Names are plain words, so that nothing needs escaping.
    String json() {
        StringBuilder text = new StringBuilder("{\n\"toolkit\": \"").append(toolkit);
        text.append("\",\n\"targets\": [").append(String.join(", ", targets()));
        text.append("],\n\"kernels\": {\n");
        text.append(
                byKernel().entrySet().stream()
                        .map(entry -> json(entry.getKey(), entry.getValue()))
                        .collect(Collectors.joining(",\n")));
        return text.append("\n}\n}\n").toString();
    }

    private String json(String kernel, List<Evidence> all) {
        Evidence first = all.getFirst();
        String targets =
                all.stream()
                        .map(e -> "  \"%d\": {%s}".formatted(e.target().sm(), figures(e)))
                        .collect(Collectors.joining(",\n"));
        return "\"%s\": {\n  \"hot\": %s,\n  \"block\": %d,\n  \"shared\": %d,\n%s\n}"
                .formatted(kernel, hot.contains(kernel), first.block(), first.shared(), targets);
    }

    private static String figures(Evidence e) {
        return ("\"registers\": %d, \"blocks\": %d, \"warps\": %d, \"hmma\": %d,"
                        + " \"instructions\": %d")
                .formatted(
                        e.registers(),
                        e.occupancy().blocks(),
                        e.occupancy().warps(),
                        e.count("HMMA"),
                        e.instructions());
    }
}
