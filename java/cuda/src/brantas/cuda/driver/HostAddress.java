package brantas.cuda.driver;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;

/// JCuda's pointer to memory outside the Java heap. JCuda passes an address that it is constructed
/// with straight on: 0.2 µs a launch, where a pointer to Java arrays costs several and holds the
/// collector while the driver works.
final class HostAddress extends Pointer {
    /// To receive an address from the driver.
    HostAddress() {
        super(0L);
    }

    HostAddress(long address) {
        super(address);
    }

    /// The start of `segment`, which must be native and outlive the use of this pointer.
    static HostAddress of(MemorySegment segment) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("the driver takes native memory only");
        }
        return new HostAddress(segment.address());
    }

    long value() {
        return getNativePointer() + getByteOffset();
    }
}
