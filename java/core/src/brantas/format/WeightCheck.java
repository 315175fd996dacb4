package brantas.format;

import brantas.format.FeedForwardConfig.Experts;
import brantas.format.TensorSource.TensorInfo;
import brantas.format.WeightNames.Expected;
import brantas.settings.BrantasException;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedMap;
import java.util.SequencedSet;

/// Compares the tensors of one source with the tables of `WeightNames`; the first difference is one
/// sentence. Work is bounded by the tensors that exist: per-expert names are made one by one and
/// stop at the first that is missing.
final class WeightCheck {
    private final TensorSource source;
    private final ModelConfig config;
    private final SequencedMap<String, TensorInfo> tensors;
    private final SequencedSet<String> left;

    WeightCheck(TensorSource source) {
        this.source = source;
        this.config = source.config();
        this.tensors = source.tensors();
        this.left = new LinkedHashSet<>(tensors.sequencedKeySet());
    }

    void run() {
        WeightNames.text(config).forEach(this::match);
        if (tensors.containsKey(WeightNames.HEAD)) {
            match(WeightNames.head(config));
        }
        if (WeightNames.has(source, WeightNames.MTP)) {
            WeightNames.mtp(config).forEach(this::match);
        }
        if (WeightNames.has(source, WeightNames.VISION)) {
            WeightNames.vision(config).forEach(this::match);
        }
        if (!left.isEmpty()) {
            throw unexpected(tensors(left.getFirst()));
        }
    }

    private void match(Expected expected) {
        String name = expected.name();
        if (name.endsWith(WeightNames.FUSED_DOWN) || name.endsWith(WeightNames.FUSED_UP)) {
            String layer = name.substring(0, name.indexOf("mlp.experts."));
            if (!WeightNames.fusedExperts(source, layer)) {
                matchPerExpert(layer, name);
                return;
            }
        }
        matchOne(expected);
    }

    private void matchPerExpert(String layer, String name) {
        if (name.endsWith(WeightNames.FUSED_UP)
                && config.feedForward() instanceof Experts experts) {
            for (int e = 0; e < experts.experts(); e++) {
                WeightNames.expert(layer, e, experts, config.hiddenSize()).forEach(this::matchOne);
            }
        }
    }

    private void matchOne(Expected expected) {
        String name = expected.name();
        if (!tensors.containsKey(name)) {
            throw new BrantasException(
                    source.name()
                            + ": tensor "
                            + JsonFile.quote(name)
                            + " "
                            + Arrays.toString(expected.shape())
                            + " is missing; finish the download, or use the config.json that"
                            + " belongs to these weights.");
        }
        TensorInfo found = tensors(name);
        if (!found.dtype().real()) {
            throw fault(found, "must be bf16, f16 or f32, found " + found.dtype());
        }
        if (!Arrays.equals(found.shape(), expected.shape())) {
            throw misshaped(found, expected.shape());
        }
        left.remove(name);
    }

    private BrantasException misshaped(TensorInfo found, long[] expected) {
        long[] shape = found.shape();
        boolean swapped =
                found.name().endsWith("conv1d.weight")
                        && shape.length == 3
                        && shape[1] == expected[2]
                        && shape[2] == 1;
        if (swapped) {
            return new BrantasException(
                    found.file()
                            + ": tensor "
                            + JsonFile.quote(found.name())
                            + " has shape "
                            + Arrays.toString(shape)
                            + " instead of "
                            + Arrays.toString(expected)
                            + ", the sign of a conversion for MLX, which may have changed the norms"
                            + " too; use the original checkpoint.");
        }
        return fault(
                found,
                "must have shape "
                        + Arrays.toString(expected)
                        + ", found "
                        + Arrays.toString(shape));
    }

    private BrantasException unexpected(TensorInfo found) {
        String name = found.name();
        String reason = "is no tensor of this model";
        if (name.startsWith(WeightNames.MTP) && config.mtpLayers() == 0) {
            reason = "is there although mtp_num_hidden_layers is 0 or absent in config.json";
        } else if (name.startsWith(WeightNames.VISION) && config.vision().isEmpty()) {
            reason = "is there although config.json has no vision_config";
        } else if (List.of("_scale_inv", "_scale", "qweight", "qzeros", "scales").stream()
                .anyMatch(name::endsWith)) {
            reason = "belongs to a quantised checkpoint, which this version does not support";
        }
        return fault(found, reason);
    }

    private static BrantasException fault(TensorInfo found, String what) {
        return new BrantasException(
                found.file()
                        + ": tensor "
                        + JsonFile.quote(found.name())
                        + " "
                        + what
                        + "; use the config.json and the weights of one and the same release.");
    }

    private TensorInfo tensors(String name) {
        TensorInfo info = tensors.get(name);
        if (info == null) {
            throw new IllegalStateException(name);
        }
        return info;
    }
}
