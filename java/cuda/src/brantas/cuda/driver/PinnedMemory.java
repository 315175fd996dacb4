package brantas.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;

/// Page-locked host memory, zeroed when it is allocated: what the device copies from and to while
/// the host goes on. Closing gives it back for reuse and ends the life of its segment; no copy may
/// be under way then.
public final class PinnedMemory implements AutoCloseable {
    private final Device device;
    private final HostAddress pointer;
    private final String name;
    // Shared: filled by a reader thread, copied from by the engine's.
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    PinnedMemory(Device device, HostAddress pointer, String name, long bytes) {
        this.device = device;
        this.pointer = pointer;
        this.name = name;
        this.segment = MemorySegment.ofAddress(pointer.value()).reinterpret(bytes, arena, null);
    }

    /// The memory; using it after [#close] throws.
    public MemorySegment segment() {
        return segment;
    }

    public long bytes() {
        return segment.byteSize();
    }

    /// What messages call it.
    public String name() {
        return name;
    }

    /// JCuda's pointer to `length` bytes from `offset`, after a check that they lie inside.
    Pointer pointer(long offset, long length) {
        if (!arena.scope().isAlive()) {
            throw new IllegalStateException(name + " was closed");
        }
        if (offset < 0 || length < 0 || offset > bytes() - length) {
            throw new IndexOutOfBoundsException(
                    length + " bytes from " + offset + " of " + name + ", which has " + bytes());
        }
        return offset == 0 ? pointer : pointer.withByteOffset(offset);
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
            device.giveBack(this, pointer);
        }
    }

    /// Ends the segment's life, when the device frees the memory itself.
    void invalidate() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    @Override
    public String toString() {
        return name + " (" + bytes() + " bytes, page-locked)";
    }
}
