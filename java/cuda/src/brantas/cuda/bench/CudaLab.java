package brantas.cuda.bench;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Device;
import brantas.spi.BackendProvider;
import brantas.spi.KernelLab;

/// The kernels of the cuda backend.
public final class CudaLab implements KernelLab {
    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public Bench open(BackendProvider.Choice choice) {
        Device device = CudaProvider.device(choice);
        try {
            return new CudaBench(device);
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }
}
