package brantas.cuda.driver;

import brantas.settings.BrantasException;

/// A driver call that failed for a reason no user can act on: a defect of ours or of the device.
/// Says operation, subject and the driver's name of the error. It may surface in any call, and is
/// shown as it is like every sentence that is meant for users.
public final class DeviceException extends BrantasException {
    private static final long serialVersionUID = 1L;

    DeviceException(String message) {
        super(message);
    }
}
