package brantas.cuda.driver;

import jcuda.driver.CUfunction;

/// JCuda's function, with the handle that JCuda keeps to itself.
final class FunctionHandle extends CUfunction {
    long value() {
        return getNativePointer();
    }
}
