package brantas.cuda.driver;

import jcuda.driver.CUcontext;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// Which device's context is current on a thread. The driver keeps exactly one current context per
/// thread, and every call means that one; this mirror of it makes the test before each call a few
/// nanoseconds instead of a driver call.
final class CurrentContext {
    // Static because the driver's own state is: one per thread for the whole process.
    private static final ThreadLocal<@Nullable Object> OWNER = new ThreadLocal<>();

    private CurrentContext() {}

    /// Makes `context` current on this thread unless it is.
    ///
    /// @param owner stands for the context, equal to itself only: the driver may give a later
    ///   context the address of one that is gone
    /// @return the driver's code
    static int enter(Object owner, CUcontext context) {
        if (owner.equals(OWNER.get())) {
            return 0;
        }
        int code = JCudaDriver.cuCtxSetCurrent(context);
        if (code == 0) {
            OWNER.set(owner);
        }
        return code;
    }

    /// The context that is current on this thread will not be used again.
    static void leave() {
        OWNER.remove();
    }
}
