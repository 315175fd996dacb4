package brantas.predict;

import brantas.format.FeedForwardConfig.Experts;
import java.util.List;

/// The grouped products of a mixture of experts for many rows. Rows go to experts at random, so the
/// number of tiles is an expectation: an expert's rows follow a Poisson distribution, and its last
/// tile is partly empty.
///
/// @param rows tokens
record ExpertProducts(Sizes s, WeightForm form, Experts e, int rows) {
    private static final int COLS = 128;
    private static final int DEPTH = 32;

    List<Launch> launches(int layers) {
        int height = tileRows();
        double routed = e.experts() * tilesOf(mean(), height);
        double shared = Math.ceilDiv(rows, height);
        double assignments = (double) rows * e.perToken();
        double touched = Sizes.touched(e, rows);
        double inner = assignments * e.inner() + (double) rows * e.sharedInner();
        double weights = touched * e.inner() + e.sharedInner();
        double hidden = s.hidden();
        double upCols = Math.ceilDiv(2 * e.inner(), COLS);
        double sharedCols = Math.ceilDiv(2 * e.sharedInner(), COLS);
        double upBlocks = routed * upCols + shared * sharedCols;
        double upRead = assignments * upCols + rows * sharedCols + upBlocks * COLS;
        Cost up =
                Cost.of(form.body(2 * weights * hidden) + 2 * (rows * hidden + inner), upBlocks)
                        .moving(
                                form.body(2 * weights * hidden)
                                        + 2 * ((assignments + rows) * hidden + inner))
                        .caching(2 * hidden * upRead)
                        .computing(4 * inner * hidden)
                        .stepping(Math.ceil(hidden / DEPTH));
        double downCols = Math.ceilDiv(s.hidden(), COLS);
        double downBlocks = (routed + shared) * downCols;
        double downRead = (assignments + rows) * downCols + downBlocks * COLS;
        double depth = inner / (assignments + rows);
        double out = 4 * (assignments + rows) * hidden;
        Cost down =
                Cost.of(form.body(weights * hidden) + 2 * inner + out, downBlocks)
                        .caching(2 * depth * downRead)
                        .computing(2 * inner * hidden)
                        .stepping(Math.ceil(depth / DEPTH));
        String variant = "expert_gemm_" + height;
        return List.of(
                new Launch("expert_gemm_up", variant, "gate, up", layers, up),
                new Launch("expert_gemm_down", variant, "down", layers, down));
    }

    private double mean() {
        return (double) rows * e.perToken() / e.experts();
    }

    /// The launcher's choice.
    private int tileRows() {
        long mean = (long) rows * e.perToken() / e.experts();
        return mean < 12 ? 16 : mean < 40 ? 32 : mean < 128 ? 64 : 128;
    }

    /// Tiles that an expert needs on average, for a Poisson number of rows.
    static double tilesOf(double mean, int height) {
        int last = (int) (mean + 12 * Math.sqrt(mean) + 20);
        double logarithm = -mean;
        double tiles = 0;
        for (int n = 1; n <= last; n++) {
            logarithm += Math.log(mean / n);
            tiles += Math.exp(logarithm) * Math.ceilDiv(n, height);
        }
        return tiles;
    }
}
