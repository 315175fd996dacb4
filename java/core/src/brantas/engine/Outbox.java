package brantas.engine;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Token ids on their way from the engine to whoever asked: unbounded up to the request's own
/// limit, so that a slow reader delays nobody. One writer, one reader.
final class Outbox {
    private int[] ids = new int[64];
    private int size;
    private int read;
    private @Nullable FinishReason finish;
    private @Nullable RuntimeException failure;

    synchronized void put(int id) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
        }
        ids[size++] = id;
        notifyAll();
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
        while (read == size && finish == null && failure == null) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (read < size) {
            return ids[read++];
        }
        if (failure != null) {
            throw failure;
        }
        return -1;
    }

    synchronized int size() {
        return size;
    }

    synchronized @Nullable FinishReason reason() {
        return finish;
    }
}
