import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What `ptxas -v` said about the functions of a cubin: registers, bytes of stack and spills,
/// static shared memory, barriers. Functions that are not kernels appear too and may neither spill
/// nor need a stack; warnings are kept as they stand.
final class CompilerLog {
    private static final Pattern FUNCTION = Pattern.compile(".*Function properties for (\\S+)");
    private static final Pattern STACK =
            Pattern.compile(
                    "\\s*(\\d+) bytes stack frame, (\\d+) bytes spill stores,"
                            + " (\\d+) bytes spill loads.*");
    private static final Pattern REGISTERS = Pattern.compile(".*Used (\\d+) registers.*");
    private static final Pattern BARRIERS = Pattern.compile(".*used (\\d+) barriers.*");
    private static final Pattern SHARED = Pattern.compile(".*?(\\d+) bytes smem.*");

    /// @param registers 0 for a function that is no kernel
    /// @param spills bytes of stores and loads
    record Figures(int registers, int stack, int spills, int shared, int barriers) {}

    private final Map<String, Figures> functions = new TreeMap<>();
    private final List<String> warnings = new ArrayList<>();

    CompilerLog(Path file) throws IOException {
        if (!Files.exists(file)) {
            throw new Refused("there is no %s: build it with make -C native-build.", file);
        }
        String name = "";
        for (String line : Files.readAllLines(file)) {
            Matcher function = FUNCTION.matcher(line);
            Matcher stack = STACK.matcher(line);
            Matcher used = REGISTERS.matcher(line);
            if (function.matches()) {
                name = function.group(1);
            } else if (stack.matches()) {
                int spills = Integer.parseInt(stack.group(2)) + Integer.parseInt(stack.group(3));
                int frame = Integer.parseInt(stack.group(1));
                functions.put(name, new Figures(0, frame, spills, 0, 0));
            } else if (used.matches() && functions.containsKey(name)) {
                Figures before = functions.get(name);
                int registers = Integer.parseInt(used.group(1));
                int shared = number(SHARED, line);
                int barriers = number(BARRIERS, line);
                functions.put(
                        name,
                        new Figures(registers, before.stack, before.spills, shared, barriers));
            } else if (line.contains("warning")) {
                warnings.add(line.strip());
            }
        }
    }

    private static int number(Pattern pattern, String line) {
        Matcher matcher = pattern.matcher(line);
        return matcher.matches() ? Integer.parseInt(matcher.group(1)) : 0;
    }

    /// By name, also functions that are no kernels.
    Map<String, Figures> functions() {
        return functions;
    }

    List<String> warnings() {
        return warnings;
    }
}
