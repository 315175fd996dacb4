package brantas.cuda.driver;

/// A driver call that failed for a reason no user can act on: a defect of ours or of the device.
/// Says operation, subject and the driver's name of the error.
public final class DeviceException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    DeviceException(String message) {
        super(message);
    }
}
