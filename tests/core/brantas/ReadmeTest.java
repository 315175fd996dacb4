package brantas;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.settings.Machine;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The library example of the README compiles and runs as it stands there.
class ReadmeTest {
    @Test
    void theLibraryExampleRuns(@TempDir Path scratch) throws Exception {
        Path root = Machine.home().orElseThrow();
        String readme = Files.readString(root.resolve("README.md"));
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL).matcher(readme);
        assertThat(block.find()).as("a java block in README.md").isTrue();
        Path source = scratch.resolve("Example.java");
        Files.writeString(
                source,
                "import brantas.*;\nimport java.nio.file.Path;\npublic class Example {\n"
                        + "public static void run(String folder) {\n"
                        + block.group(1)
                        + "}\n}\n");
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        int status =
                ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                errors,
                                errors,
                                "-d",
                                scratch.toString(),
                                "-cp",
                                System.getProperty("java.class.path"),
                                source.toString());
        assertThat(status).as(errors.toString(StandardCharsets.UTF_8)).isZero();
        PrintStream before = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        try (URLClassLoader loader =
                new URLClassLoader(
                        new URL[] {scratch.toUri().toURL()}, ReadmeTest.class.getClassLoader())) {
            System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
            String demo = root.resolve("java").resolve("cli").resolve("demo-model").toString();
            loader.loadClass("Example").getMethod("run", String.class).invoke(null, demo);
        } finally {
            System.setOut(before);
        }
        assertThat(said.toString(StandardCharsets.UTF_8)).contains("tokens)").hasLineCount(2);
    }
}
