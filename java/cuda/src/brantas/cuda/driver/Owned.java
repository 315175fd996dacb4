package brantas.cuda.driver;

import java.util.function.IntSupplier;

/// Something of the driver's that a [Device] must give back. Each is one of its own, whatever the
/// driver's handles say.
final class Owned {
    private final String operation;
    private final String subject;
    private final IntSupplier release;

    /// @param operation the driver function that gives it back
    /// @param subject what it is, for messages
    /// @param release calls that function once and answers its code
    Owned(String operation, String subject, IntSupplier release) {
        this.operation = operation;
        this.subject = subject;
        this.release = release;
    }

    String operation() {
        return operation;
    }

    int release() {
        return release.getAsInt();
    }

    @Override
    public String toString() {
        return subject;
    }
}
