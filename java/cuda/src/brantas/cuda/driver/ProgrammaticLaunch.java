package brantas.cuda.driver;

import brantas.cuda.shim.Shim;
import java.util.Optional;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.JCudaDriver;

/// How a device starts kernels before their predecessors in the stream have ended, which hides the
/// time that a start takes: with the shim, since JCuda cannot, or not at all. Every kernel of ours
/// waits for its predecessors itself, so that it is right for each of them, inside a recording too,
/// but only in code made for compute capability 9.0 or later; before, that wait is empty.
///
/// @param missing why there is no shim, one sentence; empty where there is one
record ProgrammaticLaunch(Optional<Shim> shim, String missing) {
    /// The first architecture with an instruction to wait.
    private static final int FIRST = 90;

    static ProgrammaticLaunch of(DeviceInfo info) {
        if (10 * info.major() + info.minor() < FIRST) {
            return new ProgrammaticLaunch(
                    Optional.empty(),
                    "compute capability "
                            + info.capability()
                            + " is below 9.0: kernels start without programmatic launch.");
        }
        StringBuilder reason = new StringBuilder();
        Optional<Shim> shim = Shim.open(reason::append);
        return new ProgrammaticLaunch(shim, reason.toString());
    }

    /// The shim, if `function` may be launched by it. The device's capability does not tell: one
    /// that the image has no machine code for runs what the driver makes of older code.
    Optional<Shim> shimFor(FunctionHandle function, Calls calls, String name) {
        if (shim.isEmpty()) {
            return shim;
        }
        int[] madeFor = new int[1];
        int code =
                JCudaDriver.cuFuncGetAttribute(
                        madeFor, CUfunction_attribute.CU_FUNC_ATTRIBUTE_PTX_VERSION, function);
        calls.check(code, "cuFuncGetAttribute", name);
        return madeFor[0] >= FIRST ? shim : Optional.empty();
    }
}
