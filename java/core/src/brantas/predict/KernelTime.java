package brantas.predict;

/// What a kernel takes, all calls for one purpose together.
///
/// @param seconds predicted
/// @param floor seconds at the data sheet's bandwidth or tensor rate
/// @param bytes that must be moved
/// @param moved bytes that are
/// @param reason why it is predicted below its target, else empty
public record KernelTime(
        String name,
        String purpose,
        int calls,
        double seconds,
        double floor,
        double bytes,
        double moved,
        double flops,
        String reason) {
    /// The part of its time that the kernel would take at best.
    public double floorFraction() {
        return floor / seconds;
    }

    /// Whether that is too little.
    public boolean belowTarget() {
        return floorFraction() < TimeModel.TARGET;
    }

    /// The same kernel in one more step.
    KernelTime and(KernelTime other) {
        return new KernelTime(
                name,
                purpose,
                calls + other.calls,
                seconds + other.seconds,
                floor + other.floor,
                bytes + other.bytes,
                moved + other.moved,
                flops + other.flops,
                reason.isEmpty() ? other.reason : reason);
    }
}
