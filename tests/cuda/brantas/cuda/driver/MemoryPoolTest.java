package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.IdentityHashMap;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// Reuse and release of blocks, on a source without a driver.
class MemoryPoolTest {
    private static final long CAPACITY = 1000;

    private final IdentityHashMap<HostAddress, Long> held = new IdentityHashMap<>();
    private int freeCode;
    private int allocationCode;

    private final MemoryPool<HostAddress> pool =
            new MemoryPool<>(
                    new MemoryPool.Source<>() {
                        @Override
                        public HostAddress pointer() {
                            return new HostAddress();
                        }

                        @Override
                        public int allocate(HostAddress pointer, long bytes) {
                            if (allocationCode != 0) {
                                return allocationCode;
                            }
                            long used = held.values().stream().mapToLong(b -> b).sum();
                            if (used + bytes > CAPACITY) {
                                return 2;
                            }
                            held.put(pointer, bytes);
                            return 0;
                        }

                        @Override
                        public int free(HostAddress pointer) {
                            assertThat(held.remove(pointer)).as("freed once").isNotNull();
                            return freeCode;
                        }
                    },
                    new Calls(new DriverLibrary(name -> Optional.empty(), 12_000), "Card"));

    private HostAddress create(long bytes) {
        return Objects.requireNonNull(pool.create(bytes, "cuMemAlloc", "x"));
    }

    @Test
    void aBlockIsReusedForItsSizeOnly() {
        HostAddress block = create(100);
        pool.giveBack(block, 100);

        assertThat(pool.reuse(200)).isNull();
        assertThat(pool.reuse(96)).isNull();
        assertThat(pool.freeBytes()).isEqualTo(112);
        assertThat(pool.reuse(112)).isSameAs(block);
        assertThat(pool.reuse(112)).isNull();
        assertThat(pool.freeBytes()).isZero();
        assertThat(pool.bytes()).isEqualTo(112);
        assertThat(held).hasSize(1);
    }

    @Test
    void unusedBlocksMakeRoom() {
        pool.giveBack(create(400), 400);
        HostAddress used = create(400);

        assertThat(pool.create(500, "cuMemAlloc", "x")).isNotNull();
        assertThat(held).containsKey(used).hasSize(2);
        assertThat(pool.create(500, "cuMemAlloc", "x")).isNull();
        assertThat(pool.bytes()).isEqualTo(400 + 512);
    }

    @Test
    void everythingIsFreedWhateverSingleFreesSay() {
        pool.giveBack(create(100), 100);
        create(100);
        HostAddress late = create(300);
        freeCode = 1;

        assertThat(pool.freeAll()).isEqualTo(1);
        assertThat(held).isEmpty();
        assertThat(pool.bytes()).isZero();
        pool.giveBack(late, 300);
        assertThat(pool.reuse(300)).isNull();
        assertThat(pool.freeAll()).isZero();
    }

    @Test
    void otherErrorsThanMemoryAreErrors() {
        allocationCode = 201;

        assertThatThrownBy(() -> pool.create(100, "cuMemAlloc", "the key cache"))
                .isInstanceOf(DeviceException.class)
                .hasMessage("cuMemAlloc failed for the key cache on Card: CUDA error 201");
        assertThat(pool.bytes()).isZero();
    }
}
