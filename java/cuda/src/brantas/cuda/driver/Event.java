package brantas.cuda.driver;

import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.JCudaDriver;

/// A mark in a stream: passed when everything before it is done.
public final class Event implements AutoCloseable {
    private static final int NOT_READY = 600;

    private final Device device;
    private final CUevent handle;
    private final boolean timed;
    private final Owned owned;

    private Event(Device device, CUevent handle, boolean timed) {
        this.device = device;
        this.handle = handle;
        this.timed = timed;
        this.owned =
                device.own(
                        new Owned(
                                "cuEventDestroy",
                                "an event",
                                () -> JCudaDriver.cuEventDestroy(handle)));
    }

    static Event create(Device device, boolean timed) {
        device.enter();
        CUevent handle = new CUevent();
        int flags = timed ? CUevent_flags.CU_EVENT_DEFAULT : CUevent_flags.CU_EVENT_DISABLE_TIMING;
        device.calls().check(JCudaDriver.cuEventCreate(handle, flags), "cuEventCreate", "an event");
        return new Event(device, handle, timed);
    }

    /// Waits until the mark is passed.
    public void synchronize() {
        device.enter();
        device.calls().check(JCudaDriver.cuEventSynchronize(handle), "cuEventSynchronize", this);
    }

    /// Whether the mark is passed.
    public boolean passed() {
        device.enter();
        int code = JCudaDriver.cuEventQuery(handle);
        if (code == NOT_READY) {
            return false;
        }
        device.calls().check(code, "cuEventQuery", this);
        return true;
    }

    /// Time on the device between two marks that are both passed; both are timed.
    public float millisecondsSince(Event start) {
        if (!timed || !start.timed) {
            throw new IllegalStateException("the event was made without time");
        }
        device.enter();
        float[] milliseconds = new float[1];
        int code = JCudaDriver.cuEventElapsedTime(milliseconds, start.handle, handle);
        device.calls().check(code, "cuEventElapsedTime", this);
        return milliseconds[0];
    }

    CUevent handle() {
        return handle;
    }

    @Override
    public void close() {
        device.disown(owned);
    }

    @Override
    public String toString() {
        return "an event";
    }
}
