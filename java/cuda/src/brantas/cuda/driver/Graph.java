package brantas.cuda.driver;

import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;

/// Work that was recorded from a stream once and is launched as one piece any number of times.
/// Launch arguments are those of the recording; what changes from run to run lies in device memory.
/// Memory that the recorded work touches must outlive the graph.
public final class Graph implements AutoCloseable {
    private final Device device;
    private final String name;
    private final CUgraphExec handle;
    private final Owned owned;

    private Graph(Device device, String name, CUgraphExec handle) {
        this.device = device;
        this.name = name;
        this.handle = handle;
        this.owned =
                device.own(
                        new Owned(
                                "cuGraphExecDestroy",
                                name,
                                () -> JCudaDriver.cuGraphExecDestroy(handle)));
    }

    /// Records what `work` puts into `stream`; nothing of it is done now. If it throws, or does
    /// what cannot be recorded, the recording ends and the stream is as before.
    public static Graph capture(Stream stream, Runnable work) {
        Device device = stream.device();
        device.enter();
        stream.requireNotRecording("another recording");
        CUgraph recorded = new CUgraph();
        Calls calls = device.calls();
        // Thread-local: other threads go on allocating, for another model on the same device.
        int code =
                JCudaDriver.cuStreamBeginCapture(
                        stream.handle(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
        calls.check(code, "cuStreamBeginCapture", stream);
        boolean complete = false;
        stream.recording(true);
        try {
            work.run();
            complete = true;
        } finally {
            stream.recording(false);
            code = JCudaDriver.cuStreamEndCapture(stream.handle(), recorded);
            if (!complete && code == 0) {
                JCudaDriver.cuGraphDestroy(recorded);
            }
        }
        calls.check(code, "cuStreamEndCapture", stream);
        try {
            CUgraphExec handle = new CUgraphExec();
            code = JCudaDriver.cuGraphInstantiate(handle, recorded, 0);
            calls.check(code, "cuGraphInstantiate", stream);
            return new Graph(device, "a graph of " + stream, handle);
        } finally {
            JCudaDriver.cuGraphDestroy(recorded);
        }
    }

    /// Puts the recorded work into `stream`.
    public void launch(Stream stream) {
        device.enter();
        device.calls()
                .check(JCudaDriver.cuGraphLaunch(handle, stream.handle()), "cuGraphLaunch", this);
        if (device.synchronous()) {
            stream.synchronize();
        }
    }

    @Override
    public void close() {
        device.disown(owned);
    }

    @Override
    public String toString() {
        return name;
    }
}
