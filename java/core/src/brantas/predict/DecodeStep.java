package brantas.predict;

import brantas.format.FeedForwardConfig.Experts;
import java.util.ArrayList;
import java.util.List;

/// The launches of a decode step, one new token for each sequence, as the cuda backend records
/// them: for a bucket of rows, which decides about variants, with as many of them live as there are
/// sequences. Up to four rows the norms are part of the products that read them; more rows have
/// them done once, in a launch of their own.
final class DecodeStep {
    /// Rows that a kernel with a norm takes together, at most.
    private static final int FUSED_ROWS = 4;

    /// Shared memory that such a kernel may have for its rows.
    private static final int MOST_STAGED = (99 << 10) - 4_224;

    /// Depth of a warp's step, and of the gap between staged rows.
    private static final int STEP = 64;

    private static final int STAGED_GAP = 32;

    /// Weight rows of a tile.
    private static final int OUTPUTS = 16;

    /// Inner columns of a tile: half of its weight rows are gates.
    private static final int UP_COLS = 8;

    /// Blocks of a group of rows on a multiprocessor before a block takes several tiles.
    private static final int MOST_BLOCKS = 8;

    /// Rows that are normed already and share the router's weights.
    private static final int ROUTED_TOGETHER = 32;

    private static final int SMALLEST_SPLIT = 256;
    private static final int MOST_SPLITS = 64;
    private static final int TILE = 32;

    /// Value rows of a block of the delta rule, and the bytes that it loads of each channel: four
    /// weights, three inputs before the token's and that.
    private static final int SLICE = 16;

    private static final int CHANNEL_BYTES = 4 * 4 + 4 * 2;

    private final Sizes s;
    private final WeightForm form;
    private final Gpu gpu;
    private final int rows;
    private final int bucket;
    private final int context;
    private final List<Launch> all = new ArrayList<>();

    private DecodeStep(Sizes s, WeightForm form, Gpu gpu, int rows, int context) {
        this.s = s;
        this.form = form;
        this.gpu = gpu;
        this.rows = rows;
        this.bucket = bucket(rows);
        this.context = context;
    }

    /// The launches, in the order of a layer.
    ///
    /// @param rows sequences
    /// @param context positions of each, the new one included
    static List<Launch> of(Sizes sizes, WeightForm form, Gpu gpu, int rows, int context) {
        DecodeStep step = new DecodeStep(sizes, form, gpu, rows, context);
        step.forward();
        step.head();
        return List.copyOf(step.all);
    }

    /// The same without those that draw, as a prompt has them that ends elsewhere.
    static List<Launch> withoutHead(Sizes sizes, WeightForm form, Gpu gpu, int context) {
        DecodeStep step = new DecodeStep(sizes, form, gpu, 1, context);
        step.forward();
        return List.copyOf(step.all);
    }

    /// What the last row of a prompt needs to be continued: it is drawn from as a single row.
    static List<Launch> lastRow(Sizes sizes, WeightForm form, Gpu gpu) {
        DecodeStep step = new DecodeStep(sizes, form, gpu, 1, 1);
        step.head();
        return List.copyOf(step.all);
    }

    private void forward() {
        around();
        delta(s.deltaLayers());
        attention(s.attentionLayers());
        feedForward(s.config().layers());
        add("count_tokens", "penalties", 1, Cost.of(16.0 * rows, 1));
    }

    /// Rows that a recording for so many is made for: powers of two up to eight, then multiples of
    /// eight.
    static int bucket(int rows) {
        return rows <= 8
                ? Integer.highestOneBit(Math.max(1, 2 * rows - 1))
                : Math.ceilDiv(rows, 8) * 8;
    }

    private void add(String name, String purpose, int calls, Cost cost) {
        add(new Launch(name, purpose, calls, cost));
    }

    private void add(Launch launch) {
        if (launch.calls() > 0) {
            all.add(launch);
        }
    }

    private void around() {
        double turns = rows * 4.0 * s.config().attention().rope().rotaryDim();
        add("embed", "embedding", 1, Cost.of(4.0 * rows * s.hidden(), rows));
        add("rotations", "cosines and sines", 1, Cost.of(turns, Math.ceil(turns / 8 / 128)));
    }

    private void delta(int layers) {
        double hv = s.valueHeads();
        double weights =
                form.body((double) s.hidden() * s.deltaWide())
                        + form.small((double) s.hidden() * s.deltaNarrow());
        int in = s.deltaWide() + s.deltaNarrow();
        normed("bf16", "delta in", layers, new Product(weights, in, s.hidden(), 2.0 * in));
        // The window is a ring: of its inputs all are read and the oldest is written.
        double window = s.windowBytes() * 4 / 3;
        double parameters = 16.0 * s.channels() + 8 * hv;
        double moved = rows * (2 * s.stateBytes() + window + 2.0 * in);
        double blocks = rows * hv * s.config().delta().valueDim() / SLICE;
        Cost step =
                Cost.of(parameters + moved, blocks)
                        .caching(
                                blocks
                                        * (2.0 * s.config().delta().keyDim() + SLICE)
                                        * CHANNEL_BYTES)
                        .computing(rows * hv * 7 * 128 * 128)
                        .issuing(rows * hv * 14 * 128 * 128);
        add("delta_step", "convolution, delta rule", layers, step);
        gated(layers);
    }

    private void gated(int layers) {
        int width = s.valueWidth();
        Product out = added(form.body((double) s.hidden() * width), width);
        if (bucket <= fusedRows(width)) {
            // Beside the row its gates are read, and a norm of one head.
            staged("gemv_gated_add", "delta out", layers, out, 4.0 * width, 512);
        } else {
            add("gated_norm", "delta out", layers, Cost.of(6.0 * rows * width, gatedBlocks()));
            plain("add", "delta out", layers, out);
        }
    }

    private double gatedBlocks() {
        return rows * Math.ceil(s.valueHeads() / 16.0);
    }

    private void attention(int layers) {
        int in = s.attentionIn();
        double inWeights = form.body((double) s.hidden() * in);
        normed("bf16", "attention in", layers, new Product(inWeights, in, s.hidden(), 2.0 * in));
        double vectors = s.heads() + 2.0 * s.kvHeads();
        Cost store = Cost.of(rows * 4 * vectors * s.headDim(), rows * Math.ceil(vectors / 8));
        add("store_kv", "norms, rotation, cache", layers, store);
        int size = splitSize(context);
        double splits = Math.ceilDiv(context, size);
        double inOut = 2.0 * rows * 3 * s.attentionOut();
        double partials = splits > 1 ? 2 * 4 * 260.0 * rows * s.heads() * splits : 0;
        Cost attend =
                Cost.of(rows * s.kvBytes() * context + inOut, rows * s.kvHeads() * splits)
                        .caching(partials)
                        .computing(4.0 * rows * s.attentionOut() * context)
                        .stepping(Math.ceilDiv(Math.min(size, context), TILE));
        add("attend_step", "attention", layers, attend);
        int width = s.attentionOut();
        double outWeights = form.body((double) s.hidden() * width);
        plain("add", "attention out", layers, added(outWeights, width));
    }

    /// Positions of a split.
    private static int splitSize(int length) {
        int even = Math.ceilDiv(Math.ceilDiv(length, MOST_SPLITS), TILE) * TILE;
        return Math.max(SMALLEST_SPLIT, even);
    }

    private void feedForward(int layers) {
        Experts e = s.experts();
        if (e != null) {
            route(e, layers);
            experts(e, layers);
            return;
        }
        int inner = s.inner();
        double up = form.body(2.0 * s.hidden() * inner);
        normed("swiglu", "gate, up", layers, new Product(up, 2 * inner, s.hidden(), 2.0 * inner));
        plain("add", "down", layers, added(form.body((double) s.hidden() * inner), inner));
    }

    private void route(Experts e, int layers) {
        int hidden = s.hidden();
        double router = form.small((double) hidden * (e.experts() + 1));
        double tiles = Math.ceilDiv(e.experts() + 1, OUTPUTS);
        double logits = 2.0 * 4 * rows * (e.experts() + 1);
        double flops = 2.0 * rows * hidden * (e.experts() + 1);
        if (bucket <= fusedRows(hidden)) {
            Cost cost =
                    Cost.of(router + 4.0 * hidden + 4.0 * rows * hidden, tiles)
                            .caching(logits + tiles * hidden * (2.0 * rows + 4))
                            .computing(flops);
            double staged = rows * stagedBytes(hidden);
            add(new Launch("route", "route", "norm, router, choice", layers, staged, cost));
            return;
        }
        norm("norm, router, choice", layers);
        double groups = Math.ceilDiv(bucket, ROUTED_TOGETHER);
        Cost cost =
                Cost.of(router + 2.0 * rows * hidden, tiles * groups)
                        .caching(logits + (groups - 1) * router + tiles * 2 * rows * hidden)
                        .computing(flops)
                        .stepping(Math.ceil(hidden / (8.0 * STEP)));
        add("route_normed", "norm, router, choice", layers, cost);
    }

    private void experts(Experts e, int layers) {
        double touched = Sizes.touched(e, rows) * e.inner() + e.sharedInner();
        double read = (double) rows * e.perToken() * e.inner() + e.sharedInner();
        double used = (double) e.perToken() * e.inner() + e.sharedInner();
        double hidden = s.hidden();
        double upRows = rows * 2 * (hidden + used);
        double upTiles =
                rows
                        * ((double) e.perToken() * Math.ceilDiv(e.inner(), UP_COLS)
                                + Math.ceilDiv(e.sharedInner(), UP_COLS));
        Cost up =
                Cost.of(form.body(2 * touched * hidden) + upRows, upTiles)
                        .moving(form.body(2 * read * hidden) + upRows)
                        .caching(upTiles * 2 * hidden)
                        .computing(4 * rows * used * hidden);
        add("expert_gemv_up", "gate, up", layers, up);
        double downTiles = (double) rows * Math.ceilDiv(s.hidden(), OUTPUTS);
        double downRows = rows * 2 * (2 * hidden + used);
        Cost down =
                Cost.of(form.body(touched * hidden) + downRows, downTiles)
                        .moving(form.body(read * hidden) + downRows)
                        .caching(downTiles * 2 * used)
                        .computing(2 * rows * used * hidden);
        add("expert_gemv_down", "down, weighted sum", layers, down);
    }

    private void head() {
        double weights = form.head(s.vocabulary() * s.hidden());
        int outputs = (int) s.vocabulary();
        if (bucket > fusedRows(s.hidden())) {
            add("gather_rows", "head", 1, Cost.of(4.0 * rows * s.hidden(), rows));
        }
        normed("f32", "head", 1, new Product(weights, outputs, s.hidden(), 4.0 * outputs));
        add("sample", "draw", 1, Cost.of(4.0 * rows * outputs, rows).moving(8.0 * rows * outputs));
    }

    private void norm(String purpose, int layers) {
        int hidden = s.hidden();
        add("rms_norm", purpose, layers, Cost.of(4.0 * rows * hidden + 4.0 * hidden, rows));
    }

    /// A dense product.
    ///
    /// @param weights bytes
    /// @param out bytes of a row that are written, or read and written, at the end
    private record Product(double weights, int outputs, int depth, double out) {}

    /// A product that is added to the residual stream.
    private Product added(double weights, int depth) {
        return new Product(weights, s.hidden(), depth, 4.0 * s.hidden());
    }

    /// A product whose rows are normed first.
    private void normed(String result, String purpose, int calls, Product p) {
        if (bucket <= fusedRows(p.depth())) {
            String name = "gemv_norm_" + result;
            staged(name, purpose, calls, p, 2.0 * p.depth(), 4 * p.depth());
        } else {
            norm(purpose, calls);
            plain(result, purpose, calls, p);
        }
    }

    /// A product that norms its rows in every block.
    ///
    /// @param name its kernel's: up to the last underscore that of its figures
    /// @param in bytes of a row before the norm
    /// @param norm bytes of its weights
    private void staged(String name, String purpose, int calls, Product p, double in, int norm) {
        double blocks = blocks(p);
        Cost cost =
                Cost.of(p.weights() + norm + rows * (in + p.out()), blocks)
                        .caching(blocks * (rows * in + norm))
                        .computing(2.0 * rows * p.outputs() * p.depth());
        double shared = rows * stagedBytes(p.depth());
        String figures = name.substring(0, name.lastIndexOf('_'));
        add(new Launch(name, figures, purpose, calls, shared, cost));
    }

    /// A product of rows as they are. Groups of rows that share weights run side by side, so that
    /// only the first of them reads from memory.
    private void plain(String result, String purpose, int calls, Product p) {
        int together = bucket <= 8 ? 8 : bucket <= 16 ? 16 : 32;
        double groups = Math.ceilDiv(bucket, together);
        double tiles = Math.ceilDiv(p.outputs(), OUTPUTS);
        double in = 2.0 * rows * p.depth();
        Cost cost =
                Cost.of(p.weights() + in + rows * p.out(), groups * blocks(p))
                        .caching((groups - 1) * p.weights() + tiles * in)
                        .computing(2.0 * rows * p.outputs() * p.depth());
        String name = "gemv_" + result + "_" + together;
        add(new Launch(name, "gemv_" + together, purpose, calls, cost));
    }

    /// Blocks of a group of rows.
    private double blocks(Product p) {
        int tiles = Math.ceilDiv(p.outputs(), OUTPUTS);
        int each = Math.max(1, tiles / (MOST_BLOCKS * gpu.multiprocessors()));
        return Math.ceilDiv(tiles, each);
    }

    /// Rows of so many values that a kernel with a norm takes.
    private static int fusedRows(int depth) {
        return Math.min(FUSED_ROWS, (int) (MOST_STAGED / stagedBytes(depth)));
    }

    /// Shared memory of a row with a norm.
    private static double stagedBytes(int depth) {
        return 2.0 * (Math.ceilDiv(depth, STEP) * STEP + STAGED_GAP);
    }
}
