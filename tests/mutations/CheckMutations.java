import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Plants bugs into copies of the project and runs the test that should catch each: what
/// `scripts/check-mutations` starts, with the project's folder, a number of copies and names. A bug
/// counts as caught only if a test case failed; one that does not compile, whose text is not there
/// exactly once or whose test broke off without naming a case is an error of the suite.
final class CheckMutations {
    private static final int MINUTES = 10; // for one build and run

    /// A planted bug, from `tests/mutations/NAME.txt`.
    ///
    /// @param test `kernels NAME PART…`, or `maven MODULE CLASS`
    record Mutation(String name, String file, String bug, String test, String find, String replace) {
        private static final Pattern FORM =
                Pattern.compile(
                        "bug: (.+)\nfile: (.+)\ntest: (.+)\n--- find\n(.+)\n--- replace\n(.*)\n",
                        Pattern.DOTALL);

        static Mutation read(Path path) throws IOException {
            String name = path.getFileName().toString().replaceFirst("\\.txt$", "");
            Matcher m = FORM.matcher(Files.readString(path));
            if (!m.matches() || (m.group(1) + m.group(2) + m.group(3)).contains("\n")) {
                throw new SuiteError(
                        path + " is not of the form that tests/mutations/README.md describes");
            }
            String test = m.group(3);
            if (!test.matches("kernels \\w+( \\w+)*|maven \\S+ [\\w#]+")) {
                throw new SuiteError(path + ": \"" + test + "\" names no test");
            }
            return new Mutation(name, m.group(2), m.group(1), test, m.group(4), m.group(5));
        }

        String[] words() {
            return test.split(" ");
        }

        /// Mutations of one group run in one copy, one after the other, behind their tests unplanted.
        String group() {
            return words()[0].equals("maven") ? "maven" : words()[0] + " " + words()[1];
        }

        /// The file of the project in this folder with the bug in it.
        String planted(Path project) throws IOException {
            if (!Files.isRegularFile(project.resolve(file))) {
                throw new SuiteError(name + ": there is no " + file);
            }
            String text = Files.readString(project.resolve(file));
            int at = text.indexOf(find);
            if (at < 0 || text.indexOf(find, at + 1) >= 0) {
                throw new SuiteError(
                        String.format(
                                "%s: its text is %s in %s: bring tests/mutations/%s.txt up to date",
                                name, at < 0 ? "not" : "more than once", file, name));
            }
            return text.substring(0, at) + replace + text.substring(at + find.length());
        }
    }

    /// Something is wrong with the suite, not with what it tests.
    static final class SuiteError extends RuntimeException {
        SuiteError(String message) {
            super(message);
        }
    }

    /// How a test ended.
    ///
    /// @param failed the first case that failed, or "" if all passed
    /// @param reason what it said
    record Result(String failed, String reason) {}

    /// @param result null if there was none
    /// @param problem why there was none
    record Outcome(Mutation mutation, Result result, String problem, double seconds) {
        boolean caught() {
            return result != null && !result.failed().isEmpty();
        }
    }

    private final Path root;
    private final Path work;
    private final Queue<List<Mutation>> groups = new ConcurrentLinkedQueue<>();
    private final List<Outcome> outcomes = Collections.synchronizedList(new ArrayList<>());

    private CheckMutations(Path root) throws IOException {
        this.root = root;
        work = Files.createTempDirectory("brantas-mutations");
    }

    public static void main(String[] arguments) throws Exception {
        Path root = Path.of(arguments[0]);
        List<String> names = new ArrayList<>(List.of(arguments).subList(2, arguments.length));
        boolean list = names.remove("--list");
        boolean keep = names.remove("--keep");
        List<Mutation> mutations;
        try {
            mutations = read(root, names);
        } catch (SuiteError e) {
            System.err.println("brantas: " + e.getMessage() + ".");
            System.exit(2);
            return;
        }
        if (list) {
            mutations.forEach(m -> System.out.printf("%-34s %s%n", m.name(), m.bug()));
            return;
        }
        if (!upToDate(root, mutations)) {
            System.exit(1);
        }
        long begun = System.nanoTime();
        CheckMutations check = new CheckMutations(root);
        check.run(mutations, Integer.parseInt(arguments[1]));
        boolean good = check.print((System.nanoTime() - begun) * 1e-9);
        if (keep) {
            System.out.println("The copies are in " + check.work);
        } else {
            delete(check.work);
        }
        System.exit(good ? 0 : 1);
    }

    private static List<Mutation> read(Path root, List<String> names) throws IOException {
        List<Mutation> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(root.resolve("tests/mutations"))) {
            for (Path file : files.filter(f -> f.toString().endsWith(".txt")).sorted().toList()) {
                all.add(Mutation.read(file));
            }
        }
        for (String name : names) {
            if (all.stream().noneMatch(m -> m.name().contains(name))) {
                throw new SuiteError("no mutation has " + name + " in its name, see --list");
            }
        }
        all.removeIf(m -> !names.isEmpty() && names.stream().noneMatch(m.name()::contains));
        return all;
    }

    /// Whether every mutation finds its place; complains about each that does not.
    private static boolean upToDate(Path root, List<Mutation> mutations) throws IOException {
        boolean all = true;
        for (Mutation m : mutations) {
            try {
                m.planted(root);
            } catch (SuiteError e) {
                System.err.println("brantas: " + e.getMessage() + ".");
                all = false;
            }
        }
        return all;
    }

    private void run(List<Mutation> mutations, int jobs) throws InterruptedException {
        Map<String, List<Mutation>> byTest = new LinkedHashMap<>();
        for (Mutation m : mutations) {
            byTest.computeIfAbsent(m.group(), group -> new ArrayList<>()).add(m);
        }
        byTest.values().stream()
                .sorted(Comparator.comparing((List<Mutation> group) -> -group.size()))
                .forEach(groups::add);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < Math.min(jobs, byTest.size()); i++) {
            Path folder = work.resolve("copy-" + i);
            threads.add(Thread.ofPlatform().start(() -> work(folder)));
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private void work(Path folder) {
        Copy copy = null;
        for (List<Mutation> group = groups.poll(); group != null; group = groups.poll()) {
            try {
                copy = copy == null ? new Copy(root, folder) : copy;
                group(copy, group);
            } catch (IOException | InterruptedException | SuiteError e) {
                String problem = e instanceof SuiteError ? e.getMessage() : e.toString();
                List<Mutation> rest = new ArrayList<>(group);
                synchronized (outcomes) {
                    outcomes.forEach(o -> rest.remove(o.mutation()));
                }
                rest.forEach(m -> add(new Outcome(m, null, problem, 0)));
            }
        }
    }

    private void group(Copy copy, List<Mutation> group) throws IOException, InterruptedException {
        for (String test : tests(group)) {
            Result result = copy.test(test);
            if (!result.failed().isEmpty()) {
                throw new SuiteError(
                        test + " fails without any bug: " + result.failed() + ": " + result.reason());
            }
        }
        for (Mutation m : group) {
            long begun = System.nanoTime();
            Result result = null;
            String problem = "";
            try {
                result = copy.testWith(m);
            } catch (SuiteError e) {
                problem = e.getMessage();
            }
            add(new Outcome(m, result, problem, (System.nanoTime() - begun) * 1e-9));
        }
    }

    /// The tests of a group; cases of one kernel test are run together.
    private static List<String> tests(List<Mutation> group) {
        if (group.getFirst().words()[0].equals("maven")) {
            return group.stream().map(Mutation::test).distinct().toList();
        }
        String cases =
                group.stream()
                        .flatMap(m -> Stream.of(m.words()).skip(2))
                        .distinct()
                        .collect(Collectors.joining(" "));
        boolean all = group.stream().anyMatch(m -> m.words().length == 2);
        return List.of(all ? group.getFirst().group() : group.getFirst().group() + " " + cases);
    }

    private void add(Outcome outcome) {
        outcomes.add(outcome);
        Result result = outcome.result();
        System.out.printf(
                "%s %s (%.0f s)%n",
                outcome.caught() ? "caught  " : result == null ? "ERROR   " : "SURVIVED",
                outcome.mutation().name(),
                outcome.seconds());
        String said = result == null ? outcome.problem() : result.reason();
        System.out.println("         " + (said.length() > 220 ? said.substring(0, 220) + "…" : said));
    }

    /// Prints what became of each; survivors come first. Whether all were caught.
    private boolean print(double seconds) {
        List<Outcome> sorted = new ArrayList<>(outcomes);
        sorted.sort(
                Comparator.comparing((Outcome o) -> o.caught() ? 2 : o.result() == null ? 1 : 0)
                        .thenComparing(o -> o.mutation().name()));
        System.out.printf("%n%-34s %-58s %5s  %s%n", "mutation", "caught by", "s", "bug");
        long caught = 0;
        for (Outcome o : sorted) {
            String by = o.caught() ? o.result().failed() : o.result() == null ? "ERROR" : "SURVIVED";
            String words = o.mutation().words()[1];
            System.out.printf(
                    "%-34s %-58s %5.0f  %s%n",
                    o.mutation().name(),
                    by.startsWith(words) || !o.caught() ? by : words + ": " + by,
                    o.seconds(),
                    o.result() == null ? o.problem() : o.mutation().bug());
            caught += o.caught() ? 1 : 0;
        }
        System.out.printf("%d of %d caught in %.0f s%n", caught, sorted.size(), seconds);
        return caught == sorted.size() && caught > 0;
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    /// A copy of the project's tracked files, with what was built in `target` already.
    private static final class Copy {
        private static final Pattern FAILED = Pattern.compile("(?m)^FAILED (\\w+) .*\n +(.*)$");
        private static final Pattern CASE =
                Pattern.compile(
                        "<testcase name=\"([^\"]*)\" classname=\"([^\"]*)\"[^>]*>\\s*"
                                + "<(?:failure|error)(?: message=\"([^\"]*)\")?");

        private final Path root;
        private final Path folder;
        private int logs;

        Copy(Path root, Path folder) throws IOException, InterruptedException {
            this.root = root;
            this.folder = folder;
            Files.createDirectories(folder);
            Run tracked = run(root, List.of("git", "ls-files", "-z"));
            for (String name : tracked.output().split("\0")) {
                copy(name);
            }
            for (String built : List.of("target/kernels/checked", "target/emulator")) {
                if (!Files.isDirectory(root.resolve(built))) {
                    continue;
                }
                try (Stream<Path> files = Files.walk(root.resolve(built))) {
                    for (Path file : files.filter(Files::isRegularFile).toList()) {
                        copy(root.relativize(file).toString());
                    }
                }
            }
        }

        /// With its time, so that make knows what is up to date; the dependencies that the compiler
        /// wrote name the project's folder.
        private void copy(String name) throws IOException {
            Path from = root.resolve(name);
            Path to = folder.resolve(name);
            if (!Files.isRegularFile(from)) {
                return;
            }
            Files.createDirectories(to.getParent());
            Files.copy(from, to, StandardCopyOption.COPY_ATTRIBUTES);
            if (name.endsWith(".d")) {
                FileTime time = Files.getLastModifiedTime(from);
                Files.writeString(to, Files.readString(to).replace(root + "/", folder + "/"));
                Files.setLastModifiedTime(to, time);
            }
        }

        Result testWith(Mutation m) throws IOException, InterruptedException {
            Path file = folder.resolve(m.file());
            String text = Files.readString(file);
            FileTime time = Files.getLastModifiedTime(file);
            Files.writeString(file, m.planted(folder));
            try {
                return test(m.test());
            } finally {
                Files.writeString(file, text);
                boolean kernels = m.words()[0].equals("kernels");
                // Its own time keeps other kernel tests as they are; Maven compiles what is new.
                Files.setLastModifiedTime(file, kernels ? time : FileTime.from(Instant.now()));
                if (kernels) {
                    Path built = folder.resolve("target/kernels/checked");
                    Files.deleteIfExists(built.resolve(m.words()[1] + "_test.o"));
                    Files.deleteIfExists(built.resolve(m.words()[1] + "_test"));
                }
            }
        }

        Result test(String test) throws IOException, InterruptedException {
            String[] words = test.split(" ");
            return words[0].equals("maven") ? maven(words[1], words[2]) : kernels(words);
        }

        private Result kernels(String[] words) throws IOException, InterruptedException {
            String cases = String.join(" ", List.of(words).subList(2, words.length));
            List<String> command =
                    List.of(
                            "make",
                            "--no-print-directory",
                            "-C",
                            "tests/kernels",
                            "run-" + words[1],
                            "ARGS=" + cases);
            Run run = run(folder, command);
            Matcher m = FAILED.matcher(run.output());
            return run.status() == 0
                    ? new Result("", "")
                    : m.find() ? new Result(m.group(1), m.group(2)) : brokeOff(run);
        }

        private Result maven(String module, String test) throws IOException, InterruptedException {
            Path reports = folder.resolve(module).resolve("target/surefire-reports");
            if (Files.isDirectory(reports)) {
                delete(reports);
            }
            List<String> command = new ArrayList<>(List.of("mvn", "-o", "-q", "-B", "-pl", module));
            command.addAll(List.of("-am", "-Dtest=" + test, "test"));
            command.add("-Dsurefire.failIfNoSpecifiedTests=false");
            command.add("-Dbrantas.excluded.tests=none");
            Run run = run(folder, command);
            if (run.status() == 0) {
                return new Result("", "");
            }
            if (Files.isDirectory(reports)) {
                try (Stream<Path> files = Files.list(reports)) {
                    for (Path file : files.filter(f -> f.toString().endsWith(".xml")).toList()) {
                        Matcher m = CASE.matcher(Files.readString(file));
                        if (m.find()) {
                            String said = m.group(3) == null ? "" : m.group(3);
                            return new Result(
                                    test.replaceFirst("#.*", "") + "." + m.group(1),
                                    said.replaceAll("(&#10;|\\s)+", " ").strip());
                        }
                    }
                }
            }
            return brokeOff(run);
        }

        private static Result brokeOff(Run run) {
            String[] lines = run.output().split("\n");
            String error =
                    Stream.of(lines)
                            .filter(line -> line.matches("(?i).*\\berror\\b.*"))
                            .findFirst()
                            .orElse(lines[lines.length - 1]);
            throw new SuiteError("no test case failed, but: " + error.strip());
        }

        /// @param output of both kinds
        private record Run(int status, String output) {}

        private Run run(Path in, List<String> command) throws IOException, InterruptedException {
            Path log = folder.resolveSibling(folder.getFileName() + "-" + logs++ + ".log");
            Process process =
                    new ProcessBuilder(command)
                            .directory(in.toFile())
                            .redirectErrorStream(true)
                            .redirectOutput(log.toFile())
                            .start();
            process.getOutputStream().close();
            if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
                throw new SuiteError("it was not done after " + MINUTES + " minutes");
            }
            return new Run(process.exitValue(), Files.readString(log));
        }
    }
}
