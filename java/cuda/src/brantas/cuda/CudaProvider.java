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
        Device device = devices.open(info, Machine.synchronousLaunches());
        try {
            return new CudaBackend(device, KernelImage.find(), choice);
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }
}
