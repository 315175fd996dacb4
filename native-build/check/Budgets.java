import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The committed budgets. The upper part is written by hand: rules for kernels whose names match a
/// pattern, the targets of kernels that are not for all, and the launch of those whose manifest
/// says `variable`. The lower part, from the line `toolkit` on, is a table of registers and blocks
/// for each kernel and target that `--update` writes from what was measured. The head of
/// budgets.txt shows the form; a line that does not have it is refused with its number.
final class Budgets {
    private static final Set<String> VALUES =
            Set.of("registers", "instructions", "barriers", "blocks", "warps");
    private static final Pattern RULE = Pattern.compile("rule ([a-z0-9_*]+)((?: \\S+)+)");
    private static final Pattern CONDITION = Pattern.compile("([A-Za-z0-9.]+)(<=|>=|=)(\\d{1,9})");
    private static final Pattern ONLY = Pattern.compile("only ([a-z0-9_*]+)((?: \\d{2,3})+)");
    private static final Pattern LAUNCH =
            Pattern.compile("launch ([a-z0-9_*]+) block (\\d{1,4}) shared (\\d{1,6}) \\(.+\\)");
    private static final Pattern TOOLKIT =
            Pattern.compile("toolkit (\\S+) targets((?: \\d{2,3})+)");
    private static final Pattern ROW = Pattern.compile("([a-z]\\w*)((?: \\d{1,3}/\\d{1,2})+)");

    /// @param name an opcode, or one of [#VALUES]
    /// @param relation `<=`, `>=` or `=`
    record Condition(String name, String relation, int bound) {
        boolean holds(int value) {
            return switch (relation) {
                case "<=" -> value <= bound;
                case ">=" -> value >= bound;
                default -> value == bound;
            };
        }

        @Override
        public String toString() {
            return name + relation + bound;
        }
    }

    /// @param pattern a name in which `*` stands for anything
    record Rule(String pattern, boolean hot, List<Condition> conditions) {
        boolean matches(String kernel) {
            return Budgets.matches(pattern, kernel);
        }
    }

    /// A cell of the table.
    record Numbers(int registers, int blocks) {}

    private final Path file;
    private final List<String> lines;
    private final List<Rule> rules = new ArrayList<>();
    private final Map<String, Set<String>> only = new TreeMap<>();
    private final Map<String, Launches.Launch> launches = new TreeMap<>();
    private final Map<String, Map<String, Numbers>> table = new TreeMap<>();
    private final List<String> targets = new ArrayList<>();
    private String toolkit = "";
    private int head;

    Budgets(Path file) throws IOException {
        this.file = file;
        if (!Files.exists(file)) {
            throw new Refused("there is no %s: it is committed, restore it.", file);
        }
        lines = Files.readAllLines(file);
        head = lines.size();
        for (int n = 0; n < lines.size(); n++) {
            String line = lines.get(n).strip().replaceAll(" +", " ");
            if (!line.isEmpty() && !line.startsWith("#")) {
                line(line, n);
            }
        }
    }

    private static boolean matches(String pattern, String kernel) {
        return kernel.matches(pattern.replace("*", ".*"));
    }

    private Refused bad(int n, String sentence) {
        return new Refused("%s:%d: %s", file, n + 1, sentence);
    }

    private void line(String line, int n) {
        Matcher rule = RULE.matcher(line);
        Matcher targetsOf = ONLY.matcher(line);
        Matcher launch = LAUNCH.matcher(line);
        Matcher begin = TOOLKIT.matcher(line);
        Matcher row = ROW.matcher(line);
        boolean below = n > head;
        if (!below && rule.matches()) {
            rules.add(rule(rule.group(1), rule.group(2).strip().split(" "), n));
        } else if (!below && targetsOf.matches()) {
            only.put(targetsOf.group(1), Set.of(targetsOf.group(2).strip().split(" ")));
        } else if (!below && launch.matches()) {
            int block = Integer.parseInt(launch.group(2));
            int shared = Integer.parseInt(launch.group(3));
            launches.put(launch.group(1), new Launches.Launch(block, shared));
        } else if (!below && begin.matches()) {
            toolkit = begin.group(1);
            targets.addAll(List.of(begin.group(2).strip().split(" ")));
            head = n;
        } else if (below && row.matches()) {
            row(row.group(1), row.group(2).strip().split(" "), n);
        } else {
            throw bad(n, "\"" + line + "\" has none of the forms that the head of the file shows.");
        }
    }

    private Rule rule(String pattern, String[] words, int n) {
        List<Condition> conditions = new ArrayList<>();
        boolean hot = false;
        for (String word : words) {
            Matcher condition = CONDITION.matcher(word);
            if (word.equals("hot")) {
                hot = true;
            } else if (!condition.matches()) {
                throw bad(n, "\"" + word + "\" is no condition such as HMMA>=1.");
            } else if (!VALUES.contains(condition.group(1)) && !Opcodes.known(condition.group(1))) {
                String sentence = " is not counted: native-build/check/Opcodes.java has the names.";
                throw bad(n, condition.group(1) + sentence);
            } else {
                int bound = Integer.parseInt(condition.group(3));
                conditions.add(new Condition(condition.group(1), condition.group(2), bound));
            }
        }
        return new Rule(pattern, hot, conditions);
    }

    private void row(String kernel, String[] cells, int n) {
        if (cells.length != targets.size()) {
            String sentence = "%s has %d cells for %d targets.";
            throw bad(n, sentence.formatted(kernel, cells.length, targets.size()));
        }
        Map<String, Numbers> numbers = new TreeMap<>();
        for (int t = 0; t < cells.length; t++) {
            String[] parts = cells[t].split("/");
            int registers = Integer.parseInt(parts[0]);
            numbers.put(targets.get(t), new Numbers(registers, Integer.parseInt(parts[1])));
        }
        if (table.put(kernel, numbers) != null) {
            throw bad(n, kernel + " has a row already.");
        }
    }

    List<Rule> rules() {
        return rules;
    }

    /// Kernels of the table.
    Set<String> kernels() {
        return table.keySet();
    }

    /// Release of the compiler that the table was measured with, empty before the first update.
    String toolkit() {
        return toolkit;
    }

    /// Architectures of the table's columns.
    List<String> targets() {
        return targets;
    }

    /// Null where the table says nothing.
    Numbers numbers(String kernel, Target target) {
        return table.getOrDefault(kernel, Map.of()).get(String.valueOf(target.sm()));
    }

    /// The launch that is stated for a kernel, or null.
    Launches.Launch launch(String kernel) {
        return launches.entrySet().stream()
                .filter(e -> matches(e.getKey(), kernel))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(null);
    }

    boolean hot(String kernel) {
        return rules.stream().anyMatch(r -> r.hot() && r.matches(kernel));
    }

    /// Whether a kernel is launched on a target at all.
    boolean launched(String kernel, Target target) {
        return only.entrySet().stream()
                .filter(e -> matches(e.getKey(), kernel))
                .allMatch(e -> e.getValue().contains(String.valueOf(target.sm())));
    }

    /// Patterns of rules, launches and targets that no kernel has.
    List<String> idle(Set<String> kernels) {
        Set<String> patterns = new HashSet<>(only.keySet());
        patterns.addAll(launches.keySet());
        rules.forEach(rule -> patterns.add(rule.pattern()));
        return patterns.stream()
                .filter(p -> kernels.stream().noneMatch(k -> matches(p, k)))
                .sorted()
                .toList();
    }

    /// The file with the table that these measurements give; what is written by hand stays.
    String updated(List<Evidence> measured, String release) {
        StringBuilder text = new StringBuilder();
        lines.subList(0, head).forEach(line -> text.append(line).append('\n'));
        Map<String, StringBuilder> rows = new TreeMap<>();
        Set<String> columns = new LinkedHashSet<>();
        for (Evidence e : measured) {
            columns.add(String.valueOf(e.target().sm()));
            String cell = e.registers() + "/" + e.occupancy().blocks();
            rows.computeIfAbsent(e.kernel(), k -> new StringBuilder("%-24s".formatted(k)))
                    .append(" %6s".formatted(cell));
        }
        text.append("toolkit ").append(release).append(" targets ");
        text.append(String.join(" ", columns)).append('\n');
        rows.values().forEach(row -> text.append(row).append('\n'));
        return text.toString();
    }
}
