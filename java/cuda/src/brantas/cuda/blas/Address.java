package brantas.cuda.blas;

import jcuda.Pointer;

/// JCuda's pointer to a known address, of the device or outside the Java heap, which it passes
/// straight on.
final class Address extends Pointer {
    Address(long address) {
        super(address);
    }
}
