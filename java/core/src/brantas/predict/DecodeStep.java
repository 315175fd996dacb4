package brantas.predict;

import brantas.format.FeedForwardConfig.Experts;
import java.util.ArrayList;
import java.util.List;

/// The launches of a decode step, one new token for each sequence. Up to four rows the norms are
/// part of the products that read them; more rows have them done once, in a launch of their own.
final class DecodeStep {
    private static final int FUSED_ROWS = 4;

    /// Weight rows of a block, and of one product on tensor cores.
    private static final int OUTPUTS = 16;

    /// Activation rows that share one reading of the weights.
    private static final int TOGETHER = 32;

    private static final int SMALLEST_SPLIT = 256;
    private static final int MOST_SPLITS = 64;
    private static final int TILE = 32;

    private final Sizes s;
    private final WeightForm form;
    private final int rows;
    private final int context;
    private final List<Launch> all = new ArrayList<>();

    private DecodeStep(Sizes s, WeightForm form, int rows, int context) {
        this.s = s;
        this.form = form;
        this.rows = rows;
        this.context = context;
    }

    /// The launches, in the order of a layer.
    ///
    /// @param rows sequences
    /// @param context positions of each, the new one included
    static List<Launch> of(Sizes sizes, WeightForm form, int rows, int context) {
        DecodeStep step = new DecodeStep(sizes, form, rows, context);
        step.around();
        step.delta(sizes.deltaLayers());
        step.attention(sizes.attentionLayers());
        step.feedForward(sizes.config().layers());
        step.head();
        return List.copyOf(step.all);
    }

    /// Launches of the last position of a prompt: those around the head.
    static List<Launch> lastPosition(Sizes sizes, WeightForm form) {
        DecodeStep step = new DecodeStep(sizes, form, 1, 1);
        step.head();
        return List.copyOf(step.all);
    }

    private void add(String name, String purpose, int calls, Cost cost) {
        if (calls > 0) {
            all.add(new Launch(name, purpose, calls, cost));
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
        normed("gemv", "bf16", "delta in", layers, product(weights, in, s.hidden()));
        double parameters = 16.0 * s.channels() + 8 * hv;
        double moved =
                rows * (2 * s.stateBytes() + 2 * s.windowBytes() + 2.0 * (in + s.valueWidth()));
        Cost step =
                Cost.of(parameters + moved, rows * hv * 8)
                        .computing(rows * hv * 7 * 128 * 128)
                        .issuing(rows * hv * 8 * 128 * 128);
        add("delta_step", "convolution, delta rule", layers, step);
        Cost out =
                product(
                        form.body((double) s.hidden() * s.valueWidth()),
                        s.hidden(),
                        s.valueWidth());
        if (rows <= FUSED_ROWS) {
            add("gemv_gated_add", "delta out", layers, out);
        } else {
            add("gated_norm", "delta out", layers, Cost.of(6.0 * rows * s.valueWidth(), rows * 2));
            add("gemv_add", "delta out", layers, out);
        }
    }

    private void attention(int layers) {
        int in = s.attentionIn();
        normed(
                "gemv",
                "bf16",
                "attention in",
                layers,
                product(form.body((double) s.hidden() * in), in, s.hidden()));
        double vectors = s.heads() + 2.0 * s.kvHeads();
        Cost store = Cost.of(rows * 4 * vectors * s.headDim(), rows * Math.ceil(vectors / 8));
        add("store_kv", "norms, rotation, cache", layers, store);
        int size = splitSize(context);
        double splits = Math.ceilDiv(context, size);
        double inOut = 2.0 * rows * 3 * s.attentionOut();
        double partials = 2 * 4 * 260.0 * rows * s.heads() * splits;
        Cost attend =
                Cost.of(rows * s.kvBytes() * context + inOut, rows * s.kvHeads() * splits)
                        .caching(partials)
                        .computing(4.0 * rows * s.attentionOut() * context)
                        .stepping(Math.ceilDiv(Math.min(size, context), TILE));
        add("attend_step", "attention", layers, attend);
        int width = s.attentionOut();
        add(
                "gemv_add",
                "attention out",
                layers,
                product(form.body((double) s.hidden() * width), s.hidden(), width));
    }

    /// Positions of a split.
    private static int splitSize(int length) {
        int even = Math.ceilDiv(Math.ceilDiv(length, MOST_SPLITS), TILE) * TILE;
        return Math.max(SMALLEST_SPLIT, even);
    }

    private void feedForward(int layers) {
        Experts e = s.experts();
        if (e == null) {
            int inner = s.inner();
            Cost up = product(form.body(2.0 * s.hidden() * inner), 2 * inner, s.hidden());
            normed("gemv", "swiglu", "gate, up", layers, up);
            Cost down = product(form.body((double) s.hidden() * inner), s.hidden(), inner);
            add("gemv_add", "down", layers, down);
            return;
        }
        double router = form.small((double) s.hidden() * (e.experts() + 1));
        Cost route =
                Cost.of(router + rows * 4.0 * s.hidden(), rows)
                        .moving(rows * (router + 4.0 * s.hidden()))
                        .computing(2.0 * rows * s.hidden() * (e.experts() + 1));
        add("route", "norm, router, choice", layers, route);
        experts(e, layers);
    }

    private void experts(Experts e, int layers) {
        double touched = Sizes.touched(e, rows) * e.inner() + e.sharedInner();
        double read = (double) rows * e.perToken() * e.inner() + e.sharedInner();
        double used = (double) rows * (e.perToken() * e.inner() + e.sharedInner());
        int widest = Math.max(e.inner(), e.sharedInner());
        double upRows = rows * (2.0 * s.hidden() + 2.0 * (e.perToken() + 1) * widest);
        double products = rows * (e.perToken() + 1.0);
        Cost up =
                Cost.of(form.body(2 * touched * s.hidden()) + upRows, 0)
                        .moving(form.body(2 * read * s.hidden()) + upRows)
                        .computing(4 * used * s.hidden())
                        .issuing(6 * used * s.hidden());
        add("expert_gemv_up", "gate, up", layers, blocks(up, products * Math.ceilDiv(widest, 16)));
        double downRows = rows * (4.0 * s.hidden() + 2.0 * (e.perToken() + 1) * widest);
        Cost down =
                Cost.of(form.body(touched * s.hidden()) + downRows, 0)
                        .moving(form.body(read * s.hidden()) + downRows)
                        .computing(2 * used * s.hidden())
                        .issuing(3 * used * s.hidden());
        double grid = (double) rows * Math.ceilDiv(s.hidden(), OUTPUTS);
        add("expert_gemv_down", "down, weighted sum", layers, blocks(down, grid));
    }

    private static Cost blocks(Cost c, double blocks) {
        return new Cost(
                c.bytes(), c.moved(), c.cached(), c.flops(), c.instructions(), blocks, c.steps());
    }

    private void head() {
        double weights = form.head(s.vocabulary() * s.hidden());
        int outputs = (int) s.vocabulary();
        Cost head = product(weights, outputs, s.hidden());
        double logits = 4.0 * rows * outputs;
        normed("gemv", "f32", "head", 1, head);
        add("count_tokens", "penalties", 1, Cost.of(16.0 * rows, 1));
        Cost sample = Cost.of(logits, rows).moving(2 * logits);
        add("sample", "draw", 1, sample);
    }

    /// A product whose rows are normed first.
    private void normed(String stem, String result, String purpose, int calls, Cost cost) {
        if (rows <= FUSED_ROWS) {
            add(stem + "_norm_" + result, purpose, calls, cost);
            return;
        }
        Cost row = Cost.of(4.0 * rows * s.hidden(), rows);
        if (purpose.equals("head")) {
            add("gather_rows", purpose, calls, row);
        }
        add("rms_norm", purpose, calls, row);
        add(stem + "_" + result, purpose, calls, cost);
    }

    private Cost product(double weights, int outputs, int depth) {
        double activations = 2.0 * rows * ((double) depth + outputs);
        double blocks = Math.ceilDiv(outputs, OUTPUTS);
        return Cost.of(weights + activations, blocks)
                .moving(weights * Math.ceilDiv(rows, TOGETHER) + activations)
                .caching(blocks * rows * depth * 2)
                .computing(2.0 * rows * outputs * depth);
    }
}
