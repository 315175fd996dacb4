package brantas.op;

import java.util.List;

/// What a backend did for a step, piece by piece, see [Backend#profile].
///
/// @param device name of the device
/// @param emulated whether it is no device, so that its times mean nothing
/// @param pieces in the order in which the host asked for them
public record StepProfile(String device, boolean emulated, List<Piece> pieces) {
    /// What a piece is.
    public enum Kind {
        /// A kernel.
        KERNEL,
        /// A copy to the device.
        UPLOAD,
        /// A copy from the device.
        DOWNLOAD,
        /// The host waiting; no work of the device.
        WAIT
    }

    /// A piece of work. Times are microseconds since the profile began.
    ///
    /// @param name of the kernel or the copy
    /// @param detail grid and block, or bytes
    /// @param start on the device, as is the next; both 0 for [Kind#WAIT]
    /// @param micros how long it took there
    /// @param hostStart when the host asked for it
    /// @param hostMicros how long asking took
    public record Piece(
            Kind kind,
            String name,
            String detail,
            double start,
            double micros,
            double hostStart,
            double hostMicros) {}
}
