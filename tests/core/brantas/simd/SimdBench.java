package brantas.simd;

import brantas.op.RowSpan;
import brantas.op.Weight;
import brantas.tensor.Buffer;
import brantas.tensor.DType;
import brantas.tensor.HostBuffer;
import brantas.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// Speed of the products on shapes of the small models, as fractions of what the same run measured
/// as peak. Not a test: run its `main` on a quiet machine.
final class SimdBench {
    private static final long SEED = 7;

    private SimdBench() {}

    public static void main(String[] args) {
        int most = args.length > 0 ? Integer.parseInt(args[0]) : 2;
        for (int threads = 1; threads <= most; threads++) {
            double read = MachinePeaks.readBandwidth(threads);
            double flops = MachinePeaks.gemmFlops(threads);
            System.out.printf(
                    "%d threads: read %.1f GB/s, gemm %.1f GFLOP/s%n",
                    threads, read / 1e9, flops / 1e9);
            try (SimdBackend ops = new SimdBackend(threads);
                    Arena arena = Arena.ofShared()) {
                gemv(ops, arena, 7168, 1024, read);
                gemv(ops, arena, 8224, 1024, read);
                gemv(ops, arena, 1024, 3584, read);
                gemv(ops, arena, 248320, 1024, read);
                for (int rows : new int[] {16, 64, 512}) {
                    gemm(ops, arena, 8192, 1024, rows, flops);
                }
                gemm(ops, arena, 1024, 3584, 512, flops);
            }
        }
    }

    /// Copies of a weight, so that each pass comes from memory and not from a cache.
    private static List<Weight> weights(SimdBackend ops, Arena arena, int out, int in) {
        List<Weight> all = new ArrayList<>();
        long bytes = 2L * out * in;
        for (long at = 0; at == 0 || at < 400_000_000L; at += bytes) {
            MemorySegment data = arena.allocate(bytes, 64);
            SplittableRandom random = new SplittableRandom(SEED);
            for (long i = 0; i < bytes / 2; i++) {
                data.setAtIndex(
                        ValueLayout.JAVA_SHORT, i, (short) (0x3c00 + random.nextInt(1 << 9)));
            }
            long[] shape = {out, in};
            all.add(ops.matrix(List.of(new HostTensor("w", DType.BF16, shape, data))));
        }
        return all;
    }

    private static Buffer input(SimdBackend ops, int rows, int cols) {
        HostBuffer x = (HostBuffer) ops.buffer("x", rows, cols);
        SplittableRandom random = new SplittableRandom(SEED);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                x.set(r, c, random.nextDouble() - 0.5);
            }
        }
        return x;
    }

    private static double best(SimdBackend ops, List<Weight> all, Buffer y, Buffer x, RowSpan s) {
        double best = Double.MAX_VALUE;
        for (int pass = 0; pass < 12; pass++) {
            long start = System.nanoTime();
            for (Weight w : all) {
                ops.linear(y, x, w, s);
            }
            best = Math.min(best, (System.nanoTime() - start) / 1e9 / all.size());
        }
        return best;
    }

    private static void gemv(SimdBackend ops, Arena arena, int out, int in, double peak) {
        List<Weight> all = weights(ops, arena, out, in);
        Buffer x = input(ops, 16, in);
        Buffer y = ops.buffer("y", 16, out);
        double one = 0;
        for (int rows : new int[] {1, 2, 3, 4, 8, 16}) {
            double t = best(ops, all, y, x, new RowSpan(rows, rows));
            one = rows == 1 ? t : one;
            double rate = all.getFirst().bytes() / t;
            System.out.printf(
                    "  gemv %6d x %4d rows %2d: %6.1f GB/s %3.0f %% of read, %.2f x one row%n",
                    out, in, rows, rate / 1e9, 100 * rate / peak, t / one);
        }
    }

    private static void gemm(SimdBackend ops, Arena arena, int out, int in, int rows, double peak) {
        List<Weight> all = weights(ops, arena, out, in).subList(0, 2);
        Buffer x = input(ops, rows, in);
        Buffer y = ops.buffer("y", rows, out);
        double t = best(ops, all, y, x, new RowSpan(0, rows));
        double rate = 2.0 * rows * out * in / t;
        System.out.printf(
                "  gemm %6d x %4d rows %3d: %6.1f GFLOP/s %3.0f %% of peak%n",
                out, in, rows, rate / 1e9, 100 * rate / peak);
    }
}
