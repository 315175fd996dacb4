package brantas.cuda;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.Matrix;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The backend's memory: weights on their way to the device, working buffers, and rows that go in
/// and out. Everything lives as long as the device is open.
final class Store {
    private final Device device;
    private final Stream stream;
    private DeviceMemory faults;
    private long faultsAt;
    private @Nullable Uploader uploader;
    private @Nullable PinnedMemory staging;

    Store(Device device, Stream stream) {
        this.device = device;
        this.stream = stream;
        faults = device.allocate("fault flags", Integer.BYTES);
    }

    Device device() {
        return device;
    }

    Stream stream() {
        return stream;
    }

    /// Address of the word in which kernels set a bit when their input is impossible.
    long faultsAddress() {
        return faults.address() + faultsAt;
    }

    /// Moves that word to where it comes back with the results of a step.
    void placeFaults(DeviceMemory memory, long offset) {
        faults = memory;
        faultsAt = offset;
    }

    /// A zeroed block, freed with the device.
    DeviceMemory allocate(String name, long bytes) {
        return device.allocate(name, Math.max(16, bytes));
    }

    /// The way for weights; made when needed, gone at the first step.
    Uploader uploader(long rowBytes) {
        Uploader now = uploader;
        if (now != null && !now.fits(rowBytes)) {
            endUploads();
            now = null;
        }
        if (now == null) {
            now = new Uploader(device, stream, rowBytes);
            uploader = now;
        }
        return now;
    }

    /// Weights are complete: waits for the last and gives the staging memory back.
    void endUploads() {
        Uploader now = uploader;
        if (now != null) {
            // Forgotten first: when closing fails, nobody must go on with one half closed.
            uploader = null;
            now.close();
        }
    }

    /// Refuses a matrix that would lose precision on the way.
    void requireBf16(HostTensor tensor) {
        if (tensor.dtype() != DType.BF16) {
            throw new BrantasException(
                    "The cuda backend keeps matrices in bf16, and "
                            + tensor.name()
                            + " is "
                            + tensor.dtype()
                            + ": convert the checkpoint to bf16, or use --backend simd.");
        }
    }

    /// A bf16 matrix of the parts stacked by rows.
    DeviceWeight matrix(List<HostTensor> parts) {
        String name = parts.getFirst().name();
        int cols = (int) (parts.getFirst().elements() / parts.getFirst().dim(0));
        int rows = 0;
        long stored = 0;
        for (HostTensor part : parts) {
            requireBf16(part);
            if (part.elements() != (long) part.dim(0) * cols) {
                throw new IllegalArgumentException(part + " has not " + cols + " columns");
            }
            rows += part.dim(0);
            stored += part.data().byteSize();
        }
        DeviceMemory memory = allocate(name, DeviceBuffer.bytes(rows, cols, false));
        int stride = DeviceBuffer.stride(cols, false);
        long rowBytes = 2L * stride;
        long at = 0;
        for (HostTensor part : parts) {
            uploader(rowBytes)
                    .rows(
                            memory,
                            at,
                            part.dim(0),
                            rowBytes,
                            (row, to) -> ExpertWeights.copyRow(part, row, to));
            at += part.dim(0) * rowBytes;
        }
        Matrix matrix = new Matrix(memory.address(), rows, cols, stride);
        return new DeviceWeight(name, matrix, stored, memory);
    }

    /// A small tensor in fp32.
    DeviceWeight vector(HostTensor tensor) {
        float[] values = tensor.toFloats();
        long bytes = 4L * values.length;
        DeviceMemory memory = allocate(tensor.name(), bytes);
        MemorySegment from = MemorySegment.ofArray(values);
        uploader(bytes).rows(memory, 0, 1, bytes, (row, to) -> to.copyFrom(from));
        Matrix matrix = new Matrix(memory.address(), 1, values.length, values.length);
        return new DeviceWeight(tensor.name(), matrix, bytes, memory);
    }

    /// A small table that is no weight, in memory of its own, complete on return: by the rows' way,
    /// since the weights' has blocks that would be made for this alone.
    ///
    /// @param values at most `bytes`; what they leave is zero
    DeviceMemory upload(String name, long bytes, MemorySegment values) {
        DeviceMemory memory = allocate(name, bytes);
        PinnedMemory block = staging(bytes);
        block.segment().asSlice(0, bytes).fill((byte) 0).copyFrom(values);
        stream.copyIn(memory, 0, block, 0, bytes);
        stream.synchronize();
        return memory;
    }

    /// A zeroed buffer.
    ///
    /// @param wide whether values are fp32
    DeviceBuffer buffer(String name, int rows, int cols, boolean wide) {
        DeviceMemory memory = allocate(name, DeviceBuffer.bytes(rows, cols, wide));
        int stride = DeviceBuffer.stride(cols, wide);
        return new DeviceBuffer(
                name, new Matrix(memory.address(), rows, cols, stride), wide, memory);
    }

    /// Waits for rows of a buffer and widens them.
    void download(MemorySegment dst, DeviceBuffer buffer, int from, int count) {
        long bytes = count * buffer.rowBytes();
        PinnedMemory block = staging(bytes);
        stream.copyOut(block, 0, buffer.memory(), from * buffer.rowBytes(), bytes);
        stream.synchronize();
        buffer.unpack(block.segment(), count, dst);
    }

    /// The other way, rounding.
    void upload(DeviceBuffer buffer, int from, int count, MemorySegment src) {
        long bytes = count * buffer.rowBytes();
        PinnedMemory block = staging(bytes);
        block.segment().fill((byte) 0);
        buffer.pack(src, count, block.segment());
        stream.copyIn(buffer.memory(), from * buffer.rowBytes(), block, 0, bytes);
        stream.synchronize();
    }

    private PinnedMemory staging(long bytes) {
        PinnedMemory now = staging;
        if (now == null || now.bytes() < bytes) {
            if (now != null) {
                // Forgotten first: the next one may not be granted.
                staging = null;
                now.close();
            }
            now = device.allocatePinned("row staging", Math.max(bytes, 1 << 20));
            staging = now;
        }
        return now;
    }
}
