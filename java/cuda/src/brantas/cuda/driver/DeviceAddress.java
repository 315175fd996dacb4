package brantas.cuda.driver;

import jcuda.driver.CUdeviceptr;

/// JCuda's device pointer, with the address that JCuda keeps to itself.
final class DeviceAddress extends CUdeviceptr {
    long value() {
        return getNativePointer() + getByteOffset();
    }
}
