import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.CRC32;

/// Writes what the build and the launchers need of the kernel sources: the manifest (a line for
/// each kernel with the layout of its argument struct, a line for each struct of the step block,
/// and over all of it a hash that stands for the binary interface), and one translation unit of all
/// kernels in which the compiler checks every one of those layouts. It has no dependencies: `java
/// native-build/Manifest.java` runs before anything is built.
public final class Manifest {
    private static final String USAGE =
            "usage: java Manifest.java --kernels FOLDER [--manifest FILE] [--unit FILE] [--hash];"
                    + " FOLDER holds *.cu and common/*.cuh";

    private final KernelSources sources;

    Manifest(KernelSources sources) {
        this.sources = sources;
    }

    /// The manifest.
    String text() {
        return "abi " + hash() + "\n" + body();
    }

    /// Eight hexadecimal digits that change with any name, size, field or offset of the manifest.
    String hash() {
        CRC32 sum = new CRC32();
        sum.update(body().getBytes(StandardCharsets.UTF_8));
        return "%08x".formatted(sum.getValue());
    }

    private String body() {
        StringBuilder text = new StringBuilder();
        for (KernelSources.Kernel kernel : sources.kernels().values()) {
            KernelSources.Struct args = sources.structs().get(kernel.args());
            text.append("kernel ").append(kernel.name()).append(" args ").append(args.bytes());
            text.append(" block ")
                    .append(kernel.block())
                    .append(" shared ")
                    .append(kernel.shared());
            text.append(" fields ").append(fields(args)).append('\n');
        }
        for (String name : KernelSources.STEP_STRUCTS) {
            KernelSources.Struct struct = sources.structs().get(name);
            text.append("struct ").append(name).append(" size ").append(struct.bytes());
            text.append(" fields ").append(fields(struct)).append('\n');
        }
        return text.toString();
    }

    private static String fields(KernelSources.Struct struct) {
        return struct.fields().stream()
                .map(f ->
                        f.name() + ":" + f.type().name.toLowerCase(Locale.ROOT) + "@" + f.offset())
                .collect(Collectors.joining(" "));
    }

    /// One translation unit of all kernels. One and not many, because device code of several units
    /// cannot be linked as PTX, and PTX is what newer devices get. Each file lies in a namespace of
    /// its own: entry points are extern "C" and keep their names, what is internal to two files
    /// does not clash. Headers come first, outside.
    String unit() {
        StringBuilder text = new StringBuilder();
        text.append("// Generated from the kernel sources by native-build/Manifest.java.\n");
        text.append("#include <cstddef>\n");
        for (KernelSources.Source file : sources.files()) {
            String include = "#include \"" + file.name() + "\"\n";
            if (!file.header()) {
                String namespace = file.scope().substring(0, file.scope().length() - 2);
                text.append("namespace ")
                        .append(namespace)
                        .append(" {\n")
                        .append(include)
                        .append("}\n");
            } else if (!file.name().endsWith("_host.cuh")) {
                text.append(include);
            }
        }
        text.append("\nstatic_assert(alignof(Rows) == 8);\n");
        sources.structs().values().forEach(struct -> layout(text, struct));
        text.append(
                "\n"
                        + "#if defined(__CUDACC__)\n"
                        + "// Tells which manifest this image belongs to; never launched.\n");
        text.append("extern \"C\" __global__ void brantas_abi_")
                .append(hash())
                .append("() {}\n#endif\n");
        return text.toString();
    }

    private static void layout(StringBuilder text, KernelSources.Struct struct) {
        String name = struct.scope() + struct.name();
        text.append("static_assert(sizeof(%s) == %d);\n".formatted(name, struct.bytes()));
        for (KernelSources.Field field : struct.fields()) {
            text.append(
                    "static_assert(offsetof(%1$s, %2$s) == %3$d && sizeof(%1$s::%2$s) == %4$d);\n"
                            .formatted(name, field.name(), field.offset(), field.type().bytes));
        }
    }

    /// Writes a file whole or not at all; one that says the same already keeps its time.
    private static void write(Path file, String text) throws IOException {
        if (Files.exists(file) && Files.readString(file).equals(text)) {
            return;
        }
        Path folder = file.toAbsolutePath().getParent();
        Files.createDirectories(folder);
        Path draft = folder.resolve(file.getFileName() + "." + ProcessHandle.current().pid());
        Files.writeString(draft, text);
        Files.move(
                draft, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }

    private static Map<String, String> options(String[] words) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < words.length; i++) {
            boolean flag = words[i].equals("--hash");
            boolean known = List.of("--kernels", "--manifest", "--unit").contains(words[i]);
            if (!flag && (!known || i + 1 == words.length)) {
                return Map.of();
            }
            options.put(words[i], flag ? "" : words[++i]);
        }
        return options;
    }

    public static void main(String[] words) throws IOException {
        Map<String, String> options = options(words);
        if (!Files.isDirectory(Path.of(options.getOrDefault("--kernels", ""), "common"))) {
            System.err.println(USAGE);
            System.exit(2);
        }
        try {
            Manifest manifest = new Manifest(new KernelSources(Path.of(options.get("--kernels"))));
            if (options.containsKey("--manifest")) {
                write(Path.of(options.get("--manifest")), manifest.text());
            }
            if (options.containsKey("--unit")) {
                write(Path.of(options.get("--unit")), manifest.unit());
            }
            if (options.containsKey("--hash")) {
                System.out.println(manifest.hash());
            }
        } catch (KernelSources.Refused e) {
            System.err.println("brantas: " + e.getMessage());
            System.exit(1);
        }
    }
}
