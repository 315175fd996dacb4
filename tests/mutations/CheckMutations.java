import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Plants bugs into copies of the project and runs the test that should catch each: what
/// `scripts/check-mutations` starts, with the project's folder, a number of copies and names. A bug
/// counts as caught only if a test case failed; one that does not compile, whose text is not there
/// exactly once or whose test broke off without naming a case is an error of the suite.
final class CheckMutations {
    /// @param result null if there was none
    /// @param problem why there was none
    record Outcome(Mutation mutation, ProjectCopy.Result result, String problem, double seconds) {
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
            ProjectCopy.delete(check.work);
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
        ProjectCopy copy = null;
        for (List<Mutation> group = groups.poll(); group != null; group = groups.poll()) {
            try {
                copy = copy == null ? new ProjectCopy(root, folder) : copy;
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

    private void group(ProjectCopy copy, List<Mutation> group)
            throws IOException, InterruptedException {
        for (String test : tests(group)) {
            ProjectCopy.Result result = copy.test(test);
            if (!result.failed().isEmpty()) {
                throw new SuiteError(
                        test
                                + " fails without any bug: "
                                + result.failed()
                                + ": "
                                + result.reason());
            }
        }
        for (Mutation m : group) {
            long begun = System.nanoTime();
            ProjectCopy.Result result = null;
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
        ProjectCopy.Result result = outcome.result();
        System.out.printf(
                "%s %s (%.0f s)%n",
                outcome.caught() ? "caught  " : result == null ? "ERROR   " : "SURVIVED",
                outcome.mutation().name(),
                outcome.seconds());
        String said = result == null ? outcome.problem() : result.reason();
        System.out.println(
                "         " + (said.length() > 220 ? said.substring(0, 220) + "…" : said));
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
            String by =
                    o.caught() ? o.result().failed() : o.result() == null ? "ERROR" : "SURVIVED";
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
}
