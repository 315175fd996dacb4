package brantas.cuda.driver;

import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// An ordered queue of work on a device: copies, fills, launches, marks. Nothing waits unless it
/// says so. Copies go between page-locked and device memory only: an asynchronous copy from memory
/// that the system may move, such as a Java array, would read it after the call returned.
/// Destination first, source after, sizes last. Not thread-safe.
public final class Stream implements AutoCloseable {
    private final Device device;
    private final String name;
    private final StreamHandle handle;
    private final Owned owned;
    private boolean recording;
    private boolean programmatic = true;
    private @Nullable Timeline timeline;

    private Stream(Device device, String name, StreamHandle handle) {
        this.device = device;
        this.name = name;
        this.handle = handle;
        this.owned =
                device.own(
                        new Owned(
                                "cuStreamDestroy",
                                "stream " + name,
                                () -> JCudaDriver.cuStreamDestroy(handle)));
    }

    static Stream create(Device device, String name) {
        device.enter();
        StreamHandle handle = new StreamHandle();
        // Non-blocking: never waits for the driver's default stream.
        int code = JCudaDriver.cuStreamCreate(handle, CUstream_flags.CU_STREAM_NON_BLOCKING);
        device.calls().check(code, "cuStreamCreate", "stream " + name);
        return new Stream(device, name, handle);
    }

    /// Starts copying all of `from`, which must fit.
    public void copyIn(DeviceMemory to, PinnedMemory from) {
        copyIn(to, 0, from, 0, from.bytes());
    }

    /// Starts copying from host to device; `from` stays unchanged until the copy is done.
    public void copyIn(
            DeviceMemory to, long toOffset, PinnedMemory from, long fromOffset, long bytes) {
        Timeline watching = timeline;
        if (watching != null) {
            watching.run(
                    Timeline.Kind.UPLOAD,
                    "upload",
                    bytes + " bytes",
                    () -> startCopyIn(to, toOffset, from, fromOffset, bytes));
        } else {
            startCopyIn(to, toOffset, from, fromOffset, bytes);
        }
    }

    private void startCopyIn(
            DeviceMemory to, long toOffset, PinnedMemory from, long fromOffset, long bytes) {
        device.enter();
        int code =
                JCudaDriver.cuMemcpyHtoDAsync(
                        to.pointer(toOffset, bytes),
                        from.pointer(fromOffset, bytes),
                        bytes,
                        handle);
        if (code != 0) {
            throw copyFailure(code, "cuMemcpyHtoDAsync", to, from, bytes);
        }
    }

    /// Starts copying into all of `to`.
    public void copyOut(PinnedMemory to, DeviceMemory from) {
        copyOut(to, 0, from, 0, to.bytes());
    }

    /// Starts copying from device to host; `to` is complete after [#synchronize] or an [Event].
    public void copyOut(
            PinnedMemory to, long toOffset, DeviceMemory from, long fromOffset, long bytes) {
        Timeline watching = timeline;
        if (watching != null) {
            watching.run(
                    Timeline.Kind.DOWNLOAD,
                    "download",
                    bytes + " bytes",
                    () -> startCopyOut(to, toOffset, from, fromOffset, bytes));
        } else {
            startCopyOut(to, toOffset, from, fromOffset, bytes);
        }
    }

    private void startCopyOut(
            PinnedMemory to, long toOffset, DeviceMemory from, long fromOffset, long bytes) {
        device.enter();
        int code =
                JCudaDriver.cuMemcpyDtoHAsync(
                        to.pointer(toOffset, bytes),
                        from.pointer(fromOffset, bytes),
                        bytes,
                        handle);
        if (code != 0) {
            throw copyFailure(code, "cuMemcpyDtoHAsync", to, from, bytes);
        }
    }

    /// Starts copying within the device; the two ranges do not overlap.
    public void copy(
            DeviceMemory to, long toOffset, DeviceMemory from, long fromOffset, long bytes) {
        device.enter();
        int code =
                JCudaDriver.cuMemcpyDtoDAsync(
                        to.pointer(toOffset, bytes),
                        from.pointer(fromOffset, bytes),
                        bytes,
                        handle);
        if (code != 0) {
            throw copyFailure(code, "cuMemcpyDtoDAsync", to, from, bytes);
        }
    }

    private RuntimeException copyFailure(
            int code, String operation, Object to, Object from, long bytes) {
        String subject = bytes + " bytes from " + from + " to " + to + " in " + this;
        return device.calls().failure(code, operation, subject);
    }

    /// Starts filling a range with one byte value.
    public void fill(DeviceMemory memory, long offset, long bytes, byte value) {
        device.enter();
        int code = JCudaDriver.cuMemsetD8Async(memory.pointer(offset, bytes), value, bytes, handle);
        device.calls().check(code, "cuMemsetD8Async", memory);
    }

    /// Waits until everything in the stream is done.
    public void synchronize() {
        device.enter();
        requireNotRecording("waiting for it");
        Timeline watching = timeline;
        if (watching != null) {
            watching.run(Timeline.Kind.WAIT, "wait", "", this::waitForAll);
        } else {
            waitForAll();
        }
    }

    private void waitForAll() {
        device.calls().check(JCudaDriver.cuStreamSynchronize(handle), "cuStreamSynchronize", this);
    }

    /// Puts `event` behind everything that is in the stream now.
    public void record(Event event) {
        device.enter();
        device.calls()
                .check(JCudaDriver.cuEventRecord(event.handle(), handle), "cuEventRecord", this);
    }

    /// Lets everything that is put into the stream from now on wait for `event`.
    public void await(Event event) {
        device.enter();
        device.calls()
                .check(
                        JCudaDriver.cuStreamWaitEvent(handle, event.handle(), 0),
                        "cuStreamWaitEvent",
                        this);
    }

    StreamHandle handle() {
        return handle;
    }

    Device device() {
        return device;
    }

    /// Whether kernels may begin before their predecessors have ended, where the device can do
    /// that; they may unless this says otherwise.
    public void programmatic(boolean on) {
        programmatic = on;
    }

    boolean programmatic() {
        return programmatic;
    }

    /// Has everything that is put into the stream from now on timed; null ends that.
    void watch(@Nullable Timeline by) {
        timeline = by;
    }

    @Nullable Timeline timeline() {
        return timeline;
    }

    /// Whether a [Timeline] watches.
    public boolean watched() {
        return timeline != null;
    }

    /// Whether work is recorded into a graph rather than done.
    boolean recording() {
        return recording;
    }

    void recording(boolean on) {
        recording = on;
        device.recording(on);
    }

    void requireNotRecording(String what) {
        if (recording) {
            throw new IllegalStateException(this + " is being recorded: " + what + " is no part");
        }
    }

    /// Gives the stream back; its work is finished first by the driver.
    @Override
    public void close() {
        device.disown(owned);
    }

    @Override
    public String toString() {
        return "stream " + name;
    }
}
