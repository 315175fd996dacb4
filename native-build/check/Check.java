import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Static evidence for the kernels, on machines without a device: reads the cubins and the logs of
/// ptxas, counts what the machine code consists of, computes how many blocks a multiprocessor
/// holds, and holds it all against the committed budgets. Writes evidence.txt and evidence.json
/// beside the cubins. Without `--evidence` only spills, stack frames and warnings are violations;
/// with `--update` the table of the budgets and the committed document are written anew first. It
/// has no dependencies: the Makefile calls `java native-build/check/Check.java`.
public final class Check {
    private static final String USAGE =
            "usage: java Check.java --native FOLDER --budgets FILE [--evidence FILE [--update]]"
                    + " ARCH...; FOLDER holds sm_ARCH.cubin, its log, manifest.txt and toolkit.txt";
    private static final Pattern RELEASE = Pattern.compile("\\bV(\\d+(?:\\.\\d+)+)");

    private final Path folder;
    private final List<Target> targets;
    private final Launches launches;
    private final boolean comparing;
    private final Violations violations = new Violations();
    private final List<Evidence> measured = new ArrayList<>();

    private Check(Path folder, List<Target> targets, boolean comparing) throws IOException {
        this.folder = folder;
        this.comparing = comparing;
        this.targets = targets;
        launches = new Launches(folder.resolve("manifest.txt"));
    }

    private void measure(Budgets budgets) throws IOException {
        for (Target target : targets) {
            Map<String, Cubin.Code> cubin = Cubin.read(folder.resolve(target.name() + ".cubin"));
            CompilerLog log = new CompilerLog(folder.resolve(target.name() + ".cubin.log"));
            if (!cubin.containsKey(launches.marker())) {
                throw new Refused(
                        "%s.cubin does not belong to manifest.txt: run make -C native-build.",
                        target.name());
            }
            violations.sound(target, log);
            for (String kernel : launches.kernels().keySet()) {
                Cubin.Code code = cubin.get(kernel);
                CompilerLog.Figures figures = log.functions().get(kernel);
                if (code == null || figures == null || figures.registers() != code.registers()) {
                    throw new Refused(
                            "%s.cubin and its log do not agree about %s: remove both and run make"
                                    + " -C native-build.",
                            target.name(), kernel);
                }
                Launches.Launch launch = launch(kernel, budgets);
                measured.add(
                        new Evidence(
                                kernel,
                                target,
                                launch.block(),
                                launch.shared(),
                                figures,
                                code.registers(),
                                Opcodes.instructions(code),
                                Opcodes.count(code, target.sm())));
            }
        }
    }

    private Launches.Launch launch(String kernel, Budgets budgets) {
        Launches.Launch launch = launches.kernels().get(kernel);
        Launches.Launch stated = budgets.launch(kernel);
        if (comparing && launch.variable() != (stated != null)) {
            throw new Refused(
                    launch.variable()
                            ? "the manifest leaves the launch of %s open: add a launch line to"
                                    + " native-build/check/budgets.txt."
                            : "the manifest says how %s is launched: remove its launch line from"
                                    + " native-build/check/budgets.txt.",
                    kernel);
        }
        return stated == null ? launch : stated;
    }

    private String toolkit() throws IOException {
        Path file = folder.resolve("toolkit.txt");
        Matcher release = RELEASE.matcher(Files.exists(file) ? Files.readString(file) : "");
        if (!release.find()) {
            throw new Refused("%s does not name the release of nvcc: run make again.", file);
        }
        return release.group(1);
    }

    private Report report(Budgets budgets) throws IOException {
        Set<String> hot =
                launches.kernels().keySet().stream()
                        .filter(budgets::hot)
                        .collect(Collectors.toSet());
        Report report = new Report(measured, toolkit(), hot);
        Files.writeString(folder.resolve("evidence.txt"), report.full());
        Files.writeString(folder.resolve("evidence.json"), report.json());
        return report;
    }

    /// Rules hold with every toolkit; registers, blocks and the document belong to one release.
    private void compare(Budgets budgets, Report report, Path committed, PrintStream out)
            throws IOException {
        violations.names(launches.kernels().keySet(), budgets);
        measured.forEach(e -> violations.rules(e, budgets));
        if (!budgets.toolkit().equals(toolkit())) {
            out.printf(
                    "skipped: registers, blocks and evidence.json, which are of toolkit %s (this is"
                            + " %s)%n",
                    budgets.toolkit(), toolkit());
            return;
        }
        measured.forEach(e -> violations.numbers(e, budgets));
        Set<String> built = new TreeSet<>();
        targets.forEach(t -> built.add(String.valueOf(t.sm())));
        String then = Files.exists(committed) ? Files.readString(committed) : "";
        violations.committed(report.json(), then, built);
    }

    private void update(Path budgets, Path evidence) throws IOException {
        if (!Set.copyOf(targets).equals(Set.copyOf(Target.ALL))) {
            throw new Refused(
                    "the budgets are of all targets, and %s alone were built: leave ARCHS out, with"
                            + " a toolkit that knows them all.",
                    targets.stream().map(Target::name).collect(Collectors.joining(", ")));
        }
        Files.writeString(budgets, new Budgets(budgets).updated(measured, toolkit()));
        Files.writeString(evidence, report(new Budgets(budgets)).json());
    }

    private int verdict(Report report, PrintStream out, PrintStream err) {
        out.print(report.table());
        violations.sentences().forEach(s -> err.println("brantas: " + s));
        if (violations.sentences().isEmpty()) {
            out.printf(
                    "No kernel spills registers or needs a stack frame; %s says more.%n",
                    folder.resolve("evidence.txt"));
            return 0;
        }
        return 1;
    }

    private static int check(Map<String, String> options, List<Target> targets, PrintStream[] to)
            throws IOException {
        boolean comparing = options.containsKey("--evidence");
        Check check = new Check(Path.of(options.get("--native")), targets, comparing);
        Path file = Path.of(options.get("--budgets"));
        check.measure(new Budgets(file));
        if (!comparing) {
            return check.verdict(check.report(new Budgets(file)), to[0], to[1]);
        }
        Path committed = Path.of(options.get("--evidence"));
        if (options.containsKey("--update")) {
            check.update(file, committed);
        }
        Budgets budgets = new Budgets(file);
        Report report = check.report(budgets);
        check.compare(budgets, report, committed, to[0]);
        return check.verdict(report, to[0], to[1]);
    }

    private static Map<String, String> options(String[] words, List<Target> targets) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < words.length; i++) {
            if (words[i].matches("\\d+")) {
                targets.add(Target.of(words[i]));
            } else if (words[i].equals("--update")) {
                options.put(words[i], "");
            } else if (Set.of("--native", "--budgets", "--evidence").contains(words[i])
                    && i + 1 < words.length) {
                options.put(words[i], words[++i]);
            } else {
                return Map.of();
            }
        }
        Set<String> given = options.keySet();
        boolean whole = given.containsAll(Set.of("--native", "--budgets")) && !targets.isEmpty();
        boolean update = given.contains("--update") && !given.contains("--evidence");
        return whole && !update ? options : Map.of();
    }

    /// The command without the end of the process, for tests: its exit status.
    static int run(String[] words, PrintStream out, PrintStream err) throws IOException {
        try {
            List<Target> targets = new ArrayList<>();
            Map<String, String> options = options(words, targets);
            if (options.isEmpty()) {
                err.println(USAGE);
                return 2;
            }
            return check(options, targets, new PrintStream[] {out, err});
        } catch (Refused e) {
            err.println("brantas: " + e.getMessage());
            return 1;
        }
    }

    public static void main(String[] words) throws IOException {
        int status = run(words, System.out, System.err);
        System.exit(status);
    }
}
