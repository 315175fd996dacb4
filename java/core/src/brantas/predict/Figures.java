package brantas.predict;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// The figures of `figures.txt`, each with its source: general ones, those of GPUs, those of
/// kernels. The file says what they mean; this only reads it.
final class Figures {
    private static final String FILE = "figures.txt";

    /// One line of the file.
    ///
    /// @param source where the value comes from, in words
    record Figure(double value, String source) {}

    /// The lines below one heading.
    ///
    /// @param name after the kind, in the heading
    /// @param title the heading's other words
    record Section(String kind, String name, String title, Map<String, Figure> figures) {
        double value(String key) {
            Figure figure = figures.get(key);
            if (figure == null) {
                throw new IllegalStateException(FILE + " has no " + key + " for " + kind + name);
            }
            return figure.value();
        }

        /// Every line as one text.
        List<String> lines() {
            List<String> all = new ArrayList<>();
            figures.forEach((key, figure) ->
                    all.add("%s %s: %s".formatted(key, plain(figure.value()), figure.source())));
            return all;
        }

        private static String plain(double value) {
            return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
        }
    }

    private final List<Section> sections = new ArrayList<>();

    private Figures() {}

    static Figures load() {
        Figures all = new Figures();
        for (String line : resource(FILE)) {
            if (line.startsWith("[")) {
                String[] words = line.substring(1, line.length() - 1).split(" ", 3);
                all.sections.add(
                        new Section(
                                words[0],
                                words.length > 1 ? words[1] : "",
                                words.length > 2 ? words[2] : "",
                                new LinkedHashMap<>()));
            } else {
                String[] words = line.split("\\s+", 3);
                Figure figure = new Figure(Double.parseDouble(words[1]), words[2]);
                all.sections.getLast().figures().put(words[0], figure);
            }
        }
        return all;
    }

    /// Lines of a resource beside this class, without comments and empty ones.
    static List<String> resource(String name) {
        try (InputStream in = Figures.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is missing in this build");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .map(String::strip)
                    .filter(line -> !line.isEmpty() && !line.startsWith("#"))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// What holds for all devices.
    Section general() {
        return kind("general").getFirst();
    }

    /// The short names of the GPUs there are figures of.
    List<String> gpus() {
        return kind("gpu").stream().map(Section::name).toList();
    }

    /// A GPU by its short name, however it is spelled: `RTX 4090`, `rtx-4090` and `4090` are one.
    Gpu gpu(String name) {
        String wanted =
                name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "").replaceFirst("^rtx", "");
        return kind("gpu").stream()
                .filter(section -> section.name().equals(wanted))
                .findFirst()
                .map(Gpu::of)
                .orElseThrow(() ->
                        new BrantasException(
                                "There are no figures of a GPU named '"
                                        + name
                                        + "': choose one of "
                                        + String.join(", ", gpus())
                                        + "."));
    }

    /// What is known of a kernel, from all sections whose name its own begins with.
    KernelForm kernel(String name) {
        Map<String, Figure> all = new LinkedHashMap<>();
        kind("kernel").stream()
                .filter(section -> section.name().equals("*") || name.startsWith(section.name()))
                .sorted(Comparator.comparingInt(Figures::specific))
                .forEach(section -> all.putAll(section.figures()));
        return KernelForm.of(new Section("kernel", name, "", all));
    }

    private static int specific(Section section) {
        return section.name().equals("*") ? 0 : section.name().length();
    }

    private List<Section> kind(String kind) {
        return sections.stream().filter(section -> section.kind().equals(kind)).toList();
    }
}
