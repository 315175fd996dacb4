package brantas.cli.gpu;

import brantas.cli.Json;
import brantas.cli.gpu.Roofline.Point;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What an acceptance run left in a folder, put together: `steps.tsv` with a line for each step,
/// `machine.tsv` with what is known of the machine, and for the steps that have more to say a file
/// of JSON each. Steps that failed or were skipped are listed like the others.
public final class Results {
    private final Path from;
    private final List<String> unreadable = new ArrayList<>();

    /// @param from the folder
    public Results(Path from) {
        this.from = from;
    }

    /// Writes `RESULTS-GPU.json`, `RESULTS-GPU.svg` and, if variants were measured,
    /// `launch-table-GPU.txt` beside them.
    ///
    /// @return the paths, the results first
    public List<Path> write(Path to) {
        Map<String, @Nullable Object> kernels = part("kernels");
        List<Map<String, @Nullable Object>> cases = cases(kernels);
        boolean emulated = Boolean.TRUE.equals(about(kernels).get("emulated"));
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        List<Map<String, @Nullable Object>> steps = steps();
        all.put("passed", steps.stream().noneMatch(s -> "failed".equals(s.get("status"))));
        all.put("meaningful", !emulated);
        all.putAll(about(kernels));
        all.put("machine", machine());
        all.put("steps", steps);
        all.put("kernels", cases);
        all.put("unreadable", List.copyOf(unreadable));
        String gpu = gpuName(String.valueOf(about(kernels).getOrDefault("device", "none")));
        List<Path> written = new ArrayList<>();
        written.add(file(to, "RESULTS-" + gpu + ".json"));
        Json.write(written.getFirst(), all);
        written.add(file(to, "RESULTS-" + gpu + ".svg"));
        Json.text(written.getLast(), roofline(kernels, cases).svg());
        Map<String, @Nullable Object> variants = part("variants");
        if (!variants.isEmpty()) {
            written.add(file(to, "launch-table-" + gpu + ".txt"));
            Json.text(written.getLast(), table(variants));
        }
        return written;
    }

    private static Path file(Path folder, String name) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new BrantasException(folder + " cannot be made: name another folder.", e);
        }
        return folder.resolve(name);
    }

    /// A device's name for a file: `h100-80gb-hbm3`.
    static String gpuName(String device) {
        String name = device.toLowerCase(Locale.ROOT);
        if (name.startsWith("emulated")) {
            return "emulated";
        }
        String plain = name.replaceAll("nvidia|geforce", " ").strip();
        return plain.replaceAll("[^a-z0-9]+", "-").replaceAll("^-|-$", "");
    }

    /// The JSON of a step; empty if it left none.
    private Map<String, @Nullable Object> part(String step) {
        Path file = from.resolve(step + ".json");
        if (!Files.isRegularFile(file)) {
            return Map.of();
        }
        String name = file.toString();
        try {
            return Json.object(name, Json.read(name, Json.file(file)));
        } catch (BrantasException e) {
            // What a step left half written must not keep the results of the others.
            unreadable.add(String.valueOf(e.getMessage()));
            return Map.of();
        }
    }

    private Map<String, @Nullable Object> about(Map<String, @Nullable Object> kernels) {
        Map<String, @Nullable Object> about = new LinkedHashMap<>();
        Map<String, @Nullable Object> source = kernels.isEmpty() ? part("load") : kernels;
        source.forEach((key, value) -> {
            if (!(value instanceof Iterable<?>)
                    && !key.equals("step")
                    && !key.equals("meaningful")) {
                about.put(key, value);
            }
        });
        return about;
    }

    private static List<Map<String, @Nullable Object>> objects(
            Map<String, @Nullable Object> part, String key) {
        return part.containsKey(key) ? Json.objects(key, part.get(key)) : List.of();
    }

    /// Measured launches, each with what was predicted for it where that is known.
    private List<Map<String, @Nullable Object>> cases(Map<String, @Nullable Object> kernels) {
        Map<String, Double> predicted = new LinkedHashMap<>();
        for (Map<String, @Nullable Object> k : objects(part("predict"), "kernels")) {
            double calls = number(k, "calls");
            if (calls > 0) {
                predicted.put(
                        k.get("phase") + "/" + k.get("name") + "/" + k.get("purpose"),
                        number(k, "microseconds") / calls);
            }
        }
        List<Map<String, @Nullable Object>> all = new ArrayList<>();
        for (Map<String, @Nullable Object> c : objects(kernels, "cases")) {
            Map<String, @Nullable Object> row = new LinkedHashMap<>(c);
            Double guess = guess(predicted, c);
            row.put("predicted_microseconds", guess);
            boolean emulated = Boolean.TRUE.equals(c.get("emulated"));
            row.put(
                    "of_predicted",
                    guess == null || emulated ? null : number(c, "microseconds") / guess);
            all.add(row);
        }
        return all;
    }

    /// What was predicted for a launch; a prediction may name the family of a variant only.
    private static @Nullable Double guess(
            Map<String, Double> predicted, Map<String, @Nullable Object> launch) {
        String kernel = String.valueOf(launch.get("kernel"));
        String family = kernel.replaceAll("_[^_]*$", "");
        for (String name : List.of(kernel, family)) {
            Double guess =
                    predicted.get(launch.get("phase") + "/" + name + "/" + launch.get("purpose"));
            if (guess != null) {
                return guess;
            }
        }
        return null;
    }

    private static double number(Map<String, @Nullable Object> row, String key) {
        return row.get(key) instanceof Number n ? n.doubleValue() : 0;
    }

    private List<Map<String, @Nullable Object>> steps() {
        List<Map<String, @Nullable Object>> all = new ArrayList<>();
        for (String[] cells : lines("steps.tsv")) {
            Map<String, @Nullable Object> step = new LinkedHashMap<>();
            step.put("step", cells[0]);
            step.put("status", cells.length > 1 ? cells[1] : "failed");
            step.put("seconds", cells.length > 2 ? Long.parseLong(cells[2]) : null);
            step.put("text", cells.length > 3 ? cells[3] : "");
            Map<String, @Nullable Object> part = part(cells[0]);
            if (part.containsKey("findings")) {
                step.put("findings", part.get("findings"));
            }
            all.add(step);
        }
        return all;
    }

    private Map<String, @Nullable Object> machine() {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        for (String[] cells : lines("machine.tsv")) {
            all.put(cells[0], cells.length > 1 ? cells[1] : "");
        }
        return all;
    }

    private List<String[]> lines(String name) {
        Path file = from.resolve(name);
        if (!Files.isRegularFile(file)) {
            return List.of();
        }
        return Json.file(file).lines().filter(l -> !l.isBlank()).map(l -> l.split("\t")).toList();
    }

    private static Roofline roofline(
            Map<String, @Nullable Object> kernels, List<Map<String, @Nullable Object>> cases) {
        List<Point> points = new ArrayList<>();
        for (Map<String, @Nullable Object> c : cases) {
            points.add(
                    new Point(
                            c.get("kernel") + ", " + c.get("purpose"),
                            String.valueOf(c.get("phase")),
                            number(c, "flops"),
                            number(c, "bytes"),
                            number(c, "microseconds") * 1e-6));
        }
        boolean emulated = Boolean.TRUE.equals(kernels.get("emulated"));
        String device = String.valueOf(kernels.getOrDefault("device", "no device"));
        String title =
                kernels.getOrDefault("model", "no model")
                        + " on "
                        + device
                        + (emulated ? ": times mean nothing" : "");
        return new Roofline(
                title,
                1e9 * number(kernels, "datasheet_gb_per_second"),
                1e12 * number(kernels, "datasheet_tflops"),
                points);
    }

    /// The lines for this device, as they stand in a launch table.
    private static String table(Map<String, @Nullable Object> variants) {
        StringBuilder text = new StringBuilder("# Proposed by scripts/check-gpu for ");
        text.append(variants.get("device"));
        boolean emulated = Boolean.TRUE.equals(variants.get("emulated"));
        text.append(emulated ? ": means nothing, its times do not.\n" : ".\n");
        for (Map<String, @Nullable Object> finding : objects(variants, "findings")) {
            if ("line".equals(finding.get("name"))) {
                text.append(finding.get("text")).append('\n');
            }
        }
        return text.toString();
    }
}
