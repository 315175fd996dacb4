package brantas.cuda.driver;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;

import brantas.settings.BrantasException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUuuid;
import jcuda.driver.JCudaDriver;

/// The CUDA devices of this machine, and the choice among them.
public final class Devices {
    private static final int LONGEST_NAME = 256;
    private static final String UUID_START = "gpu-";

    private final DriverLibrary driver;
    private final Calls calls;
    private final int count;

    private Devices(DriverLibrary driver, Calls calls, int count) {
        this.driver = driver;
        this.calls = calls;
        this.count = count;
    }

    /// Whether this machine has a driver at all; starts nothing.
    public static boolean driverPresent() {
        return DriverLibrary.present();
    }

    /// Starts the driver and counts its devices. Machines without a driver or a device are told
    /// apart before any native library of the binding is touched.
    ///
    /// @throws BrantasException when there is no driver, no device, or the driver is too old
    public static Devices find() {
        DriverLibrary driver = DriverLibrary.start();
        Binding.DRIVER.load();
        Calls calls = new Calls(driver, "the NVIDIA driver");
        int[] count = new int[1];
        calls.check(JCudaDriver.cuDeviceGetCount(count), "cuDeviceGetCount", "the device list");
        if (count[0] == 0) {
            throw DriverLibrary.startFailure(DriverLibrary.NO_DEVICE, "no device");
        }
        return new Devices(driver, calls, count[0]);
    }

    /// All devices, in the driver's order. Asking for free memory starts each device, which takes a
    /// while on a real one.
    public List<DeviceInfo> list() {
        return IntStream.range(0, count).mapToObj(i -> describe(i, true)).toList();
    }

    /// The device that `choice` names: `auto` or `most-free` for the one with most free memory, an
    /// index, or a UUID, which may be shortened.
    ///
    /// @throws BrantasException when there is no such device or more than one
    public DeviceInfo choose(String choice) {
        if (choice.equals("auto") || choice.equals("most-free")) {
            return mostFree(list());
        }
        List<DeviceInfo> all = IntStream.range(0, count).mapToObj(i -> describe(i, false)).toList();
        return describe(named(choice, all).index(), true);
    }

    /// The device with most free memory, the first among equals.
    static DeviceInfo mostFree(List<DeviceInfo> all) {
        DeviceInfo most = all.getFirst();
        for (DeviceInfo device : all) {
            if (device.freeMemory() > most.freeMemory()) {
                most = device;
            }
        }
        return most;
    }

    /// The one device of this index, or else whose UUID begins so.
    static DeviceInfo named(String choice, List<DeviceInfo> all) {
        String start = choice.toLowerCase(Locale.ROOT);
        String prefix = start.startsWith(UUID_START) ? start : UUID_START + start;
        List<DeviceInfo> found =
                all.stream()
                        .filter(device -> Integer.toString(device.index()).equals(choice))
                        .toList();
        if (found.isEmpty() && prefix.length() > UUID_START.length()) {
            found =
                    all.stream()
                            .filter(d -> d.uuid().toLowerCase(Locale.ROOT).startsWith(prefix))
                            .toList();
        }
        if (found.size() == 1) {
            return found.getFirst();
        }
        String names =
                (found.isEmpty() ? all : found)
                        .stream()
                                .map(d -> d.index() + " (" + d.name() + ", " + d.uuid() + ")")
                                .collect(Collectors.joining(" or "));
        throw new BrantasException(
                found.isEmpty()
                        ? "There is no CUDA device \"" + choice + "\": use auto or " + names + "."
                        : "\"" + choice + "\" names several CUDA devices: use " + names + ".");
    }

    /// Opens a device of this list.
    public Device open(DeviceInfo info) {
        return open(info, false);
    }

    /// Opens a device of this list.
    ///
    /// @param synchronous whether every launch is waited for, so that an error names its kernel
    public Device open(DeviceInfo info, boolean synchronous) {
        return new Device(info, handle(info.index()), new Calls(driver, info.title()), synchronous);
    }

    private DeviceInfo describe(int index, boolean measured) {
        CUdevice device = handle(index);
        long[] total = new long[1];
        calls.check(
                JCudaDriver.cuDeviceTotalMem(total, device), "cuDeviceTotalMem", "device " + index);
        return new DeviceInfo(
                index,
                name(index),
                uuid(index),
                attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                total[0],
                measured ? freeMemory(device) : 0,
                attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                driver.version());
    }

    private CUdevice handle(int index) {
        CUdevice device = new CUdevice();
        calls.check(JCudaDriver.cuDeviceGet(device, index), "cuDeviceGet", "device " + index);
        return device;
    }

    private String name(int index) {
        byte[] text = new byte[LONGEST_NAME];
        calls.check(
                JCudaDriver.cuDeviceGetName(text, text.length, handle(index)),
                "cuDeviceGetName",
                "device " + index);
        int length = 0;
        while (length < text.length && text[length] != 0) {
            length++;
        }
        return new String(text, 0, length, StandardCharsets.UTF_8);
    }

    private String uuid(int index) {
        CUuuid uuid = new CUuuid();
        calls.check(
                JCudaDriver.cuDeviceGetUuid(uuid, handle(index)),
                "cuDeviceGetUuid",
                "device " + index);
        return uuidText(uuid.bytes);
    }

    static String uuidText(byte[] bytes) {
        String hex = HexFormat.of().formatHex(bytes);
        return "GPU-"
                + String.join(
                        "-",
                        hex.substring(0, 8),
                        hex.substring(8, 12),
                        hex.substring(12, 16),
                        hex.substring(16, 20),
                        hex.substring(20));
    }

    private int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        calls.check(
                JCudaDriver.cuDeviceGetAttribute(value, attribute, device),
                "cuDeviceGetAttribute",
                "attribute " + attribute);
        return value[0];
    }

    /// The driver tells free memory of the current context only; a device that is full or in
    /// exclusive use by others gives none and has nothing free for us.
    private static long freeMemory(CUdevice device) {
        CUcontext context = new CUcontext();
        if (JCudaDriver.cuDevicePrimaryCtxRetain(context, device) != 0) {
            return 0;
        }
        try {
            long[] free = new long[1];
            boolean answered =
                    CurrentContext.enter(new Object(), context) == 0
                            && JCudaDriver.cuMemGetInfo(free, new long[1]) == 0;
            return answered ? free[0] : 0;
        } finally {
            CurrentContext.leave();
            JCudaDriver.cuDevicePrimaryCtxRelease(device);
        }
    }
}
