package brantas.predict;

import brantas.format.FeedForwardConfig;
import brantas.format.FeedForwardConfig.Dense;
import brantas.format.FeedForwardConfig.Experts;
import brantas.format.ModelConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.format.WeightNames;
import org.jspecify.annotations.Nullable;

/// A model's shapes as its kernels see them, and the bytes that a decoded token cannot do without.
record Sizes(ModelConfig config) {
    private static final int BF16 = 2;
    private static final int FP32 = 4;

    int hidden() {
        return config.hiddenSize();
    }

    double vocabulary() {
        return config.vocabSize();
    }

    int attentionLayers() {
        return (int) config.layerTypes().stream().filter(t -> t == LayerType.ATTENTION).count();
    }

    int deltaLayers() {
        return config.layers() - attentionLayers();
    }

    int heads() {
        return config.attention().heads();
    }

    int kvHeads() {
        return config.attention().kvHeads();
    }

    int headDim() {
        return config.attention().headDim();
    }

    int group() {
        return heads() / kvHeads();
    }

    int valueHeads() {
        return config.delta().valueHeads();
    }

    int keyHeads() {
        return config.delta().keyHeads();
    }

    int channels() {
        return config.delta().convChannels();
    }

    int valueWidth() {
        return config.delta().valueWidth();
    }

    /// The mixture of experts, or null for a dense model.
    @Nullable Experts experts() {
        return config.feedForward() instanceof Experts e ? e : null;
    }

    /// Inner width of a dense model.
    int inner() {
        return config.feedForward() instanceof Dense d ? d.intermediate() : 0;
    }

    /// Rows of q, k, v and z: what may be stored in another form than bf16.
    int deltaWide() {
        return channels() + valueWidth();
    }

    /// Rows of b and a.
    int deltaNarrow() {
        return 2 * valueHeads();
    }

    int attentionIn() {
        return (2 * heads() + 2 * kvHeads()) * headDim();
    }

    int attentionOut() {
        return heads() * headDim();
    }

    /// Bytes of keys and values of a position in one layer.
    double kvBytes() {
        return 2.0 * kvHeads() * headDim() * BF16;
    }

    /// Bytes of a sequence's recurrent state in one layer.
    double stateBytes() {
        return (double) valueHeads() * config.delta().keyDim() * config.delta().valueDim() * FP32;
    }

    /// Bytes of a sequence's convolution window in one layer.
    double windowBytes() {
        return (config.delta().convWidth() - 1.0) * channels() * BF16;
    }

    /// Different experts that `tokens` tokens touch in a layer under uniform routing.
    static double touched(Experts e, double tokens) {
        return e.experts() * (1 - Math.pow(1 - e.perToken() / (double) e.experts(), tokens));
    }

    /// Bytes that a decode step of `batch` sequences must move: the weights in use once, keys and
    /// values once, recurrent state and window read and written.
    double stepBytes(WeightForm form, int batch, int context) {
        double wide =
                (double) deltaLayers() * hidden() * (deltaWide() + valueWidth())
                        + (double) attentionLayers() * hidden() * (attentionIn() + attentionOut());
        double narrow = (double) deltaLayers() * hidden() * deltaNarrow();
        FeedForwardConfig feedForward = config.feedForward();
        switch (feedForward) {
            case Dense d -> wide += 3.0 * config.layers() * hidden() * d.intermediate();
            case Experts e -> {
                double rows = touched(e, batch) * e.inner() + e.sharedInner();
                wide += 3.0 * config.layers() * hidden() * rows;
                narrow += (double) config.layers() * hidden() * (e.experts() + 1);
            }
        }
        double sequence =
                attentionLayers() * kvBytes() * context
                        + 2 * deltaLayers() * (stateBytes() + windowBytes());
        return form.body(wide)
                + form.small(narrow)
                + form.head(vocabulary() * hidden())
                + batch * sequence;
    }

    /// Bytes of everything that has to be in memory: all weights, and each sequence's state and
    /// cache.
    double memoryBytes(WeightForm form, int batch, int context) {
        double weights =
                WeightNames.text(config).stream().mapToDouble(WeightNames.Expected::elements).sum();
        double sequence =
                attentionLayers() * kvBytes() * context
                        + deltaLayers() * (stateBytes() + windowBytes());
        return form.body(weights) + batch * sequence;
    }
}
