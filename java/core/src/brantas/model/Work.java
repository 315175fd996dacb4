package brantas.model;

import brantas.format.FeedForwardConfig;
import brantas.format.ModelConfig;
import brantas.format.WeightNames;

/// What a step must move and compute at least, from the configuration alone: the floors that
/// measured speed is compared with (spec 11). Weights count as bf16.
public final class Work {
    private Work() {}

    /// Bytes that one decode step reads and writes: every weight in use once, the recurrent state
    /// twice, the KV cache of the context once (fp32 on the CPU).
    ///
    /// @param batch sequences in the step; with experts, the distinct ones of uniform routing are
    ///   expected
    /// @param context positions of each sequence
    public static double decodeBytes(ModelConfig config, int batch, int context) {
        double share = 1;
        if (config.feedForward() instanceof FeedForwardConfig.Experts e) {
            share = 1 - Math.pow(1 - e.perToken() / (double) e.experts(), batch);
        }
        double weights = 2 * (dense(config) + share * routed(config) + head(config));
        double states = 2.0 * batch * ModelState.stateBytes(config, 4);
        return weights + states + (double) batch * context * ModelState.kvBytesPerToken(config, 4);
    }

    /// Floating-point operations of the linear layers over a prompt; the head runs for its last
    /// token only. Attention and the delta rule are not counted, so the fraction of peak made from
    /// this is a lower bound.
    public static double prefillFlops(ModelConfig config, int tokens) {
        double share = 1;
        if (config.feedForward() instanceof FeedForwardConfig.Experts e) {
            share = e.perToken() / (double) e.experts();
        }
        return 2 * (tokens * (dense(config) + share * routed(config)) + head(config));
    }

    private static double head(ModelConfig config) {
        return (double) config.vocabSize() * config.hiddenSize();
    }

    /// Parameters of the blocks but for the routed experts.
    private static double dense(ModelConfig config) {
        double all = 0;
        for (WeightNames.Expected t : WeightNames.text(config)) {
            all += t.shape()[0] == config.vocabSize() ? 0 : t.elements();
        }
        return all - routed(config);
    }

    private static double routed(ModelConfig config) {
        return config.feedForward() instanceof FeedForwardConfig.Experts e
                ? 3.0 * config.layers() * e.experts() * e.inner() * config.hiddenSize()
                : 0;
    }
}
