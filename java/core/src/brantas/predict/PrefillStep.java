package brantas.predict;

import brantas.format.FeedForwardConfig.Experts;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/// The launches of one step over a part of a prompt: rows of one sequence that has some positions
/// already. Where a launcher chooses among variants, this repeats its choice for the GPU in mind.
final class PrefillStep {
    /// Rows and columns of the large and the small tile of a product.
    private static final int LARGE = 128;

    private static final int SMALL = 64;

    /// Columns of the widest tile, the rows beyond which it is chosen, and where.
    static final int WIDE = 256;

    private static final int WIDE_ROWS = 256;
    private static final Set<Double> WIDE_CAPABILITIES = Set.of(8.0, 9.0, 10.0);

    /// Depth of a step of a product.
    private static final int DEPTH = 32;

    /// Shared memory that a block must be allowed to have chunks of 64.
    private static final int CHUNK_64_SHARED = 104_480;

    /// A choice of warps must fill this much of a device.
    private static final double FULL = 0.7;

    /// Rows that share the router's weights, and router rows of a block.
    private static final int ROUTED_TOGETHER = 32;

    private static final int ROUTER_ROWS = 16;

    /// Depth of a step of the router's eight warps.
    private static final int ROUTER_STEP = 512;

    private static final int PACKED = 64;
    private static final int KEYS = 32;

    private final Sizes s;
    private final WeightForm form;
    private final Gpu gpu;
    private final int rows;
    private final int past;
    private final List<Launch> all = new ArrayList<>();

    private PrefillStep(Sizes s, WeightForm form, Gpu gpu, int rows, int past) {
        this.s = s;
        this.form = form;
        this.gpu = gpu;
        this.rows = rows;
        this.past = past;
    }

    /// The launches, but for those around the head.
    static List<Launch> of(Sizes sizes, WeightForm form, Gpu gpu, int rows, int past) {
        PrefillStep step = new PrefillStep(sizes, form, gpu, rows, past);
        step.around();
        step.delta(sizes.deltaLayers());
        step.attention(sizes.attentionLayers());
        step.feedForward(sizes.config().layers());
        return List.copyOf(step.all);
    }

    /// Tokens of a chunk of the delta rule.
    static int chunk(Gpu gpu) {
        return gpu.sharedPerBlock() >= CHUNK_64_SHARED ? 64 : 32;
    }

    /// Entry point of the scan for this model on this GPU.
    static String scanVariant(Sizes sizes, Gpu gpu) {
        return "delta_scan_c" + chunk(gpu) + "_w" + warps(sizes, gpu);
    }

    /// Warps of a block of the scan: the most that leave enough blocks for the device.
    private static int warps(Sizes sizes, Gpu gpu) {
        int warps = 4;
        while (warps > 1 && sizes.valueHeads() * 8.0 / warps < FULL * gpu.multiprocessors()) {
            warps /= 2;
        }
        return warps;
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

    private void norm(String purpose, int layers) {
        int hidden = s.hidden();
        add("rms_norm", purpose, layers, Cost.of(4.0 * rows * hidden + 4.0 * hidden, rows));
    }

    private void delta(int layers) {
        norm("before the mixer", layers);
        double weights =
                form.body((double) s.hidden() * s.deltaWide())
                        + form.small((double) s.hidden() * s.deltaNarrow());
        int in = s.deltaWide() + s.deltaNarrow();
        gemm("bf16", "delta in", layers, new Product(weights, in, s.hidden(), in));
        double tiles = Math.ceilDiv(rows, KEYS) * Math.ceil(s.channels() / 256.0);
        double convolved = 4.0 * rows * s.channels() + 2 * s.windowBytes();
        add("convolve_chunk", "convolution", layers, Cost.of(convolved, tiles));
        prepare(layers);
        scan(layers);
        double gated = 6.0 * rows * s.valueWidth();
        add(
                "gated_norm",
                "delta out",
                layers,
                Cost.of(gated, rows * Math.ceil(s.valueHeads() / 16.0)));
        Product out =
                new Product(
                        form.body((double) s.hidden() * s.valueWidth()),
                        s.hidden(),
                        s.valueWidth(),
                        2 * s.hidden());
        gemm("add", "delta out", layers, out);
    }

    /// Bytes that the first half leaves of a chunk and value head.
    private double record() {
        return chunk(gpu) == 64 ? 11_280 : 3_600;
    }

    private void prepare(int layers) {
        int chunk = chunk(gpu);
        double chunks = Math.ceilDiv(rows, chunk);
        double keys = 2.0 * s.keyHeads() * 128;
        double bytes = 4.0 * rows * keys + 4.0 * rows * s.valueHeads();
        double bands = chunk / 16.0;
        double tiles = bands * (bands + 1) / 2;
        // Products of the whole block over its warps: both matrices, and the blocks of the inverse.
        double ratio = s.valueHeads() / (double) s.keyHeads();
        double blocks = 6 * ratio * (chunk == 64 ? 16 : 2);
        double steps = (tiles * 32 + blocks) / (chunk / 8.0);
        Cost cost =
                Cost.of(bytes + chunks * s.valueHeads() * record(), chunks * s.keyHeads())
                        .computing(4.0 * chunks * s.keyHeads() * chunk * chunk * 128)
                        .stepping(steps);
        add("delta_prepare_c" + chunk, "delta rule, chunks", layers, cost);
    }

    private void scan(int layers) {
        int chunk = chunk(gpu);
        int heads = s.valueHeads();
        double parts = 8.0 / warps(s, gpu);
        double chunks = Math.ceilDiv(rows, chunk);
        double keys = 4.0 * rows * s.keyHeads() * 128;
        double own = chunks * heads * record() + 4.0 * rows * s.valueWidth() + 2 * s.stateBytes();
        // Blocks of a head read its keys, queries and record again, through the L2 cache.
        double again = parts * heads * (512.0 * rows + chunks * record());
        Cost cost =
                Cost.of(keys + own, parts * heads)
                        .caching(again)
                        .computing(rows * heads * (6.0 * 128 * 128 + 8.0 * chunk * 128))
                        .stepping(chunks);
        add(scanVariant(s, gpu), "delta rule, sequence", layers, cost);
    }

    private void attention(int layers) {
        norm("before the mixer", layers);
        int in = s.attentionIn();
        double weights = form.body((double) s.hidden() * in);
        gemm("bf16", "attention in", layers, new Product(weights, in, s.hidden(), in));
        double vectors = s.heads() + 2.0 * s.kvHeads();
        Cost store = Cost.of(4.0 * rows * vectors * s.headDim(), rows * Math.ceil(vectors / 8));
        add("store_kv", "norms, rotation, cache", layers, store);
        double tiles = Math.ceilDiv(rows, PACKED / s.group());
        double seen = past + (rows + 1) / 2.0;
        double read = s.kvBytes() * (past + (double) rows) + 2.0 * 3 * rows * s.attentionOut();
        double steps = (past + (rows + PACKED / (double) s.group()) / 2) / KEYS + 0.5;
        Cost attend =
                Cost.of(read, tiles * s.kvHeads())
                        .caching(tiles * seen * s.kvBytes())
                        .computing(4.0 * rows * s.attentionOut() * seen)
                        .stepping(steps);
        add("attend_chunk", "attention", layers, attend);
        int width = s.attentionOut();
        double outWeights = form.body((double) s.hidden() * width);
        Product out = new Product(outWeights, s.hidden(), width, 2 * s.hidden());
        gemm("add", "attention out", layers, out);
    }

    private void feedForward(int layers) {
        norm("before the feed-forward", layers);
        Experts e = s.experts();
        if (e != null) {
            experts(e, layers);
            return;
        }
        int inner = s.inner();
        Product up = new Product(form.body(2.0 * s.hidden() * inner), 2 * inner, s.hidden(), inner);
        gemm("swiglu", "gate, up", layers, up);
        double weights = form.body((double) s.hidden() * inner);
        gemm("add", "down", layers, new Product(weights, s.hidden(), inner, 2 * s.hidden()));
    }

    private void experts(Experts e, int layers) {
        double groups = Math.ceilDiv(rows, ROUTED_TOGETHER);
        double tiles = Math.ceilDiv(e.experts() + 1, ROUTER_ROWS);
        double router = form.small((double) s.hidden() * (e.experts() + 1));
        double logits = 2.0 * 4 * rows * (e.experts() + 1);
        Cost route =
                Cost.of(router + 2.0 * rows * s.hidden(), tiles * groups)
                        .caching(logits + groups * router + tiles * 2 * rows * s.hidden())
                        .computing(2.0 * rows * s.hidden() * (e.experts() + 1))
                        .stepping(Math.ceil(s.hidden() / (double) ROUTER_STEP));
        add("route_normed", "router, choice", layers, route);
        double slots = e.perToken();
        add("expert_order", "order by expert", layers, Cost.of(12.0 * rows * (slots + 1), 1));
        new ExpertProducts(s, form, gpu, e, rows).launches(layers).forEach(this::add);
        double out = 4.0 * rows * (slots + 1) * s.hidden();
        Cost combine =
                Cost.of(out + 4.0 * rows * s.hidden(), rows * Math.ceil(s.hidden() / 1024.0));
        add("expert_combine", "weighted sum", layers, combine);
    }

    /// A dense product.
    ///
    /// @param weights bytes
    /// @param written columns that are written, or read and written, at the end
    private record Product(double weights, int outputs, int depth, int written) {}

    private void gemm(String result, String purpose, int layers, Product p) {
        int outputs = p.outputs();
        int cols = tileCols(outputs);
        int height = Math.min(cols, LARGE);
        double columns = Math.ceilDiv(outputs, cols);
        double tiles = Math.ceilDiv(rows, height) * columns;
        Cost cost =
                Cost.of(p.weights() + 2.0 * rows * ((double) p.depth() + p.written()), tiles)
                        .caching(2.0 * p.depth() * (rows * columns + tiles * cols))
                        .computing(2.0 * rows * outputs * p.depth())
                        .stepping(Math.ceilDiv(p.depth(), DEPTH));
        String name = "gemm_" + result + "_" + cols;
        add(new Launch(name, "gemm_" + cols, purpose, layers, cost));
    }

    /// Outputs of a tile: the most for so many rows that leave a tile for each multiprocessor.
    private int tileCols(int outputs) {
        int cols = rows <= SMALL ? SMALL : rows > WIDE_ROWS && wide(gpu) ? WIDE : LARGE;
        while (cols > SMALL && tiles(cols, outputs) < gpu.multiprocessors()) {
            cols /= 2;
        }
        return cols;
    }

    private double tiles(int cols, int outputs) {
        return (double) Math.ceilDiv(rows, Math.min(cols, LARGE)) * Math.ceilDiv(outputs, cols);
    }

    /// Whether tensor cores outrun the second-level cache so far that products have wide tiles.
    static boolean wide(Gpu gpu) {
        return WIDE_CAPABILITIES.contains(gpu.capability());
    }
}
