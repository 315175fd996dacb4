package brantas.engine;

import org.jspecify.annotations.Nullable;

/// A running request seen from outside: ids as they come, the reason at the end, and a way to stop
/// it.
public final class Generation {
    private final Outbox outbox = new Outbox();
    private volatile boolean cancelled;

    Generation() {}

    /// The next id, or −1 at the end; waits for it.
    ///
    /// @throws RuntimeException the failure of the step, if one ended the sequence
    public int next() {
        return outbox.take();
    }

    /// Ids generated so far, read or not.
    public int produced() {
        return outbox.size();
    }

    /// Why it ended, or null while it runs.
    public @Nullable FinishReason finishReason() {
        return outbox.reason();
    }

    /// Ends the sequence at the next step; its memory is free then. Harmless when it has ended.
    public void cancel() {
        cancelled = true;
    }

    boolean cancelled() {
        return cancelled;
    }

    Outbox outbox() {
        return outbox;
    }
}
