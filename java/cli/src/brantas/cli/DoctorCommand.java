package brantas.cli;

import brantas.Brantas;
import brantas.Options;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Whether this machine can run models, and what to do where it cannot. Exit status 2 if something
/// must be mended.
@Command(description = "Checks this machine and this Java.")
final class DoctorCommand implements Callable<Integer> {
    private static final long LITTLE_MEMORY = 2L << 30;
    private static final List<Path> DRIVERS =
            List.of(
                    Path.of("/proc/driver/nvidia/version"),
                    Path.of("/usr/lib/x86_64-linux-gnu/libcuda.so.1"),
                    Path.of("/usr/lib/aarch64-linux-gnu/libcuda.so.1"),
                    Path.of("/usr/lib64/libcuda.so.1"),
                    Path.of("/usr/lib/wsl/lib/libcuda.so.1"));

    private final Streams io;
    private final List<Finding> findings = new ArrayList<>();

    @Option(names = "--json", description = "Prints one JSON object instead of a table.")
    boolean json;

    /// One thing looked at.
    ///
    /// @param remedy what to do; empty if all is well
    private record Finding(String name, Object value, boolean fine, String remedy) {}

    DoctorCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        findings.add(java());
        findings.add(backend());
        findings.add(new Finding("cores", (long) Machine.processors(), true, ""));
        findings.add(new Finding("memory_bytes", Machine.totalMemory(), true, ""));
        findings.add(memory());
        findings.add(driver());
        findings.add(gpu());
        findings.add(demo());
        boolean fine = findings.stream().allMatch(Finding::fine);
        if (json) {
            io.line(Json.write(asJson(fine)));
        } else {
            print(fine);
        }
        return fine ? 0 : Main.WRONG;
    }

    private static Finding java() {
        String version = Machine.java().toString();
        try {
            Machine.checkJava();
            return new Finding("java", version, true, "");
        } catch (BrantasException e) {
            return new Finding("java", version, false, String.valueOf(e.getMessage()));
        }
    }

    private static Finding backend() {
        try {
            return new Finding("backend", Brantas.backend(Options.DEFAULTS), true, "");
        } catch (BrantasException e) {
            return new Finding("backend", "none", false, String.valueOf(e.getMessage()));
        } catch (LinkageError e) {
            String remedy =
                    "Start Java with --add-modules jdk.incubator.vector, as scripts/brantas does.";
            return new Finding("backend", "none", false, remedy);
        }
    }

    private static Finding memory() {
        long free = Machine.availableMemory();
        String remedy = "Less than 2 GB are free: close other programs, or use a small model.";
        return new Finding("available_bytes", free, true, free < LITTLE_MEMORY ? remedy : "");
    }

    private static Finding driver() {
        Optional<Path> driver = DRIVERS.stream().filter(Files::exists).findFirst();
        String value = driver.isPresent() ? "found: " + driver.get() : "not found";
        return new Finding("gpu_driver", value, true, "");
    }

    /// A GPU is welcome, not needed: without one the remedy says what it would take.
    private static Finding gpu() {
        try {
            String gpu = Brantas.backend(Options.DEFAULTS.withBackend("cuda"));
            return new Finding("gpu", gpu, true, "");
        } catch (BrantasException e) {
            return new Finding("gpu", "none", true, String.valueOf(e.getMessage()));
        }
    }

    private static Finding demo() {
        Optional<Path> demo = ModelOptions.demo();
        String remedy = "Start with scripts/brantas, or name a model with --model.";
        return demo.isPresent()
                ? new Finding("demo_model", "found", true, "")
                : new Finding("demo_model", "not found", true, remedy);
    }

    private Map<String, Object> asJson(boolean fine) {
        Map<String, Object> all = new LinkedHashMap<>();
        Map<String, Object> remedies = new LinkedHashMap<>();
        for (Finding finding : findings) {
            all.put(finding.name(), finding.value());
            if (!finding.remedy().isEmpty()) {
                remedies.put(finding.name(), finding.remedy());
            }
        }
        all.put("remedies", remedies);
        all.put("ok", fine);
        return all;
    }

    private void print(boolean fine) {
        for (Finding f : findings) {
            String value =
                    f.value() instanceof Long n && f.name().endsWith("bytes")
                            ? String.format(Locale.ROOT, "%.1f GB", n * 1e-9)
                            : f.value().toString();
            io.line(
                    String.format(
                            Locale.ROOT,
                            "%-4s %-16s %s",
                            f.fine() ? "ok" : "BAD",
                            f.name(),
                            value));
            if (!f.remedy().isEmpty()) {
                io.line("     " + f.remedy());
            }
        }
        io.line(fine ? "Everything that is needed is here." : "Mend what is marked BAD.");
    }
}
