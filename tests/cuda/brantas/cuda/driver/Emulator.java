package brantas.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// The emulated device as tests steer it: its counters and choices, by the functions that its
/// library exports beside the driver's (tests/emulator/README.md lists the names).
public final class Emulator {
    /// Counters of what is there now.
    private static final List<String> LIVE =
            List.of(
                    "live_allocations",
                    "live_pinned",
                    "live_streams",
                    "live_events",
                    "live_modules",
                    "live_graphs",
                    "live_graph_execs");

    private static final SymbolLookup LIBRARY =
            SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());

    private Emulator() {}

    /// A counter's value.
    public static long count(String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name);
            long count =
                    (long)
                            Linker.nativeLinker()
                                    .downcallHandle(
                                            LIBRARY.findOrThrow("brantas_emulator_count"),
                                            FunctionDescriptor.of(
                                                    ValueLayout.JAVA_LONG, ValueLayout.ADDRESS))
                                    .invokeExact(text);
            if (count < 0) {
                throw new IllegalArgumentException("there is no counter " + name);
            }
            return count;
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /// What is allocated, created and loaded now, by the counters' names.
    public static Map<String, Long> held() {
        return LIVE.stream().collect(Collectors.toMap(name -> name, Emulator::count));
    }

    /// Makes a choice by the name of its environment variable without the prefix.
    public static void choose(String name, Object value) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment choice = arena.allocateFrom(name);
            MemorySegment text = arena.allocateFrom(value.toString());
            int refused =
                    (int)
                            Linker.nativeLinker()
                                    .downcallHandle(
                                            LIBRARY.findOrThrow("brantas_emulator_set"),
                                            FunctionDescriptor.of(
                                                    ValueLayout.JAVA_INT,
                                                    ValueLayout.ADDRESS,
                                                    ValueLayout.ADDRESS))
                                    .invokeExact(choice, text);
            if (refused != 0) {
                throw new IllegalArgumentException(name + " = " + value + " is refused");
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /// Counters to zero, errors and injected failures forgotten, all choices of this class's tests
    /// back to their defaults.
    public static void reset() {
        choose("SCHEDULE", "in-order");
        choose("SEED", 1);
        choose("COPIES", "eager");
        choose("STREAMS", "immediate");
        choose("KERNELS", "run");
        choose("TRAFFIC", "ignore");
        choose("DATA", "move");
        choose("MEMORY", 2L << 30);
        choose("CAPABILITY", "8.0");
        choose("DRIVER_VERSION", 12_060);
        try {
            Linker.nativeLinker()
                    .downcallHandle(
                            LIBRARY.findOrThrow("brantas_emulator_reset"),
                            FunctionDescriptor.ofVoid())
                    .invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /// The kernels, compiled for the emulated device.
    public static Path kernels() {
        return Path.of(System.getProperty("brantas.home"), "target", "emulator", "kernels.so");
    }
}
