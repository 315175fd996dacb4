package brantas.simd;

import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;

import java.lang.foreign.Arena;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// What this machine can do at best with the loops of this backend: sequential reading and the
/// matrix-product kernel in cache. The denominators of every reported fraction. Each measurement
/// takes about a second.
public final class MachinePeaks {
    private static final long READ_BYTES = 512L << 20;
    private static final int READ_ITEM = 1 << 20;
    private static final int PASSES = 8;
    private static final int DEPTH = 384;
    private static final int PRODUCTS = 64;

    private MachinePeaks() {}

    /// Bytes per second of reading memory once, in order, far beyond the caches.
    ///
    /// @param threads how many read
    public static double readBandwidth(int threads) {
        try (Workers workers = new Workers(threads);
                Arena arena = Arena.ofShared()) {
            long base = arena.allocate(READ_BYTES, 64).address();
            int[] sums = new int[16 * threads];
            Workers.Task task =
                    (item, worker) -> sums[16 * worker] += read(base + (long) item * READ_ITEM);
            int items = (int) (READ_BYTES / READ_ITEM);
            double seconds = best(workers, task, items);
            // The data is zero; an impossible test keeps the reads alive.
            return sums[0] == 1 ? 0 : READ_BYTES / seconds;
        }
    }

    private static double best(Workers workers, Workers.Task task, int items) {
        long best = Long.MAX_VALUE;
        for (int pass = 0; pass < PASSES; pass++) {
            long start = System.nanoTime();
            workers.run(task, items, Long.MAX_VALUE);
            best = Math.min(best, System.nanoTime() - start);
        }
        return best / 1e9;
    }

    private static int read(long address) {
        IntVector a = IntVector.zero(Lanes.I), b = a, c = a, d = a;
        for (int i = 0; i < READ_ITEM; i += 16 * L) {
            a = a.or(Lanes.pairs(address + i));
            b = b.or(Lanes.pairs(address + i + 4L * L));
            c = c.or(Lanes.pairs(address + i + 8L * L));
            d = d.or(Lanes.pairs(address + i + 12L * L));
        }
        FloatVector all = a.or(b).or(c.or(d)).reinterpretAsFloats();
        return Float.floatToRawIntBits(Lanes.sum(all));
    }

    /// Floating-point operations per second of the product kernel on operands in cache; a fused
    /// multiply-add counts as two.
    ///
    /// @param threads how many compute
    public static double gemmFlops(int threads) {
        try (Workers workers = new Workers(threads)) {
            Tile[] tiles = new Tile[threads];
            for (int i = 0; i < threads; i++) {
                float[] left = new float[48 * DEPTH];
                float[] right = new float[DEPTH * PANEL];
                Arrays.fill(left, 0.5f);
                Arrays.fill(right, 0.25f);
                tiles[i] = new Tile().left(left, DEPTH).right(right, PANEL).depth(DEPTH);
                tiles[i].result(new float[48 * PANEL], PANEL);
            }
            Workers.Task task = (item, worker) -> tiles[worker].multiply(48, 4, 0, 0, 0);
            int items = PRODUCTS * threads;
            double seconds = best(workers, task, items);
            return 2.0 * 48 * DEPTH * PANEL * items / seconds;
        }
    }
}
