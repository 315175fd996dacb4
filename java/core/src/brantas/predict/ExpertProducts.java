package brantas.predict;

import brantas.format.FeedForwardConfig.Experts;
import java.util.List;

/// The grouped products of a mixture of experts for many rows. Rows go to experts at random, so the
/// number of tiles is an expectation: an expert's rows follow a Poisson distribution, and its last
/// tile is partly empty.
///
/// @param rows tokens
record ExpertProducts(Sizes s, WeightForm form, Gpu gpu, Experts e, int rows) {
    private static final int COLS = 128;
    private static final int TALLEST = 128;
    private static final int DEPTH = 32;

    /// What the products of a layer share.
    ///
    /// @param routed tiles of rows of the routed experts
    /// @param shared those of the shared expert
    /// @param inner values of all rows and their experts
    /// @param weights rows of the experts that are touched
    private record Load(
            double assignments, double routed, double shared, double inner, double weights) {}

    List<Launch> launches(int layers) {
        int height = tileRows();
        double assignments = (double) rows * e.perToken();
        Load load =
                new Load(
                        assignments,
                        e.experts() * tilesOf(mean(), height),
                        Math.ceilDiv(rows, height),
                        assignments * e.inner() + (double) rows * e.sharedInner(),
                        Sizes.touched(e, rows) * e.inner() + e.sharedInner());
        return List.of(up(layers, height, load), down(layers, height, load));
    }

    private Launch up(int layers, int height, Load load) {
        double hidden = s.hidden();
        int cols = cols(height, 2 * Math.max(e.inner(), e.sharedInner()));
        double upCols = Math.ceilDiv(2 * e.inner(), cols);
        double sharedCols = Math.ceilDiv(2 * e.sharedInner(), cols);
        double blocks = load.routed() * upCols + load.shared() * sharedCols;
        double read = load.assignments() * upCols + rows * sharedCols + blocks * cols;
        double weights = form.body(2 * load.weights() * hidden);
        double all = load.assignments() + rows;
        Cost up =
                Cost.of(weights + 2 * (rows * hidden + load.inner()), blocks)
                        .moving(weights + 2 * (all * hidden + load.inner()))
                        .caching(2 * hidden * read)
                        .computing(4 * load.inner() * hidden)
                        .stepping(Math.ceil(hidden / DEPTH));
        return launch("up", height, cols, layers, up);
    }

    private Launch down(int layers, int height, Load load) {
        double hidden = s.hidden();
        int cols = cols(height, s.hidden());
        double downCols = Math.ceilDiv(s.hidden(), cols);
        double blocks = (load.routed() + load.shared()) * downCols;
        double all = load.assignments() + rows;
        double read = all * downCols + blocks * cols;
        double depth = load.inner() / all;
        Cost down =
                Cost.of(
                                form.body(load.weights() * hidden)
                                        + 2 * load.inner()
                                        + 4 * all * hidden,
                                blocks)
                        .caching(2 * depth * read)
                        .computing(2 * load.inner() * hidden)
                        .stepping(Math.ceil(depth / DEPTH));
        return launch("down", height, cols, layers, down);
    }

    private static Launch launch(String way, int height, int cols, int layers, Cost cost) {
        int variant = cols == COLS ? height : cols;
        String purpose = way.equals("up") ? "gate, up" : "down";
        String name = "expert_gemm_" + way + "_" + variant;
        return new Launch(name, "expert_gemm_" + variant, purpose, layers, cost);
    }

    /// Weight rows of a block, by the launcher's choice: it counts the tiles that rows may need.
    private int cols(int height, int weightRows) {
        if (height < TALLEST || !PrefillStep.wide(gpu)) {
            return COLS;
        }
        long assignments = (long) rows * e.perToken();
        long used = Math.min(assignments, e.experts());
        long tiles = (assignments + used * (height - 1)) / height + Math.ceilDiv(rows, height);
        long blocks = tiles * Math.ceilDiv(weightRows, PrefillStep.WIDE);
        return blocks < gpu.multiprocessors() ? COLS : PrefillStep.WIDE;
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
