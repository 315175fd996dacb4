import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Threads and dynamic shared memory of each kernel's blocks, and the interface hash, from the
/// manifest that native-build/Manifest.java wrote beside the cubins.
final class Launches {
    /// Stands for `variable`, which a `launch` line of the budgets has to make a number.
    static final int VARIABLE = -1;

    private static final Pattern KERNEL =
            Pattern.compile("kernel (\\S+) args \\d+ block (\\S+) shared (\\S+) .*");

    /// @param block threads, or [#VARIABLE]
    /// @param shared bytes, or [#VARIABLE]
    record Launch(int block, int shared) {
        boolean variable() {
            return block == VARIABLE || shared == VARIABLE;
        }
    }

    private final Map<String, Launch> kernels = new TreeMap<>();
    private final String hash;

    Launches(Path manifest) throws IOException {
        if (!Files.exists(manifest)) {
            throw new Refused("there is no %s: build it with make -C native-build.", manifest);
        }
        String abi = "";
        for (String line : Files.readAllLines(manifest)) {
            Matcher kernel = KERNEL.matcher(line);
            if (kernel.matches()) {
                Launch launch = new Launch(number(kernel.group(2)), number(kernel.group(3)));
                kernels.put(kernel.group(1), launch);
            } else if (line.startsWith("abi ")) {
                abi = line.substring(4);
            }
        }
        hash = abi;
    }

    private static int number(String word) {
        return word.equals("variable") ? VARIABLE : Integer.parseInt(word);
    }

    /// By name of the kernel.
    Map<String, Launch> kernels() {
        return kernels;
    }

    /// The kernel that is never launched and tells which manifest a cubin belongs to.
    String marker() {
        return "brantas_abi_" + hash;
    }
}
