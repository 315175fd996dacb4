package brantas.settings;

/// What went wrong in words a user can act on: one sentence that names the file, key or value, and
/// the remedy. The only exception type that leaves the library on purpose; anything else is a
/// defect.
public class BrantasException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /// @param message one sentence, no stack of causes: it is shown as it is
    public BrantasException(String message) {
        super(message);
    }

    /// @param message one sentence, shown as it is
    /// @param cause kept for `--debug`
    public BrantasException(String message, Throwable cause) {
        super(message, cause);
    }
}
