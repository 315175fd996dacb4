package brantas.cuda.driver;

import brantas.cuda.shim.LaunchRequest;
import brantas.cuda.shim.Shim;
import brantas.settings.BrantasException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// An open device: its context, and everything that was allocated, created or loaded there. Any
/// thread may use it, one at a time for any one stream; the context is made current as needed.
/// Closing gives all of it back, also after errors.
public final class Device implements AutoCloseable {
    private static final int DEVICE_UNAVAILABLE = 46;
    private static final long MEBIBYTE = 1 << 20;

    private final DeviceInfo info;
    private final CUdevice handle;
    private final CUcontext context = new CUcontext();
    private final Calls calls;
    private final boolean synchronous;
    private final MemoryPool<DeviceAddress> pool;
    private final MemoryPool<HostAddress> pinnedPool;
    private final Set<PinnedMemory> pinned = new LinkedHashSet<>();
    private final List<Owned> owned = new ArrayList<>();
    // Shared: argument blocks are made by the thread that opens and written by the engine's.
    private final Arena arena = Arena.ofShared();
    private final Stream setup;
    private final ProgrammaticLaunch programmaticLaunch;
    private volatile boolean closed;
    private volatile @Nullable Thread recording;

    Device(DeviceInfo info, CUdevice handle, Calls calls, boolean synchronous) {
        this.info = info;
        this.handle = handle;
        this.calls = calls;
        this.synchronous = synchronous;
        this.pool = new MemoryPool<>(new DeviceSource(), calls);
        this.pinnedPool = new MemoryPool<>(new PinnedSource(), calls);
        retain();
        try {
            this.setup = stream("set-up");
            this.programmaticLaunch = ProgrammaticLaunch.of(info);
        } catch (RuntimeException e) {
            CurrentContext.leave();
            JCudaDriver.cuDevicePrimaryCtxRelease(handle);
            arena.close();
            throw e;
        }
    }

    /// The primary context: the one that CUDA libraries in this process would use too.
    private void retain() {
        int code = JCudaDriver.cuDevicePrimaryCtxRetain(context, handle);
        if (code == DEVICE_UNAVAILABLE) {
            throw new BrantasException(
                    info.title()
                            + " is in exclusive use by another program: end it, set the compute"
                            + " mode to default with nvidia-smi -c 0, or choose another device.");
        }
        calls.check(code, "cuDevicePrimaryCtxRetain", "a context");
    }

    /// What the device is.
    public DeviceInfo info() {
        return info;
    }

    /// Why no kernel can begin before its predecessor in a stream has ended; empty where it can,
    /// see [Module#programmaticLaunch].
    public String withoutProgrammaticLaunch() {
        return programmaticLaunch.missing();
    }

    Optional<Shim> shimFor(FunctionHandle function, String name) {
        return programmaticLaunch.shimFor(function, calls, name);
    }

    /// A zeroed block of device memory.
    ///
    /// @param name for messages, `the key cache of layer 3`
    /// @throws BrantasException when the device has too little memory
    public DeviceMemory allocate(String name, long bytes) {
        requireAllocation(name, bytes);
        DeviceAddress block = pool.reuse(bytes);
        if (block != null) {
            // Whatever was started before the block was given back may still write to it.
            synchronize();
        } else {
            block = pool.create(bytes, "cuMemAlloc", name);
        }
        if (block == null) {
            throw new BrantasException(
                    name
                            + " needs "
                            + mebibytes(bytes)
                            + " on "
                            + info.title()
                            + ", "
                            + mebibytes(freeMemory())
                            + " are free: lower --context or --sequences, or use a smaller model.");
        }
        DeviceMemory memory = new DeviceMemory(this, block, name, bytes);
        try {
            setup.fill(memory, 0, bytes, (byte) 0);
            setup.synchronize();
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
        return memory;
    }

    /// A zeroed block of page-locked host memory.
    ///
    /// @throws BrantasException when the system does not grant it
    public PinnedMemory allocatePinned(String name, long bytes) {
        requireAllocation(name, bytes);
        HostAddress block = pinnedPool.reuse(bytes);
        if (block != null) {
            synchronize();
        } else {
            block = pinnedPool.create(bytes, "cuMemHostAlloc", name);
        }
        if (block == null) {
            throw new BrantasException(
                    name
                            + " needs "
                            + mebibytes(bytes)
                            + " of page-locked host memory, which the system does not grant: free"
                            + " memory on this machine, or lower --context or --sequences.");
        }
        PinnedMemory memory = new PinnedMemory(this, block, name, bytes);
        memory.segment().fill((byte) 0);
        synchronized (this) {
            pinned.add(memory);
        }
        return memory;
    }

    private void requireAllocation(String name, long bytes) {
        if (bytes <= 0) {
            throw new IllegalArgumentException(name + " of " + bytes + " bytes");
        }
        enter();
        // The driver would refuse, and the recording would be lost with it.
        requireNotRecording("memory for " + name);
    }

    /// A new ordered queue of work.
    ///
    /// @param name for messages
    public Stream stream(String name) {
        return Stream.create(this, name);
    }

    /// A new mark in streams.
    ///
    /// @param timed whether [Event#millisecondsSince] can be asked
    public Event event(boolean timed) {
        return Event.create(this, timed);
    }

    /// Loads a kernel image from a file.
    ///
    /// @throws BrantasException when the file cannot be read, does not fit the device, or was built
    ///   from other kernels than `manifest` lists
    public Module load(Path file, Manifest manifest) {
        return Module.load(this, file, manifest);
    }

    /// Keeps `thing` until it is given back or the device is closed.
    synchronized Owned own(Owned thing) {
        owned.add(thing);
        return thing;
    }

    /// Gives something back before the device is closed; once.
    void disown(Owned thing) {
        synchronized (this) {
            if (closed || !owned.remove(thing)) {
                return;
            }
        }
        enterForRelease();
        calls.check(thing.release(), thing.operation(), thing);
    }

    /// Waits for everything that was started on the device.
    public void synchronize() {
        enter();
        requireNotRecording("waiting for the device");
        calls.check(JCudaDriver.cuCtxSynchronize(), "cuCtxSynchronize", "the device");
    }

    /// Free memory in bytes, kept blocks included.
    public long freeMemory() {
        enter();
        long[] free = new long[1];
        calls.check(JCudaDriver.cuMemGetInfo(free, new long[1]), "cuMemGetInfo", "free memory");
        return free[0] + pool.freeBytes();
    }

    /// Bytes of device memory in use.
    public long usedMemory() {
        return pool.bytes() - pool.freeBytes();
    }

    /// Gives memory that is kept for reuse back to the system.
    public void trim() {
        enter();
        calls.check(pool.trim(), "cuMemFree", "unused memory");
        calls.check(pinnedPool.trim(), "cuMemFreeHost", "unused page-locked memory");
    }

    /// Makes the context current on this thread and refuses a device that is lost or closed.
    void enter() {
        if (closed) {
            throw new IllegalStateException(info.title() + " was closed");
        }
        calls.requireUsable();
        calls.check(CurrentContext.enter(this, context), "cuCtxSetCurrent", "this thread");
    }

    /// Like [#enter] for giving back, which goes on after errors.
    private void enterForRelease() {
        int code = CurrentContext.enter(this, context);
        if (code != 0 && !calls.unusable()) {
            calls.check(code, "cuCtxSetCurrent", "this thread");
        }
    }

    Calls calls() {
        return calls;
    }

    /// Whether every launch is waited for.
    boolean synchronous() {
        return synchronous;
    }

    boolean closed() {
        return closed;
    }

    /// Memory outside the Java heap that lives as long as the device is open.
    MemorySegment permanent(long bytes) {
        return arena.allocate(bytes, Long.BYTES);
    }

    /// The request for launches of a function, which lives as long as the device is open.
    LaunchRequest request(FunctionHandle function, HostAddress parameters) {
        return new LaunchRequest(arena, function.value(), parameters.value());
    }

    void recording(boolean on) {
        recording = on ? Thread.currentThread() : null;
    }

    private void requireNotRecording(String what) {
        if (Thread.currentThread().equals(recording)) {
            throw new IllegalStateException(what + " cannot be part of a recorded graph");
        }
    }

    void giveBack(DeviceAddress block, long bytes) {
        pool.giveBack(block, bytes);
    }

    void giveBack(PinnedMemory memory, HostAddress block) {
        synchronized (this) {
            pinned.remove(memory);
        }
        pinnedPool.giveBack(block, memory.bytes());
    }

    /// Waits for running work and gives everything back, in the reverse order of creation. What
    /// cannot be freed does not keep the rest; it is reported at the end, unless an earlier error
    /// made the device unusable and explains it.
    @Override
    public void close() {
        List<Owned> things;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            things = List.copyOf(owned).reversed();
            owned.clear();
        }
        Failures failures = new Failures(calls);
        pinned.forEach(failures::invalidate);
        pinned.clear();
        failures.note(CurrentContext.enter(this, context), "cuCtxSetCurrent", "this thread");
        failures.note(JCudaDriver.cuCtxSynchronize(), "cuCtxSynchronize", "the device");
        for (Owned thing : things) {
            failures.note(thing.release(), thing.operation(), thing);
        }
        failures.note(pool.freeAll(), "cuMemFree", "device memory");
        failures.note(pinnedPool.freeAll(), "cuMemFreeHost", "page-locked memory");
        CurrentContext.leave();
        int code = JCudaDriver.cuDevicePrimaryCtxRelease(handle);
        failures.note(code, "cuDevicePrimaryCtxRelease", "the context");
        arena.close();
        failures.report();
    }

    /// What went wrong while closing: the first is reported, unless an error before explains it.
    private static final class Failures {
        private final Calls calls;
        private final boolean explained;
        private @Nullable RuntimeException first;

        Failures(Calls calls) {
            this.calls = calls;
            this.explained = calls.unusable();
        }

        void note(int code, String operation, Object subject) {
            if (code != 0 && first == null) {
                first = calls.failure(code, operation, subject);
            }
        }

        void invalidate(PinnedMemory memory) {
            try {
                memory.invalidate();
            } catch (IllegalStateException e) {
                // Another thread is inside it, which is that thread's mistake.
                first = first == null ? e : first;
            }
        }

        void report() {
            if (first != null && !explained) {
                throw first;
            }
        }
    }

    private static String mebibytes(long bytes) {
        return Math.ceilDiv(bytes, MEBIBYTE) + " MiB";
    }

    @Override
    public String toString() {
        return info.title();
    }

    private static final class DeviceSource implements MemoryPool.Source<DeviceAddress> {
        @Override
        public DeviceAddress pointer() {
            return new DeviceAddress();
        }

        @Override
        public int allocate(DeviceAddress pointer, long bytes) {
            return JCudaDriver.cuMemAlloc(pointer, bytes);
        }

        @Override
        public int free(DeviceAddress pointer) {
            return JCudaDriver.cuMemFree(pointer);
        }
    }

    private static final class PinnedSource implements MemoryPool.Source<HostAddress> {
        @Override
        public HostAddress pointer() {
            return new HostAddress();
        }

        @Override
        public int allocate(HostAddress pointer, long bytes) {
            return JCudaDriver.cuMemHostAlloc(pointer, bytes, 0);
        }

        @Override
        public int free(HostAddress pointer) {
            return JCudaDriver.cuMemFreeHost(pointer);
        }
    }
}
