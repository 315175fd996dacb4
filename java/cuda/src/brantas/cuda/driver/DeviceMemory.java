package brantas.cuda.driver;

import jcuda.driver.CUdeviceptr;

/// A block of device memory, zeroed when it is allocated. Closing gives it back to the device for
/// reuse; whoever closes it has seen to it that nothing running uses it any more.
public final class DeviceMemory implements AutoCloseable {
    private final Device device;
    private final DeviceAddress pointer;
    private final String name;
    private final long bytes;
    private boolean closed;

    DeviceMemory(Device device, DeviceAddress pointer, String name, long bytes) {
        this.device = device;
        this.pointer = pointer;
        this.name = name;
        this.bytes = bytes;
    }

    /// Where it starts, as kernels take it.
    public long address() {
        requireOpen();
        return pointer.value();
    }

    public long bytes() {
        return bytes;
    }

    /// What messages call it.
    public String name() {
        return name;
    }

    /// JCuda's pointer to `length` bytes from `offset`, after a check that they lie inside.
    CUdeviceptr pointer(long offset, long length) {
        requireOpen();
        if (offset < 0 || length < 0 || offset > bytes - length) {
            throw new IndexOutOfBoundsException(
                    length + " bytes from " + offset + " of " + name + ", which has " + bytes);
        }
        return offset == 0 ? pointer : pointer.withByteOffset(offset);
    }

    private void requireOpen() {
        if (closed || device.closed()) {
            throw new IllegalStateException(name + " was closed");
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            device.giveBack(pointer, bytes);
        }
    }

    @Override
    public String toString() {
        return name + " (" + bytes + " bytes)";
    }
}
