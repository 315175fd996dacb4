package brantas.cuda.driver;

import java.util.function.IntSupplier;
import jcuda.driver.CUstream;
import org.jspecify.annotations.Nullable;

/// A CUDA library of others that works beside our kernels: in a device's context and one of its
/// streams, for as long as the device is open. Its calls lie between [#enter] and [#called]. Not
/// thread-safe.
public final class Guest implements AutoCloseable {
    private static final int UNKNOWN = 999;

    private final Stream stream;
    private final String name;
    private @Nullable Owned owned;

    /// @param name of the library, for messages
    public Guest(Stream stream, String name) {
        this.stream = stream;
        this.name = name;
    }

    /// Makes the device's context current, which is the one that the library works in.
    ///
    /// @throws DeviceException when an earlier error made the device unusable
    public void enter() {
        stream.device().enter();
        stream.requireNotRecording("what " + name + " does");
    }

    /// The stream as the library's binding takes it.
    public CUstream stream() {
        return stream.handle();
    }

    /// Has the device give the library's state back before the stream, at the latest when the
    /// device is closed.
    ///
    /// @param operation the library's function for it
    /// @param release calls that function once and answers the library's code, 0 for success
    public void own(String operation, IntSupplier release) {
        // The numbers of libraries are not the driver's: a failure has the driver's for any.
        IntSupplier code = () -> release.getAsInt() == 0 ? 0 : UNKNOWN;
        owned = stream.device().own(new Owned(operation, "the state of " + name, code));
    }

    /// Judges a call.
    ///
    /// @param answer empty for success, else what the library calls the failure
    /// @param subject what the call was for; only turned into text for a failure
    public void called(String operation, String answer, Object subject) {
        Device device = stream.device();
        if (!answer.isEmpty()) {
            throw new DeviceException(
                    operation + " failed for " + subject + " on " + device + ": " + answer);
        }
        if (device.synchronous()) {
            try {
                stream.synchronize();
            } catch (DeviceException e) {
                throw new DeviceException(operation + " of " + subject + ": " + e.getMessage());
            }
        }
    }

    /// Gives the library's state back now.
    @Override
    public void close() {
        if (owned != null) {
            stream.device().disown(owned);
            owned = null;
        }
    }
}
