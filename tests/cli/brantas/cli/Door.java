package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A run of the command line inside the test: arguments and standard input go in, status and both
/// outputs come out. Knows where golden data and the demo model are.
record Door(int status, String out, String err) {
    static Door run(String... args) {
        return feed("", args);
    }

    static Door feed(String input, String... args) {
        return feed(input.getBytes(StandardCharsets.UTF_8), args);
    }

    static Door feed(byte[] input, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int status =
                Main.run(
                        args,
                        new ByteArrayInputStream(input),
                        Streams.utf8(out),
                        Streams.utf8(err));
        return new Door(
                status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    /// Asserts that all went well and nothing was said about it.
    Door fine() {
        assertThat(status).as(err).isZero();
        return this;
    }

    /// Asserts a refusal: status 2, nothing on standard output, one line that begins with the name
    /// of the program and holds all of these.
    void refused(String... parts) {
        assertThat(status).as(err).isEqualTo(Main.WRONG);
        assertThat(out).isEmpty();
        assertThat(err).startsWith("brantas: ").endsWith("\n").contains(parts);
        assertThat(err.strip().lines()).as(err).hasSize(1);
    }

    /// Standard output as JSON objects.
    List<Map<String, @Nullable Object>> objects() {
        return out.lines().map(Door::object).toList();
    }

    static Map<String, @Nullable Object> object(String json) {
        return Json.object("a line", Json.read("a line", json));
    }

    static List<Map<String, @Nullable Object>> cases(Path file) {
        return Json.objects(file.toString(), Json.read(file.toString(), Json.file(file)));
    }

    static Path golden(String path) {
        return Path.of(System.getProperty("brantas.golden"), path);
    }

    static Path demo() {
        return ModelOptions.demo().orElseThrow();
    }

    static Path write(Path folder, String name, String text) {
        try {
            return Files.writeString(folder.resolve(name), text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
