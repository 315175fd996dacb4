package brantas.cuda.launch;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.ToolProvider;

/// The program of native-build/check, which belongs to no module: compiled for the tests, and run
/// in their process as the Makefile runs it in its own.
final class CheckCommand {
    private static final Path SOURCES =
            Path.of(System.getProperty("brantas.home"), "native-build/check");

    private final ClassLoader loader;

    /// What a run said and how it ended.
    record Outcome(int status, String out, String err) {}

    CheckCommand(Path classes) throws IOException {
        try (Stream<Path> files = Files.list(SOURCES)) {
            String[] arguments =
                    Stream.concat(
                                    Stream.of("-d", classes.toString()),
                                    files.map(Path::toString).filter(f -> f.endsWith(".java")))
                            .toArray(String[]::new);
            if (ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments) != 0) {
                throw new IOException(SOURCES + " does not compile");
            }
        }
        loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, null);
    }

    Outcome run(List<String> words) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Method run =
                loader.loadClass("Check")
                        .getDeclaredMethod(
                                "run", String[].class, PrintStream.class, PrintStream.class);
        run.setAccessible(true);
        Object status =
                run.invoke(
                        null,
                        words.toArray(String[]::new),
                        new PrintStream(out, true, StandardCharsets.UTF_8),
                        new PrintStream(err, true, StandardCharsets.UTF_8));
        return new Outcome(
                (int) status,
                out.toString(StandardCharsets.UTF_8),
                err.toString(StandardCharsets.UTF_8));
    }

    /// Reads a file of budgets; what is wrong with it is thrown.
    void readBudgets(Path file) throws Exception {
        Constructor<?> read = loader.loadClass("Budgets").getDeclaredConstructor(Path.class);
        read.setAccessible(true);
        try {
            read.newInstance(file);
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }

    /// Blocks on a multiprocessor, warps, and what limits them.
    String occupancy(String sm, int registers, int block, int shared) throws Exception {
        Class<?> type = loader.loadClass("Target");
        Method of = type.getDeclaredMethod("of", String.class);
        of.setAccessible(true);
        Method ask = type.getDeclaredMethod("occupancy", int.class, int.class, int.class);
        ask.setAccessible(true);
        return ask.invoke(of.invoke(null, sm), registers, block, shared).toString();
    }
}
