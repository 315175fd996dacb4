package brantas.engine;

import org.jspecify.annotations.Nullable;

/// Token ids on their way from the engine to whoever asked: unbounded up to the request's own
/// limit, so that a slow reader delays nobody. A ring that grows only when the reader falls behind
/// by more than ever before. One writer, one reader.
final class Outbox {
    private int[] ids = new int[64];
    private int written;
    private int read;
    private @Nullable FinishReason finish;
    private @Nullable RuntimeException failure;

    synchronized void put(int id) {
        if (written - read == ids.length) {
            grow();
        }
        ids[written++ & ids.length - 1] = id;
        notifyAll();
    }

    private void grow() {
        int[] larger = new int[2 * ids.length];
        for (int i = read; i < written; i++) {
            larger[i & larger.length - 1] = ids[i & ids.length - 1];
        }
        ids = larger;
    }

    synchronized void finish(FinishReason reason) {
        if (finish == null && failure == null) {
            finish = reason;
        }
        notifyAll();
    }

    synchronized void fail(RuntimeException cause) {
        if (finish == null && failure == null) {
            failure = cause;
        }
        notifyAll();
    }

    /// The next id, or −1 when there are no more; waits.
    synchronized int take() {
        boolean interrupted = false;
        while (read == written && finish == null && failure == null) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (read < written) {
            return ids[read++ & ids.length - 1];
        }
        if (failure != null) {
            throw failure;
        }
        return -1;
    }

    /// Ids put in so far.
    synchronized int size() {
        return written;
    }

    synchronized @Nullable FinishReason reason() {
        return finish;
    }
}
