package brantas.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WorkersTest {
    private static final long MUCH = 1L << 40;

    @Test
    void runsEveryItemOnce() {
        for (int threads = 1; threads <= 4; threads++) {
            try (Workers workers = new Workers(threads)) {
                for (int region = 0; region < 2000; region++) {
                    AtomicIntegerArray seen = new AtomicIntegerArray(region % 37);
                    workers.run((item, worker) -> seen.incrementAndGet(item), region % 37, MUCH);
                    for (int i = 0; i < seen.length(); i++) {
                        assertThat(seen.get(i)).as("item %s, %s threads", i, threads).isOne();
                    }
                }
            }
        }
    }

    @Test
    void parkedThreadsWakeUp() {
        try (Workers workers = new Workers(3)) {
            for (int region = 0; region < 5; region++) {
                LockSupport.parkNanos(5_000_000);
                AtomicIntegerArray byWorker = new AtomicIntegerArray(3);
                workers.run(
                        (item, worker) -> {
                            LockSupport.parkNanos(2_000_000);
                            byWorker.incrementAndGet(worker);
                        },
                        60,
                        MUCH);
                assertThat(byWorker.get(0) + byWorker.get(1) + byWorker.get(2)).isEqualTo(60);
                assertThat(byWorker.get(1) + byWorker.get(2)).isPositive();
            }
        }
    }

    @Test
    void exceptionsReachTheCallerAndTheTeamGoesOn() {
        try (Workers workers = new Workers(3)) {
            for (int region = 0; region < 100; region++) {
                int bad = region % 20;
                assertThatThrownBy(() ->
                                workers.run(
                                        (item, worker) -> {
                                            if (item == bad) {
                                                throw new IllegalStateException("no");
                                            }
                                        },
                                        20,
                                        MUCH))
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessage("no");
                AtomicIntegerArray seen = new AtomicIntegerArray(9);
                workers.run((item, worker) -> seen.incrementAndGet(item), 9, MUCH);
                assertThat(seen.toString()).isEqualTo("[1, 1, 1, 1, 1, 1, 1, 1, 1]");
            }
        }
    }

    @Test
    void closeEndsTheThreads() {
        new Workers(3).close();
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(t -> t.getName().startsWith("brantas-simd-"));
    }
}
