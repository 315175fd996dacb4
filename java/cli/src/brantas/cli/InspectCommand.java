package brantas.cli;

import brantas.Inspection;
import brantas.settings.BrantasException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// What a checkpoint is, how large it is and what running it takes on this machine. Reads headers
/// only.
@Command(description = "Shows what a checkpoint is and what it needs.")
final class InspectCommand implements Callable<Integer> {
    private final Streams io;

    @Mixin ModelOptions model = new ModelOptions();

    @Option(
            names = "--size",
            paramLabel = "SIZE",
            description = "A known size such as 9B or 35B-A3B, without a checkpoint.")
    @Nullable String size;

    @Option(names = "--json", description = "Prints one JSON object instead of a table.")
    boolean json;

    InspectCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        if (size != null && model.model != null) {
            throw new BrantasException("--size and --model exclude each other: give one.");
        }
        Inspection seen =
                size != null
                        ? Inspection.ofSize(size, model.options(io))
                        : Inspection.of(model.folder(), model.options(io));
        if (json) {
            Map<String, @Nullable Object> all = new LinkedHashMap<>(seen.facts());
            all.put("parameters", seen.parameters());
            all.put("bytes_per_type", seen.bytesPerType());
            all.put("memory", seen.memory());
            io.line(Json.write(all));
            return 0;
        }
        section("model", seen.facts(), false);
        section("parameters", seen.parameters(), false);
        section("stored bytes", seen.bytesPerType(), true);
        section("memory", seen.memory(), false);
        return 0;
    }

    private void section(String title, Map<String, ?> rows, boolean bytes) {
        if (rows.isEmpty()) {
            return;
        }
        io.line(title);
        rows.forEach((name, value) -> {
            boolean size = bytes || name.contains("bytes");
            String shown = value instanceof Number n ? number(n, size) : String.valueOf(value);
            io.line(String.format(Locale.ROOT, "  %-36s %s", name, shown));
        });
    }

    private static String number(Number n, boolean bytes) {
        String exact = String.format(Locale.ROOT, "%,d", n.longValue());
        if (!bytes || n.longValue() < 1_000_000) {
            return exact;
        }
        return String.format(Locale.ROOT, "%s (%.2f GB)", exact, n.longValue() * 1e-9);
    }
}
