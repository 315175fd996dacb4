package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Devices;
import brantas.op.Backend;
import brantas.settings.BrantasException;
import brantas.settings.Machine;
import brantas.spi.BackendProvider;

/// Finds NVIDIA GPUs.
public final class CudaProvider implements BackendProvider {
    /// Major compute capability that the oldest compiled code is for.
    private static final int OLDEST = 8;

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public boolean present() {
        return Devices.driverPresent();
    }

    @Override
    public Backend open(Choice choice) {
        Device device = device(choice);
        try {
            return new CudaBackend(device, KernelImage.find(), choice);
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }

    /// Opens the device that is meant, without a backend on it.
    ///
    /// @throws BrantasException when there is none, or it is too old for the kernels
    public static Device device(Choice choice) {
        Devices devices = Devices.find();
        DeviceInfo info = devices.choose(choice.device());
        if (info.major() < OLDEST) {
            throw new BrantasException(
                    info.title()
                            + " has compute capability "
                            + info.capability()
                            + " and the kernels need 8.0 or later: choose another GPU with --device,"
                            + " or use --backend simd.");
        }
        return devices.open(info, Machine.synchronousLaunches());
    }
}
