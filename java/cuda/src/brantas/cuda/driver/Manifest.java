package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What the build derived from the kernel sources: a hash of everything that Java and kernels must
/// agree on, and a line per entry point. An image carries the hash as an entry point of that name,
/// so that an image of other sources is told apart before a launch goes wrong.
///
/// @param abi eight hexadecimal digits
/// @param kernels a line for each entry point, as [Kernel#signature] writes it
public record Manifest(String abi, List<String> kernels) {
    private static final String RESOURCE = "/brantas/cuda/manifest.txt";
    private static final Pattern ABI = Pattern.compile("abi ([0-9a-f]{8})");

    /// Keeps its own list.
    public Manifest {
        kernels = List.copyOf(kernels);
    }

    /// The manifest of the kernels that this version of Brantas is made for.
    public static Manifest read() {
        try (InputStream in = Manifest.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new BrantasException(
                        "Brantas was built without its CUDA kernels ("
                                + RESOURCE
                                + " is missing): run scripts/build-native.");
            }
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new BrantasException(
                    RESOURCE + " cannot be read from its jar: install Brantas again.", e);
        }
    }

    static Manifest parse(String text) {
        List<String> lines = text.lines().map(String::strip).filter(l -> !l.isEmpty()).toList();
        Matcher head = ABI.matcher(lines.isEmpty() ? "" : lines.getFirst());
        if (!head.matches()) {
            throw new BrantasException(
                    RESOURCE + " is damaged (no abi line): run scripts/build-native.");
        }
        List<String> kernels = lines.stream().filter(l -> l.startsWith("kernel ")).toList();
        return new Manifest(head.group(1), kernels);
    }
}
