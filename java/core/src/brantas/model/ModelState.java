package brantas.model;

import brantas.format.ModelConfig;
import brantas.format.ModelConfig.LayerType;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.Rope;
import java.util.ArrayList;
import java.util.List;

/// The memory of all layers for a number of sequences: KV pages and state slots. Engines own one;
/// tests may have several.
public final class ModelState {
    private final Rope rope;
    private final List<LayerState> layers = new ArrayList<>();

    /// @param pages KV pages of each attention layer
    /// @param pageSize positions of a page
    /// @param slots sequences whose recurrent state is held
    public ModelState(Backend ops, ModelConfig config, int pages, int pageSize, int slots) {
        this.rope = RopeTable.of(config.attention().rope());
        for (LayerType type : config.layerTypes()) {
            layers.add(
                    switch (type) {
                        case ATTENTION ->
                                new LayerState.Attention(
                                        ops.kvCache(Shapes.attention(config), pageSize, pages));
                        case DELTA ->
                                new LayerState.Delta(ops.deltaState(Shapes.delta(config), slots));
                    });
        }
    }

    Rope rope() {
        return rope;
    }

    LayerState layer(int index) {
        return layers.get(index);
    }

    /// Zeroes the recurrent state and the window of a slot in every layer, for a new sequence.
    public void clear(int slot) {
        for (LayerState layer : layers) {
            if (layer instanceof LayerState.Delta delta) {
                delta.state().clear(slot);
            }
        }
    }

    /// Bytes of keys and values for one position in all attention layers.
    ///
    /// @param bytes of one value: 4 on the CPU
    public static long kvBytesPerToken(ModelConfig config, int bytes) {
        AttentionShape a = Shapes.attention(config);
        long layers = config.layerTypes().stream().filter(t -> t == LayerType.ATTENTION).count();
        return layers * 2 * a.kvHeads() * a.headDim() * bytes;
    }

    /// Bytes of recurrent state (fp32) and window of one sequence in all delta-rule layers.
    ///
    /// @param bytes of one window value: 4 on the CPU
    public static long stateBytes(ModelConfig config, int bytes) {
        DeltaShape d = Shapes.delta(config);
        long layers = config.layerTypes().stream().filter(t -> t == LayerType.DELTA).count();
        long recurrent = 4L * d.valueHeads() * d.keyDim() * d.valueDim();
        return layers * (recurrent + (d.convWidth() - 1L) * d.channels() * bytes);
    }
}
