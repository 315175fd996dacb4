package brantas.format;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// The shape of one model of the family as its `config.json` states it (specification §1), checked
/// so that later code need not doubt it: every value positive, every division exact, nothing asked
/// for that is not implemented. Knows no tensor; `WeightNames` derives those.
///
/// @param family class name in the file, e.g. `Qwen3_5ForConditionalGeneration`
/// @param prefix of the text model's tensors: `model.language_model.` or `model.`
/// @param hiddenSize channels of the residual stream
/// @param layerTypes kind of each layer, outermost first
/// @param vocabSize rows of the embedding, padding included
/// @param rmsNormEps added to the mean square in every RMS norm
/// @param maxPositions native context length in tokens
/// @param attention shape of the full-attention layers
/// @param delta shape of the delta-net layers
/// @param feedForward shape of what follows either
/// @param tie whether the head shares the embedding
/// @param eosIds ids that end a sequence according to this file, perhaps none
/// @param mtpLayers layers of the draft head, 0 or 1
/// @param vision the vision tower, if there is one
public record ModelConfig(
        String family,
        String prefix,
        int hiddenSize,
        List<LayerType> layerTypes,
        int vocabSize,
        double rmsNormEps,
        int maxPositions,
        AttentionConfig attention,
        DeltaConfig delta,
        FeedForwardConfig feedForward,
        Tie tie,
        List<Integer> eosIds,
        int mtpLayers,
        Optional<VisionConfig> vision) {

    /// The mixer of a layer.
    public enum LayerType {
        /// Gated delta net, `linear_attention` in files.
        DELTA,
        /// Softmax attention, `full_attention` in files.
        ATTENTION
    }

    /// Whether the output head is the embedding.
    public enum Tie {
        /// One matrix serves both; an `lm_head.weight` that is there anyway is not used.
        TIED,
        /// `lm_head.weight` is its own matrix.
        SEPARATE,
        /// The file does not say: tied iff `lm_head.weight` is absent. An opened checkpoint never
        /// has this value.
        BY_PRESENCE
    }

    /// Full attention.
    ///
    /// @param heads query heads, each with its own output gate
    /// @param kvHeads key and value heads, a divisor of `heads`
    /// @param headDim channels of a head
    /// @param rope rotary parameters
    public record AttentionConfig(int heads, int kvHeads, int headDim, RopeConfig rope) {}

    /// Gated delta net.
    ///
    /// @param keyHeads query and key heads, a divisor of `valueHeads`
    /// @param valueHeads value heads, each with its own state `[keyDim, valueDim]`
    /// @param keyDim channels of a key head
    /// @param valueDim channels of a value head
    /// @param convWidth taps of the causal convolution
    public record DeltaConfig(
            int keyHeads, int valueHeads, int keyDim, int valueDim, int convWidth) {
        /// Channels of all keys, which is also that of all queries.
        public int keyWidth() {
            return keyHeads * keyDim;
        }

        /// Channels of all values.
        public int valueWidth() {
            return valueHeads * valueDim;
        }

        /// Channels that pass the convolution: queries, keys, values.
        public int convChannels() {
            return 2 * keyWidth() + valueWidth();
        }
    }

    /// Copies the lists.
    public ModelConfig {
        layerTypes = List.copyOf(layerTypes);
        eosIds = List.copyOf(eosIds);
    }

    /// Reads and checks `config.json`, nested or flat.
    ///
    /// @throws brantas.settings.BrantasException naming the file and the key
    public static ModelConfig read(Path file) {
        return new ConfigReader(file).read();
    }

    /// How many layers there are, the draft head not counted.
    public int layers() {
        return layerTypes.size();
    }

    /// Whether the output head is the embedding.
    ///
    /// @throws IllegalStateException before the checkpoint was opened, if the file does not say
    public boolean tied() {
        if (tie == Tie.BY_PRESENCE) {
            throw new IllegalStateException("tie is not resolved");
        }
        return tie == Tie.TIED;
    }

    /// The same with the question of the head settled by what the checkpoint holds.
    ModelConfig resolved(boolean hasHead) {
        return tie != Tie.BY_PRESENCE ? this : with(hasHead ? Tie.SEPARATE : Tie.TIED, vision);
    }

    /// The same without the vision tower.
    public ModelConfig textOnly() {
        return with(tie, Optional.empty());
    }

    private ModelConfig with(Tie newTie, Optional<VisionConfig> newVision) {
        return new ModelConfig(
                family,
                prefix,
                hiddenSize,
                layerTypes,
                vocabSize,
                rmsNormEps,
                maxPositions,
                attention,
                delta,
                feedForward,
                newTie,
                eosIds,
                mtpLayers,
                newVision);
    }
}
