package brantas.cuda.driver;

import jcuda.driver.CUstream;

/// JCuda's stream, with the handle that JCuda keeps to itself.
final class StreamHandle extends CUstream {
    long value() {
        return getNativePointer();
    }
}
