package brantas.cuda.driver;

import brantas.cuda.driver.Kernel.Field;
import brantas.cuda.shim.LaunchRequest;
import brantas.cuda.shim.Shim;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// A kernel on a device, with the one block of memory outside the Java heap that its arguments are
/// written to, in the order of the struct: `begin()`, a call per field, `launch`. The driver copies
/// the block at the launch, so that it is free for the next at once. Nothing is allocated. Not
/// thread-safe.
public final class Function {
    /// Shared memory that every kernel gets unasked.
    private static final int PLAIN_SHARED = 48 << 10;

    private static final int LARGEST_GRID_YZ = 65_535;
    private static final int LARGEST_BLOCK = 1024;
    private static final int NOT_BEGUN = -1;

    /// The other way to pass arguments. JCuda is quickest with none.
    private static final @Nullable Pointer NO_EXTRA = null;

    private final Device device;
    private final Kernel kernel;
    private final Field[] fields;
    private final FunctionHandle handle;
    private final MemorySegment struct;
    private final HostAddress parameters;
    // Where there is a shim for it, launches are programmatic unless the stream forbids it.
    private final @Nullable Shim shim;
    private final LaunchRequest request;
    private int next = NOT_BEGUN;
    private int grantedShared = PLAIN_SHARED;

    // Of the last launch, for messages.
    private int gridX;
    private int gridY;
    private int gridZ;
    private int block;
    private int shared;

    Function(Device device, Kernel kernel, FunctionHandle handle) {
        this.device = device;
        this.kernel = kernel;
        this.fields = kernel.fields().toArray(Field[]::new);
        this.handle = handle;
        // The driver takes an array of addresses of parameters: one, of the struct behind it.
        MemorySegment memory = device.permanent(2L * Long.BYTES + kernel.bytes());
        this.struct = memory.asSlice(2L * Long.BYTES);
        memory.set(ValueLayout.JAVA_LONG, 0, struct.address());
        this.parameters = HostAddress.of(memory);
        this.shim = device.shimFor(handle, kernel.name()).orElse(null);
        this.request = device.request(handle, parameters).attributes(Shim.PROGRAMMATIC, 1);
    }

    /// What is launched.
    public Kernel kernel() {
        return kernel;
    }

    /// Starts writing the arguments of the next launch.
    public Function begin() {
        next = 0;
        return this;
    }

    /// The next field, a device address.
    public Function address(long value) {
        struct.set(ValueLayout.JAVA_LONG, offset(Kernel.Type.U64), value);
        return this;
    }

    /// The next field, `i64`.
    public Function int64(long value) {
        struct.set(ValueLayout.JAVA_LONG, offset(Kernel.Type.I64), value);
        return this;
    }

    /// The next field, `i32`.
    public Function int32(int value) {
        struct.set(ValueLayout.JAVA_INT, offset(Kernel.Type.I32), value);
        return this;
    }

    /// The next field, `u32`.
    public Function uint32(int value) {
        struct.set(ValueLayout.JAVA_INT, offset(Kernel.Type.U32), value);
        return this;
    }

    /// The next field, `f32`.
    public Function float32(float value) {
        struct.set(ValueLayout.JAVA_FLOAT, offset(Kernel.Type.F32), value);
        return this;
    }

    /// The next field, [Rows].
    public Function rows(Rows value) {
        int offset = offset(Kernel.Type.ROWS);
        struct.set(ValueLayout.JAVA_LONG, offset, value.live());
        struct.set(ValueLayout.JAVA_INT, offset + 8, value.from());
        struct.set(ValueLayout.JAVA_INT, offset + 12, value.to());
        return this;
    }

    private int offset(Kernel.Type type) {
        if (next < 0 || next >= fields.length || fields[next].type() != type) {
            throw wrongField(type);
        }
        return fields[next++].offset();
    }

    private IllegalStateException wrongField(Kernel.Type type) {
        String got = kernel.name() + ": " + type + " was written ";
        if (next == NOT_BEGUN) {
            return new IllegalStateException(got + "before begin()");
        }
        if (next == fields.length) {
            return new IllegalStateException(got + "after the last field");
        }
        return new IllegalStateException(got + "for field " + fields[next]);
    }

    /// Launches with the kernel's block size and shared memory.
    public void launch(Stream stream, int gridX, int gridY, int gridZ) {
        launch(stream, gridX, gridY, gridZ, fixed(kernel.block(), "block size"), shared());
    }

    /// Launches with the kernel's block size and stated shared memory.
    public void launch(Stream stream, int gridX, int gridY, int gridZ, int sharedBytes) {
        int threads = fixed(kernel.block(), "block size");
        launch(stream, gridX, gridY, gridZ, threads, sharedBytes);
    }

    /// Launches with stated block size and shared memory. A grid without blocks launches nothing.
    public void launch(
            Stream stream, int gridX, int gridY, int gridZ, int threads, int sharedBytes) {
        this.gridX = gridX;
        this.gridY = gridY;
        this.gridZ = gridZ;
        this.block = threads;
        this.shared = sharedBytes;
        requireLaunchable(stream);
        if (gridX == 0 || gridY == 0 || gridZ == 0) {
            return;
        }
        device.enter();
        if (sharedBytes > grantedShared) {
            askForShared();
        }
        Timeline timeline = stream.timeline();
        if (timeline == null) {
            start(stream);
        } else {
            timeline.run(
                    Timeline.Kind.KERNEL,
                    kernel.name(),
                    gridX + "×" + gridY + "×" + gridZ + " of " + threads,
                    () -> start(stream));
        }
        if (device.synchronous() && !stream.recording()) {
            int code = JCudaDriver.cuStreamSynchronize(stream.handle());
            device.calls().check(code, "cuStreamSynchronize", this);
        }
    }

    private void start(Stream stream) {
        StreamHandle queue = stream.handle();
        if (shim != null && stream.programmatic()) {
            request.stream(queue.value()).grid(gridX, gridY, gridZ).block(block, shared);
            device.calls().check(shim.launch(request), "cuLaunchKernelEx", this);
            return;
        }
        int code =
                JCudaDriver.cuLaunchKernel(
                        handle,
                        gridX,
                        gridY,
                        gridZ,
                        block,
                        1,
                        1,
                        shared,
                        queue,
                        parameters,
                        NO_EXTRA);
        device.calls().check(code, "cuLaunchKernel", this);
    }

    private int shared() {
        return fixed(kernel.shared(), "shared memory");
    }

    private int fixed(int size, String what) {
        if (size == Kernel.VARIABLE) {
            throw new IllegalStateException(kernel.name() + ": the launch must state its " + what);
        }
        return size;
    }

    private void requireLaunchable(Stream stream) {
        if (next != fields.length) {
            throw new IllegalStateException(
                    kernel.name()
                            + ": launched without argument "
                            + fields[Math.max(0, next)].name());
        }
        if (stream.device() != device) {
            throw new IllegalStateException(kernel.name() + ": " + stream + " is another device's");
        }
        if (gridX < 0 || gridY < 0 || gridZ < 0 || Math.max(gridY, gridZ) > LARGEST_GRID_YZ) {
            throw new IllegalStateException(
                    this + ": a grid has at most 2147483647 × 65535 × 65535 blocks");
        }
        if (block < 1 || block > LARGEST_BLOCK || !agrees(block, kernel.block())) {
            throw new IllegalStateException(this + ": the block size is not the kernel's");
        }
        if (shared < 0 || !agrees(shared, kernel.shared())) {
            throw new IllegalStateException(this + ": the shared memory is not the kernel's");
        }
    }

    private static boolean agrees(int stated, int declared) {
        return declared == Kernel.VARIABLE || stated == declared;
    }

    /// More shared memory than every kernel gets is granted to a function once, or refused.
    private void askForShared() {
        int most = device.info().sharedMemory();
        if (shared > most) {
            throw new DeviceException(
                    this + " needs more shared memory than the " + most + " bytes of " + device);
        }
        int code =
                JCudaDriver.cuFuncSetAttribute(
                        handle,
                        CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                        shared);
        device.calls().check(code, "cuFuncSetAttribute", this);
        grantedShared = shared;
    }

    /// Kernel, launch and argument values, as messages show them.
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("kernel ").append(kernel.name());
        text.append(" (grid ").append(gridX).append('×').append(gridY).append('×').append(gridZ);
        text.append(", block ").append(block).append(", shared ").append(shared);
        for (Field field : List.of(fields).subList(0, Math.max(0, next))) {
            text.append(", ").append(field.name()).append(' ').append(value(field));
        }
        return text.append(')').toString();
    }

    private String value(Field field) {
        int at = field.offset();
        return switch (field.type()) {
            case U64 -> "0x" + Long.toHexString(struct.get(ValueLayout.JAVA_LONG, at));
            case I64 -> Long.toString(struct.get(ValueLayout.JAVA_LONG, at));
            case I32 -> Integer.toString(struct.get(ValueLayout.JAVA_INT, at));
            case U32 -> Integer.toUnsignedString(struct.get(ValueLayout.JAVA_INT, at));
            case F32 -> Float.toString(struct.get(ValueLayout.JAVA_FLOAT, at));
            case ROWS ->
                    struct.get(ValueLayout.JAVA_INT, at + 8)
                            + "–"
                            + struct.get(ValueLayout.JAVA_INT, at + 12)
                            + " of 0x"
                            + Long.toHexString(struct.get(ValueLayout.JAVA_LONG, at));
        };
    }
}
