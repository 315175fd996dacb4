package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Map;

/// The driver library itself, without JCuda: is there one, does it start, how old is it, what does
/// it call an error. A machine without a driver or without a device ends here, before any native
/// library of ours is unpacked or loaded.
final class DriverLibrary {
    /// The bindings and the kernels are made for this CUDA version or a later one.
    private static final int OLDEST = 12_000;

    static final int NO_DEVICE = 100;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final AddressLayout ADDRESS = ValueLayout.ADDRESS;
    private static final String OTHERWISE = ", or use --backend simd.";

    /// What `cuInit` answers on machines that are not ready, and what helps.
    private static final Map<Integer, String> START_FAILURES =
            Map.of(
                    34,
                    "libcuda.so.1 is the toolkit's stub library: take its folder off"
                            + " LD_LIBRARY_PATH, so that the driver's own is found",
                    NO_DEVICE,
                    "The NVIDIA driver sees no device: check nvidia-smi and CUDA_VISIBLE_DEVICES",
                    802,
                    "The NVIDIA driver is not ready: start the fabric manager of this machine",
                    803,
                    "The NVIDIA driver's library and kernel module are of different versions:"
                            + " restart the machine",
                    804,
                    "The NVIDIA compatibility library does not support this device: take its"
                            + " folder off LD_LIBRARY_PATH",
                    999,
                    "The NVIDIA driver does not start (CUDA_ERROR_UNKNOWN): check nvidia-smi, then"
                            + " restart the machine");

    private final SymbolLookup symbols;
    private final int version;

    DriverLibrary(SymbolLookup symbols, int version) {
        this.symbols = symbols;
        this.version = version;
    }

    /// Whether the driver's library loads.
    static boolean present() {
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup("libcuda.so.1", arena);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /// Finds and starts the driver.
    ///
    /// @throws BrantasException when there is none, it does not start, or it is too old
    static DriverLibrary start() {
        SymbolLookup symbols;
        try {
            // Stays loaded: JCuda's library binds to it.
            symbols = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
        } catch (IllegalArgumentException e) {
            throw new BrantasException(
                    "There is no NVIDIA driver on this machine (libcuda.so.1 does not load):"
                            + " install one"
                            + OTHERWISE,
                    e);
        }
        int code = integer(symbols, "cuInit", 0);
        if (code != 0) {
            throw startFailure(code, new DriverLibrary(symbols, 0).describe(code));
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment answer = arena.allocate(INT);
            code = address(symbols, "cuDriverGetVersion", answer);
            int version = answer.get(INT, 0);
            if (code != 0) {
                throw startFailure(code, new DriverLibrary(symbols, 0).describe(code));
            }
            requireVersion(version);
            return new DriverLibrary(symbols, version);
        }
    }

    static BrantasException startFailure(int code, String name) {
        String known = START_FAILURES.get(code);
        return new BrantasException(
                known != null
                        ? known + OTHERWISE
                        : "The NVIDIA driver does not start ("
                                + name
                                + "): check nvidia-smi"
                                + OTHERWISE);
    }

    static void requireVersion(int version) {
        if (version < OLDEST) {
            throw new BrantasException(
                    "The NVIDIA driver supports CUDA "
                            + versionText(version)
                            + " and Brantas needs "
                            + versionText(OLDEST)
                            + ": install driver 525 or later"
                            + OTHERWISE);
        }
    }

    /// CUDA version that the driver supports: 1000 × major + 10 × minor.
    int version() {
        return version;
    }

    /// `12.6` of 12060.
    static String versionText(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /// What the driver says of an error: name, number, text.
    String describe(int code) {
        String name = text("cuGetErrorName", code);
        if (name.isEmpty()) {
            return "CUDA error " + code;
        }
        return name + " (" + code + ", " + text("cuGetErrorString", code) + ")";
    }

    private String text(String function, int code) {
        MemorySegment entry = symbols.find(function).orElse(MemorySegment.NULL);
        if (entry.address() == 0) {
            return "";
        }
        MethodHandle call = handle(entry, FunctionDescriptor.of(INT, INT, ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment answer = arena.allocate(ADDRESS);
            int result = (int) call.invokeExact(code, answer);
            MemorySegment text = answer.get(ADDRESS, 0);
            if (result != 0 || text.address() == 0) {
                return "";
            }
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable e) {
            throw new AssertionError(function, e);
        }
    }

    private static MethodHandle handle(MemorySegment entry, FunctionDescriptor descriptor) {
        return Linker.nativeLinker().downcallHandle(entry, descriptor);
    }

    private static int integer(SymbolLookup symbols, String name, int argument) {
        MethodHandle call = handle(find(symbols, name), FunctionDescriptor.of(INT, INT));
        try {
            return (int) call.invokeExact(argument);
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }

    private static int address(SymbolLookup symbols, String name, MemorySegment argument) {
        MethodHandle call = handle(find(symbols, name), FunctionDescriptor.of(INT, ADDRESS));
        try {
            return (int) call.invokeExact(argument);
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }

    private static MemorySegment find(SymbolLookup symbols, String name) {
        return symbols.find(name)
                .orElseThrow(() ->
                        new BrantasException(
                                "libcuda.so.1 is not the NVIDIA driver's library ("
                                        + name
                                        + " is missing): repair the driver"
                                        + OTHERWISE));
    }
}
