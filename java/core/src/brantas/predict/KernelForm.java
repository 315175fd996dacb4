package brantas.predict;

/// What `figures.txt` says about a kernel; there is what each value means.
///
/// @param threads of a block
/// @param registers of a thread
/// @param shared bytes of a block
/// @param inFlight bytes that a block has on their way
/// @param roundTrips dependent loads through the L2 cache, once a launch
/// @param prefetch whether weights are asked for before predecessors have ended
/// @param chainCycles of a block, beside its stream and its steps
/// @param mma tensor core products of a warp in a step; 0: there are no steps
/// @param sharedStep bytes through shared memory that a block moves in a step
/// @param stepCycles of a step, where nothing hides them
/// @param sourceCache whether the stream comes from the L2 cache
record KernelForm(
        double threads,
        double registers,
        double shared,
        double inFlight,
        double roundTrips,
        boolean prefetch,
        double chainCycles,
        double mma,
        double sharedStep,
        double stepCycles,
        boolean sourceCache) {
    static KernelForm of(Figures.Section s) {
        return new KernelForm(
                s.value("threads"),
                s.value("registers"),
                s.value("shared"),
                s.value("in_flight"),
                s.value("round_trips"),
                s.value("prefetch") != 0,
                s.value("chain_cycles"),
                s.value("mma"),
                s.value("shared_step"),
                s.value("step_cycles"),
                s.value("source_cache") != 0);
    }

    /// Quarters of a multiprocessor that a block keeps busy, in units of whole multiprocessors.
    double warpShare() {
        return threads / 128;
    }
}
