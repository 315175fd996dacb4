package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Set;
import jcuda.Pointer;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// A kernel image on a device: a fat binary, the code for one architecture, or, on the emulated
/// device, the same kernels compiled for the host. Loading checks that the image has code for this
/// device and was built from the kernel sources that the Java side knows.
public final class Module implements AutoCloseable {
    private static final int NOT_FOUND = 500;
    private static final int INVALID_IMAGE = 200;
    private static final int UNSUPPORTED_PTX = 222;

    /// Codes that say that the image has nothing this device or driver can run.
    private static final Set<Integer> UNFIT = Set.of(INVALID_IMAGE, 209, 218, 221, 223);

    private final Device device;
    private final String name;
    private final CUmodule handle;
    private final Owned owned;
    private boolean programmaticLaunch;

    private Module(Device device, String name, CUmodule handle) {
        this.device = device;
        this.name = name;
        this.handle = handle;
        this.owned =
                device.own(
                        new Owned(
                                "cuModuleUnload",
                                "kernel image " + name,
                                () -> JCudaDriver.cuModuleUnload(handle)));
    }

    static Module load(Device device, Path file, Manifest manifest) {
        try (FileChannel channel = FileChannel.open(file);
                Arena arena = Arena.ofConfined()) {
            MemorySegment image =
                    channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return load(device, file.toString(), image, manifest);
        } catch (IOException e) {
            throw new BrantasException(
                    "The kernel image " + file + " cannot be read: run scripts/build-native.", e);
        }
    }

    private static Module load(Device device, String name, MemorySegment image, Manifest manifest) {
        device.enter();
        CUmodule handle = new CUmodule();
        // The form with options, of which there are none: JCuda's plain one takes a Java array.
        int code =
                image.byteSize() == 0
                        ? INVALID_IMAGE
                        : JCudaDriver.cuModuleLoadDataEx(
                                handle, HostAddress.of(image), 0, new int[0], new Pointer());
        if (code != 0) {
            throw loadFailure(device, name, code);
        }
        Module module = new Module(device, name, handle);
        FunctionHandle mark = module.find("brantas_abi_" + manifest.abi());
        if (mark == null) {
            module.close();
            throw new BrantasException(
                    "The kernel image "
                            + name
                            + " was built from other kernel sources: run scripts/build-native.");
        }
        module.programmaticLaunch = device.shimFor(mark, name).isPresent();
        return module;
    }

    private static RuntimeException loadFailure(Device device, String name, int code) {
        DeviceInfo info = device.info();
        String image = "The kernel image " + name;
        if (code == UNSUPPORTED_PTX) {
            return new BrantasException(
                    image
                            + " is newer than the NVIDIA driver, which supports CUDA "
                            + info.driver()
                            + ": install driver 580 or later, or run scripts/build-native with"
                            + " the driver's CUDA version.");
        }
        if (UNFIT.contains(code)) {
            return new BrantasException(
                    image
                            + " has no code for "
                            + info.title()
                            + " of compute capability "
                            + info.capability()
                            + " ("
                            + device.calls().describe(code)
                            + "): run scripts/build-native with ARCHS="
                            + info.major()
                            + info.minor()
                            + " and a CUDA toolkit up to "
                            + info.driver()
                            + ".");
        }
        return device.calls().failure(code, "cuModuleLoadDataEx", name);
    }

    /// The entry point that `kernel` describes.
    ///
    /// @throws BrantasException when the image lacks it
    public Function function(Kernel kernel) {
        device.enter();
        FunctionHandle function = find(kernel.name());
        if (function == null) {
            throw new BrantasException(
                    "The kernel image "
                            + name
                            + " lacks kernel "
                            + kernel.name()
                            + ": run scripts/build-native.");
        }
        return new Function(device, kernel, function);
    }

    /// Looks an entry point up and asks for its shared memory, as the first launch would.
    ///
    /// @throws BrantasException when the image lacks it
    /// @throws DeviceException when the device has not so much
    public void prepare(String entry, int sharedBytes) {
        device.enter();
        FunctionHandle function = find(entry);
        if (function == null) {
            throw new BrantasException(
                    this + " lacks kernel " + entry + ": run scripts/build-native.");
        }
        int code =
                JCudaDriver.cuFuncSetAttribute(
                        function,
                        CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                        sharedBytes);
        device.calls().check(code, "cuFuncSetAttribute", "kernel " + entry);
    }

    private @Nullable FunctionHandle find(String entry) {
        FunctionHandle function = new FunctionHandle();
        int code = JCudaDriver.cuModuleGetFunction(function, handle, entry);
        if (code == NOT_FOUND) {
            return null;
        }
        device.calls().check(code, "cuModuleGetFunction", entry);
        return function;
    }

    /// Whether its kernels begin before their predecessors in a stream have ended: the device can
    /// do it, and what the image holds for it waits for predecessors. An image is compiled as a
    /// whole, so that its mark speaks for all.
    public boolean programmaticLaunch() {
        return programmaticLaunch;
    }

    /// Unloads the image; its functions can no longer be launched.
    @Override
    public void close() {
        device.disown(owned);
    }

    @Override
    public String toString() {
        return "kernel image " + name;
    }
}
