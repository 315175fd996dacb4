package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.Devices;
import brantas.op.Backend;
import brantas.settings.Machine;
import brantas.spi.BackendProvider;

/// Finds NVIDIA GPUs.
public final class CudaProvider implements BackendProvider {
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
        Device device =
                devices.open(devices.choose(choice.device()), Machine.synchronousLaunches());
        try {
            return new CudaBackend(device, KernelImage.find(), choice);
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }
}
