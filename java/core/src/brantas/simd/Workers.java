package brantas.simd;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// A fixed team of threads for short parallel regions, about 250 of them per token. The caller
/// works too; items are handed out by a counter, so results must not depend on who runs an item.
/// Idle threads spin for a while, then park. A thread that wakes too late is not waited for. Not
/// for several callers at once.
final class Workers implements AutoCloseable {
    /// One parallel region: called once for every item, by any thread.
    interface Task {
        /// @param item index of the piece of work
        /// @param worker who runs it, below [Workers#threads]: selects scratch memory
        void run(int item, int worker);
    }

    private static final long SPIN_NANOS = 60_000;
    private static final Task NOTHING = (item, worker) -> {};

    /// Regions with less arithmetic than this (about 3 µs) run on the caller alone.
    private static final long WORTH_SHARING = 16_384;

    private final Member[] members;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private Task task = NOTHING;
    private int items;
    private volatile boolean open;
    private volatile boolean closed;

    /// @param threads how many work, the caller included
    Workers(int threads) {
        members = new Member[threads - 1];
        for (int i = 0; i < members.length; i++) {
            members[i] = new Member(i + 1);
            members[i].start();
        }
    }

    /// How many threads work, the caller included.
    int threads() {
        return members.length + 1;
    }

    /// Runs all items and returns when they are done; the first exception reaches the caller.
    ///
    /// @param work values touched in all; small regions are not shared
    void run(Task region, int count, long work) {
        if (members.length == 0 || count == 1 || work < WORTH_SHARING) {
            for (int i = 0; i < count; i++) {
                region.run(i, 0);
            }
            return;
        }
        task = region;
        items = count;
        next.set(0);
        open = true;
        for (Member m : members) {
            if (m.parked) {
                LockSupport.unpark(m);
            }
        }
        takeItems(0);
        // Either a late thread sees `open` false, or it is counted in `active` here.
        open = false;
        while (active.get() != 0) {
            Thread.onSpinWait();
        }
        task = NOTHING;
        Throwable thrown = failure.getAndSet(null);
        if (thrown instanceof Error e) {
            throw e;
        }
        if (thrown instanceof RuntimeException e) {
            throw e;
        }
    }

    private void takeItems(int worker) {
        try {
            Task mine = task;
            int end = items;
            for (int i = next.getAndIncrement(); i < end; i = next.getAndIncrement()) {
                mine.run(i, worker);
            }
        } catch (RuntimeException | Error e) {
            failure.compareAndSet(null, e);
            next.set(items);
        }
    }

    @Override
    public void close() {
        closed = true;
        boolean interrupted = false;
        for (Member m : members) {
            LockSupport.unpark(m);
            while (m.isAlive()) {
                try {
                    m.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /// One thread of the team.
    private final class Member extends Thread {
        private final int index;
        private volatile boolean parked;

        Member(int index) {
            super("brantas-simd-" + index);
            this.index = index;
            setDaemon(true);
        }

        @Override
        public void run() {
            while (!closed) {
                if (awaitOpen()) {
                    active.incrementAndGet();
                    if (open && next.get() < items) {
                        takeItems(index);
                    }
                    active.decrementAndGet();
                    awaitEnd();
                }
            }
        }

        /// Whether a region is open with items left.
        private boolean awaitOpen() {
            long start = System.nanoTime();
            int spins = 0;
            while (!open) {
                Thread.onSpinWait();
                if (closed) {
                    return false;
                }
                if ((++spins & 63) == 0 && System.nanoTime() - start > SPIN_NANOS) {
                    parked = true;
                    if (!open && !closed) {
                        LockSupport.park(Workers.this);
                    }
                    parked = false;
                    start = System.nanoTime();
                }
            }
            return true;
        }

        /// The items are out but others still work on theirs: entering again would only cost.
        private void awaitEnd() {
            while (open && next.get() >= items && !closed) {
                Thread.onSpinWait();
            }
        }
    }
}
