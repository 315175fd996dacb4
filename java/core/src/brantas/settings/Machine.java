package brantas.settings;

import java.io.FileDescriptor;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Constructor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/// What this machine and this Java offer: the one place that asks the operating system, the JVM and
/// its properties.
public final class Machine {
    private static final Path CGROUP = Path.of("/sys/fs/cgroup");

    private Machine() {}

    /// Processors this process may use.
    public static int processors() {
        return Runtime.getRuntime().availableProcessors();
    }

    /// Memory of the machine in bytes.
    public static long totalMemory() {
        long total = meminfo("MemTotal").orElseGet(Machine::beanTotal);
        return Math.min(total, cgroup("memory.max").orElse(Long.MAX_VALUE));
    }

    /// Memory that can be taken now without pushing others out, in bytes; file pages in the cache
    /// count as free.
    public static long availableMemory() {
        long available = meminfo("MemAvailable").orElseGet(Machine::beanTotal);
        OptionalLong limit = cgroup("memory.max");
        OptionalLong used = cgroup("memory.current");
        if (limit.isPresent() && used.isPresent()) {
            long cached = cgroupStat("file").orElse(0);
            available = Math.min(available, limit.getAsLong() - used.getAsLong() + cached);
        }
        return Math.max(0, available);
    }

    /// Largest resident size of this process so far, in bytes; 0 where the system does not say.
    public static long peakResident() {
        return field(Path.of("/proc/self/status"), "VmHWM").orElse(0);
    }

    /// The version of the running Java.
    public static Runtime.Version java() {
        return Runtime.version();
    }

    /// Where a launcher says the installation is; its bundled model is below.
    public static Optional<Path> home() {
        return Optional.ofNullable(System.getProperty("brantas.home")).map(Path::of);
    }

    /// The image of the GPU kernels that the environment names, instead of the installed one.
    public static Optional<Path> kernelImage() {
        return Optional.ofNullable(System.getenv("BRANTAS_KERNELS")).map(Path::of);
    }

    /// Whether the environment asks for waiting after every launch, so that an error names its
    /// kernel.
    public static boolean synchronousLaunches() {
        return "1".equals(System.getenv("BRANTAS_SYNCHRONOUS"));
    }

    /// Whether the environment asks for cuBLAS where a prompt's rows meet a matrix. Off unless it
    /// does: cuBLAS picks its algorithm by the number of rows, so that a row's last bits may depend
    /// on who else is in the batch.
    ///
    /// @throws BrantasException for a value other than `on` and `off`
    public static boolean cublas() {
        String value = System.getenv("BRANTAS_CUBLAS");
        if (value == null || value.isEmpty() || value.equals("off")) {
            return false;
        }
        if (value.equals("on")) {
            return true;
        }
        throw new BrantasException("BRANTAS_CUBLAS is \"" + value + "\": set it to on or off.");
    }

    /// Which standard streams a launcher found to be terminals: letters `i`, `o`, `e`; none without
    /// a launcher.
    public static String terminals() {
        return System.getProperty("brantas.terminals", "");
    }

    /// Where errors go. A launcher may hand standard error over under another number, because Java
    /// itself writes a warning about the incubating vector module to number 2 before any class of
    /// ours runs.
    public static FileDescriptor errorDescriptor() {
        String number = System.getProperty("brantas.stderr");
        if (number == null) {
            return FileDescriptor.err;
        }
        try {
            Constructor<FileDescriptor> numbered =
                    FileDescriptor.class.getDeclaredConstructor(int.class);
            numbered.setAccessible(true);
            return numbered.newInstance(Integer.parseInt(number));
        } catch (ReflectiveOperationException | RuntimeException e) {
            return FileDescriptor.err;
        }
    }

    /// Refuses a Java that cannot be trusted with this work.
    ///
    /// @throws BrantasException for JDK 25.0.0–25.0.2, which move pinned memory under G1
    public static void checkJava() {
        checkJava(Runtime.version());
    }

    static void checkJava(Runtime.Version version) {
        boolean early = version.feature() < 25;
        boolean moving = version.feature() == 25 && version.interim() == 0 && version.update() < 3;
        if (early || moving) {
            throw new BrantasException(
                    "Java "
                            + version
                            + " is too old: install JDK 25.0.3 or later and set JAVA_HOME to it (25.0.0 to 25.0.2 move"
                            + " pinned memory).");
        }
    }

    private static long beanTotal() {
        return ManagementFactory.getOperatingSystemMXBean()
                        instanceof com.sun.management.OperatingSystemMXBean bean
                ? bean.getTotalMemorySize()
                : Runtime.getRuntime().maxMemory();
    }

    private static OptionalLong meminfo(String key) {
        return field(Path.of("/proc/meminfo"), key);
    }

    /// A line `key: number kB`.
    private static OptionalLong field(Path file, String key) {
        try {
            for (String line : Files.readAllLines(file)) {
                if (line.startsWith(key + ":")) {
                    String number = line.substring(key.length() + 1).replace("kB", "").strip();
                    return OptionalLong.of(1024 * Long.parseLong(number));
                }
            }
        } catch (IOException | NumberFormatException e) {
            return OptionalLong.empty();
        }
        return OptionalLong.empty();
    }

    private static OptionalLong cgroup(String file) {
        try {
            return OptionalLong.of(Long.parseLong(Files.readString(CGROUP.resolve(file)).strip()));
        } catch (IOException | NumberFormatException e) {
            return OptionalLong.empty();
        }
    }

    private static OptionalLong cgroupStat(String key) {
        try {
            for (String line : Files.readAllLines(CGROUP.resolve("memory.stat"))) {
                if (line.startsWith(key + " ")) {
                    return OptionalLong.of(
                            Long.parseLong(line.substring(key.length() + 1).strip()));
                }
            }
        } catch (IOException | NumberFormatException e) {
            return OptionalLong.empty();
        }
        return OptionalLong.empty();
    }
}
