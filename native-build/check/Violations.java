import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/// Holds measurements against what is allowed: a sentence for each violation, which names kernel,
/// target, value, budget and remedy. Spills, stack frames and warnings are violations always,
/// whatever budgets say: both mean that a kernel waits for memory where its author counts on
/// registers.
final class Violations {
    private static final String ACCEPT =
            "or accept it with make -C native-build budgets and say why in the commit.";

    private final List<String> sentences = new ArrayList<>();

    List<String> sentences() {
        return sentences;
    }

    private void add(String sentence, Object... parts) {
        sentences.add(sentence.formatted(parts));
    }

    /// What holds for every function of a target with every toolkit.
    void sound(Target target, CompilerLog log) {
        log.functions()
                .forEach((name, figures) -> {
                    if (figures.spills() > 0 || figures.stack() > 0) {
                        add(
                                "%s on %s spills %d bytes and has a stack frame of %d,"
                                        + " allowed are 0: use fewer registers at a time,"
                                        + " and index arrays by constants.",
                                name, target.name(), figures.spills(), figures.stack());
                    }
                });
        for (String warning : log.warnings()) {
            add("the compiler warns about %s: \"%s\": correct it.", target.name(), warning);
        }
    }

    /// What the rules say of a kernel on a target.
    void rules(Evidence e, Budgets budgets) {
        boolean launched = budgets.launched(e.kernel(), e.target());
        for (Budgets.Rule rule : budgets.rules()) {
            for (Budgets.Condition condition : rule.conditions()) {
                int value = e.value(condition.name());
                boolean idle = !launched && List.of("blocks", "warps").contains(condition.name());
                if (rule.matches(e.kernel()) && !idle && !condition.holds(value)) {
                    add(
                            "%s on %s has %s %d, the rule for %s demands %s: %s",
                            kernel(e, budgets),
                            e.target().name(),
                            condition.name(),
                            value,
                            rule.pattern(),
                            condition,
                            remedy(condition));
                }
            }
        }
    }

    private static String remedy(Budgets.Condition condition) {
        boolean local = condition.name().matches("(LDL|STL).*");
        return local
                ? "index arrays by constants so that they stay in registers."
                : "change the kernel, or the rule in native-build/check/budgets.txt.";
    }

    /// Registers and blocks against the table.
    void numbers(Evidence e, Budgets budgets) {
        Budgets.Numbers budget = budgets.numbers(e.kernel(), e.target());
        if (budget == null) {
            return;
        }
        if (e.registers() > budget.registers()) {
            add(
                    "%s on %s takes %d registers, budget %d: bring them down, %s",
                    kernel(e, budgets),
                    e.target().name(),
                    e.registers(),
                    budget.registers(),
                    ACCEPT);
        }
        Target.Occupancy occupancy = e.occupancy();
        if (occupancy.blocks() < budget.blocks()) {
            add(
                    "%s on %s runs %d blocks on a multiprocessor, budget %d, limited by"
                            + " %s: free some, %s",
                    kernel(e, budgets),
                    e.target().name(),
                    occupancy.blocks(),
                    budget.blocks(),
                    occupancy.limit(),
                    ACCEPT);
        }
    }

    private static String kernel(Evidence e, Budgets budgets) {
        return (budgets.hot(e.kernel()) ? "hot kernel " : "kernel ") + e.kernel();
    }

    /// Kernels without a row, rows without a kernel, rules for nothing.
    void names(Set<String> kernels, Budgets budgets) {
        Set<String> all = new TreeSet<>(kernels);
        all.removeAll(budgets.kernels());
        for (String kernel : all) {
            add(
                    "kernel %s has no row in the budgets: write it with make -C native-build"
                            + " budgets, and a rule if it needs one.",
                    kernel);
        }
        all = new TreeSet<>(budgets.kernels());
        all.removeAll(kernels);
        for (String kernel : all) {
            add(
                    "kernel %s of the budgets no longer exists: remove its row with make -C"
                            + " native-build budgets.",
                    kernel);
        }
        for (String pattern : budgets.idle(kernels)) {
            add(
                    "no kernel is called %s: correct or remove that line of"
                            + " native-build/check/budgets.txt.",
                    pattern);
        }
    }

    /// The committed document against that of this build, line by line, without the lines of
    /// targets that were not built; of all targets, nothing is left out.
    void committed(String here, String committed, Set<String> built) {
        Map<String, String> expected = figures(here, built);
        Map<String, String> found = figures(committed, built);
        Set<String> keys = new TreeSet<>(expected.keySet());
        keys.addAll(found.keySet());
        for (String key : keys) {
            String now = expected.getOrDefault(key, "nothing");
            String then = found.getOrDefault(key, "nothing");
            if (!now.equals(then)) {
                add(
                        "native-build/check/evidence.json is not of this build: of %s it says %s,"
                                + " measured is %s: write it with make -C native-build budgets.",
                        key, then, now);
                return;
            }
        }
        if (built.size() == Target.ALL.size() && !here.equals(committed)) {
            add(
                    "native-build/check/evidence.json has been edited by hand: write it with make"
                            + " -C native-build budgets.");
        }
    }

    private static Map<String, String> figures(String json, Set<String> built) {
        Map<String, String> figures = new TreeMap<>();
        String kernel = "the build";
        for (String line : json.lines().map(l -> l.strip().replaceFirst(",$", "")).toList()) {
            String[] parts = line.split(":", 2);
            String name = parts[0].replace("\"", "");
            String value = parts.length == 2 ? parts[1].strip() : "";
            if (value.equals("{")) {
                kernel = name;
            } else if (name.matches("\\d+") && built.contains(name)) {
                figures.put(kernel + " on sm_" + name, value);
            } else if (!value.isEmpty() && !name.matches("\\d+|targets")) {
                figures.put(name + " of " + kernel, value);
            }
        }
        return figures;
    }
}
