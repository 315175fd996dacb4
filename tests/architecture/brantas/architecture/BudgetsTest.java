package brantas.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.LineMap;
import com.sun.source.tree.MethodTree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.TreeScanner;
import com.sun.source.util.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;

/// The size budgets: what is too long to read in one go has two jobs. Exceptions stand in
/// `exceptions.txt` beside this file, one `key reason` a line, and an exception that is no longer
/// needed fails too.
class BudgetsTest {
    private static final int FILE_LINES = 400;
    private static final int METHOD_LINES = 60;
    private static final int PARAMETERS = 6;
    private static final int PACKAGE_TYPES = 20;
    private static final int SCRIPT_LINES = 150;
    private static final int NATIVE_LINES = 500;

    private final Path root = Path.of(System.getProperty("brantas.home"));
    private final List<String> over = new ArrayList<>();

    @Test
    void everythingStaysWithinItsBudget() throws IOException {
        List<Path> sources = javaFiles();
        for (Path file : sources) {
            lines(file, FILE_LINES);
        }
        for (Path file : nativeFiles()) {
            lines(file, NATIVE_LINES);
        }
        methods(sources);
        packages(sources);
        scripts();
        Map<String, String> exceptions = exceptions();
        Set<String> excused = new HashSet<>();
        List<String> unexcused = new ArrayList<>();
        for (String entry : over) {
            String key = entry.substring(0, entry.indexOf(' '));
            if (exceptions.containsKey(key)) {
                excused.add(key);
            } else {
                unexcused.add(entry);
            }
        }
        assertThat(unexcused).as("over budget, and not in exceptions.txt").isEmpty();
        assertThat(exceptions.keySet())
                .as("exceptions that are no longer needed")
                .isEqualTo(excused);
    }

    private List<Path> nativeFiles() throws IOException {
        List<Path> all = new ArrayList<>();
        for (String folder : List.of("cuda-kernels", "native-build", "tests")) {
            try (Stream<Path> files = Files.walk(root.resolve(folder))) {
                files.filter(p -> p.toString().matches(".*\\.(cu|cuh|c|cpp|h|hpp)"))
                        .filter(p -> !p.toString().contains("/target/"))
                        .sorted()
                        .forEach(all::add);
            }
        }
        return all;
    }

    private List<Path> javaFiles() throws IOException {
        try (Stream<Path> java = Files.walk(root.resolve("java"));
                Stream<Path> tests = Files.walk(root.resolve("tests"))) {
            return Stream.concat(java, tests)
                    .filter(p ->
                            p.toString().endsWith(".java") && !p.toString().contains("/target/"))
                    .sorted()
                    .toList();
        }
    }

    private void lines(Path file, int budget) throws IOException {
        try (Stream<String> lines = Files.lines(file)) {
            long n = lines.count();
            if (n > budget) {
                over.add(root.relativize(file) + " has " + n + " lines, budget " + budget);
            }
        }
    }

    private void packages(List<Path> sources) {
        Map<Path, Integer> types = new TreeMap<>();
        for (Path file : sources) {
            if (file.startsWith(root.resolve("java")) && !file.endsWith("package-info.java")) {
                types.merge(root.relativize(file.getParent()), 1, Integer::sum);
            }
        }
        types.forEach((folder, n) -> {
            if (n > PACKAGE_TYPES) {
                over.add(folder + " has " + n + " types, budget " + PACKAGE_TYPES);
            }
        });
    }

    private void scripts() throws IOException {
        try (Stream<Path> all = Files.list(root.resolve("scripts"))) {
            for (Path script : all.filter(Files::isRegularFile).toList()) {
                lines(script, SCRIPT_LINES);
            }
        }
    }

    private void methods(List<Path> sources) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            JavacTask task =
                    (JavacTask)
                            compiler.getTask(
                                    null,
                                    files,
                                    d -> {},
                                    null,
                                    null,
                                    files.getJavaFileObjectsFromPaths(sources));
            SourcePositions positions = Trees.instance(task).getSourcePositions();
            for (CompilationUnitTree unit : task.parse()) {
                new Methods(unit, positions).scan(unit, null);
            }
        }
    }

    private final class Methods extends TreeScanner<Void, String> {
        private final CompilationUnitTree unit;
        private final SourcePositions positions;

        Methods(CompilationUnitTree unit, SourcePositions positions) {
            this.unit = unit;
            this.positions = positions;
        }

        @Override
        public Void visitClass(ClassTree type, String outer) {
            return super.visitClass(type, type.getSimpleName().toString());
        }

        @Override
        public Void visitMethod(MethodTree method, String type) {
            LineMap map = unit.getLineMap();
            long first = positions.getStartPosition(unit, method);
            long last = positions.getEndPosition(unit, method);
            if (first >= 0 && last >= 0) {
                Path file = root.relativize(Path.of(unit.getSourceFile().toUri()));
                String key = file + ":" + method.getName();
                long lines = map.getLineNumber(last) - map.getLineNumber(first) + 1;
                if (lines > METHOD_LINES) {
                    over.add(key + " has " + lines + " lines, budget " + METHOD_LINES);
                }
                boolean constructor = method.getReturnType() == null;
                if (method.getParameters().size() > PARAMETERS && !constructor) {
                    over.add(
                            key
                                    + " has "
                                    + method.getParameters().size()
                                    + " parameters, budget "
                                    + PARAMETERS);
                }
            }
            return super.visitMethod(method, type);
        }
    }

    private Map<String, String> exceptions() throws IOException {
        Map<String, String> all = new TreeMap<>();
        for (String line : Files.readAllLines(root.resolve("tests/architecture/exceptions.txt"))) {
            if (!line.isBlank() && !line.startsWith("#")) {
                String[] parts = line.split("\\s+", 2);
                assertThat(parts).as("a key and a reason: " + line).hasSize(2);
                all.put(parts[0], parts[1]);
            }
        }
        return all;
    }
}
