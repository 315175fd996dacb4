package brantas.cuda.shim;

import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;

/// The functions of `native-build/shim/brantas_shim.h`. JavaCPP reads this class when the module is
/// built and compiles the library from it; numbers and addresses only, so that a call costs
/// nanoseconds and makes no objects.
@Platform(
        include = {"brantas_shim.h", "brantas_shim.cpp"},
        library = Binding.LIBRARY,
        compiler = "cpp17",
        link = "dl")
final class Binding {
    static final String LIBRARY = "jnibrantas_shim";

    private Binding() {}

    @Name("brantas_shim_open")
    static native int open();

    @Name("brantas_shim_launch")
    static native int launch(long request);
}
