package brantas.format;

import brantas.format.JsonFile.Section;

/// What follows the mixer in every layer: one gated MLP, or routed experts beside a shared one
/// (specification §2.4 and §5). A checkpoint is a mixture of experts iff `num_experts` exists.
public sealed interface FeedForwardConfig {

    /// One gated MLP.
    ///
    /// @param intermediate inner width
    record Dense(int intermediate) implements FeedForwardConfig {}

    /// Routed experts and a shared expert.
    ///
    /// @param experts how many there are
    /// @param perToken how many of them a token uses
    /// @param inner inner width of a routed expert
    /// @param sharedInner inner width of the shared expert
    record Experts(int experts, int perToken, int inner, int sharedInner)
            implements FeedForwardConfig {}

    /// Reads the text level of a configuration.
    static FeedForwardConfig read(Section text, boolean namedExperts) {
        int width = ConfigReader.MAX_WIDTH;
        if (!namedExperts && !text.has("num_experts")) {
            return new Dense(text.count("intermediate_size", width));
        }
        if (!text.numbers("mlp_only_layers").isEmpty()) {
            throw text.unsupported("mlp_only_layers", "experts in every layer");
        }
        int experts = text.count("num_experts", 8_192);
        int perToken = text.count("num_experts_per_tok", 8_192);
        if (perToken > experts) {
            throw text.wrong("num_experts_per_tok", "at most num_experts = " + experts);
        }
        return new Experts(
                experts,
                perToken,
                text.count("moe_intermediate_size", width),
                text.count("shared_expert_intermediate_size", width));
    }
}
