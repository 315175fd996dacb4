package brantas.cuda.driver;

import brantas.settings.BrantasException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Judges what driver calls answer, for one device. After certain errors a CUDA context answers
/// nothing but errors, whatever is called; the first of them is remembered here and named by all
/// later failures, because the later ones explain nothing.
final class Calls {
    static final int OUT_OF_MEMORY = 2;

    /// Errors after which the context is lost: uncorrectable memory, lost links, illegal addresses,
    /// timeouts, assertions, stack and instruction faults, failed launches.
    private static final Set<Integer> STICKY =
            Set.of(214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719);

    private final DriverLibrary driver;
    private final String device;
    private volatile @Nullable String first;

    /// @param device how messages call it
    Calls(DriverLibrary driver, String device) {
        this.driver = driver;
        this.device = device;
    }

    /// Passes if the call succeeded.
    ///
    /// @param operation the driver function
    /// @param subject what it was called for; only turned into text for a failure
    void check(int code, String operation, Object subject) {
        if (code != 0) {
            throw failure(code, operation, subject);
        }
    }

    /// Passes unless an earlier error made the device unusable.
    void requireUsable() {
        String lost = first;
        if (lost != null) {
            throw new DeviceException(device + " is unusable since an earlier error: " + lost);
        }
    }

    /// Whether an error made the device unusable.
    boolean unusable() {
        return first != null;
    }

    /// The exception for a call that failed with `code`.
    RuntimeException failure(int code, String operation, Object subject) {
        String sentence = describe(code, operation, subject);
        String earlier = first;
        if (earlier != null) {
            return new DeviceException(
                    sentence + "; the device is unusable since an earlier error: " + earlier);
        }
        if (STICKY.contains(code)) {
            // An asynchronous error surfaces in whatever call comes next, so that the one named
            // here
            // need not be the one to blame.
            sentence +=
                    "; the cause may be work that was started earlier, which"
                            + " BRANTAS_SYNCHRONOUS=1 names";
            first = sentence;
        }
        if (code == OUT_OF_MEMORY) {
            return new BrantasException(
                    sentence + ": free memory there, or lower --context or --sequences.");
        }
        return new DeviceException(sentence);
    }

    /// What the driver says of an error.
    String describe(int code) {
        return driver.describe(code);
    }

    /// One sentence without a full stop: what failed, for what, on which device, how.
    String describe(int code, String operation, Object subject) {
        return operation
                + " failed for "
                + subject
                + " on "
                + device
                + ": "
                + driver.describe(code);
    }
}
