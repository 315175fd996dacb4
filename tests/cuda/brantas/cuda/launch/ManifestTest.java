package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.driver.Kernel;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Launchers against the manifest that the build makes of the kernel sources: same kernels, same
/// argument structs, same block sizes. Without it a field more on one side shows as garbage on a
/// device, if at all.
class ManifestTest {
    /// Every kernel has a launcher and every launcher a kernel, and both say the same about it.
    @Test
    void launchersDescribeTheKernelsThatThereAre() throws Exception {
        List<String> launched = new ArrayList<>();
        for (Class<?> type : launchPackage()) {
            kernels(type).stream().map(Kernel::signature).forEach(launched::add);
        }
        List<String> declared = manifest().filter(line -> line.startsWith("kernel ")).toList();
        assertThat(declared).as("kernels of the manifest").isNotEmpty();
        assertThat(launched).as("kernels of the launchers").doesNotHaveDuplicates();
        assertThat(declared.stream().filter(line -> !launched.contains(line)))
                .as("kernels that no launcher describes as they are")
                .isEmpty();
        assertThat(launched.stream().filter(line -> !declared.contains(line)))
                .as("kernels that only a launcher knows")
                .isEmpty();
    }

    /// A kernel that a launcher uses and does not list would escape the comparison.
    @Test
    void launchersListEveryKernelTheyHold() throws Exception {
        for (Class<?> type : launchPackage()) {
            for (Field field : type.getDeclaredFields()) {
                if (field.getType() == Kernel.class) {
                    field.setAccessible(true);
                    assertThat(kernels(type))
                            .as(field.toString())
                            .contains((Kernel) field.get(null));
                }
            }
        }
    }

    private static List<Kernel> kernels(Class<?> type) throws IllegalAccessException {
        try {
            Field field = type.getDeclaredField("KERNELS");
            List<Kernel> kernels = new ArrayList<>();
            for (Object kernel : (List<?>) Objects.requireNonNull(field.get(null))) {
                kernels.add((Kernel) kernel);
            }
            return kernels;
        } catch (NoSuchFieldException e) {
            return List.of();
        }
    }

    private static List<Class<?>> launchPackage()
            throws IOException, URISyntaxException, ClassNotFoundException {
        Path folder =
                Path.of(Objects.requireNonNull(Matrix.class.getResource("Matrix.class")).toURI())
                        .getParent();
        List<Class<?>> types = new ArrayList<>();
        try (Stream<Path> files = Files.list(Objects.requireNonNull(folder))) {
            for (Path file : files.sorted().toList()) {
                String name = Objects.requireNonNull(file.getFileName()).toString();
                if (name.endsWith(".class") && !name.startsWith("package-info")) {
                    String simple = name.substring(0, name.length() - ".class".length());
                    types.add(Class.forName(Matrix.class.getPackageName() + "." + simple));
                }
            }
        }
        return types;
    }

    private static Stream<String> manifest() throws IOException {
        try (InputStream in = Kernel.class.getResourceAsStream("/brantas/cuda/manifest.txt")) {
            byte[] text = Objects.requireNonNull(in, "the build makes it").readAllBytes();
            return new String(text, StandardCharsets.UTF_8).lines();
        }
    }
}
