package brantas.format;

import brantas.format.JsonFile.Section;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Rotary position parameters of the attention layers: base, width, how the three position axes
/// share the frequencies, and context extension (specification §3 steps 3–5 and §10). The numbers
/// only; the frequencies are made by the model.
///
/// @param theta base of the frequencies
/// @param rotaryDim rotated channels of a head, even
/// @param section frequencies of the time, height and width axis; they sum to `rotaryDim / 2`
/// @param yarn context extension, if the file asks for it
public record RopeConfig(double theta, int rotaryDim, int[] section, Optional<YarnConfig> yarn) {

    /// YaRN, static: it applies at every length (specification §10).
    ///
    /// @param factor how many times the original context, at least 1
    /// @param originalMaxPositions context length of training
    /// @param betaFast rotations above which a frequency stays as it is
    /// @param betaSlow rotations below which a frequency is divided by the factor
    /// @param attentionFactor multiplies cos and sin
    /// @param truncate whether the ramp's ends are rounded to whole frequencies
    public record YarnConfig(
            double factor,
            int originalMaxPositions,
            double betaFast,
            double betaSlow,
            double attentionFactor,
            boolean truncate) {}

    /// Reads the values for heads of `headDim` channels. Each key is looked up in
    /// `rope_parameters`, then `rope_scaling`, then beside the other text fields.
    static RopeConfig read(Section text, int headDim) {
        List<Section> places =
                Stream.concat(
                                Stream.of("rope_parameters", "rope_scaling")
                                        .flatMap(key -> text.section(key).stream()),
                                Stream.of(text))
                        .toList();
        Section partial = holder(places, "partial_rotary_factor");
        double share = partial.positive("partial_rotary_factor");
        double rotary = headDim * share;
        if (share > 1 || rotary != Math.rint(rotary) || rotary % 2 != 0) {
            throw partial.wrong(
                    "partial_rotary_factor",
                    "a share of the " + headDim + " channels of head_dim that is even");
        }
        holder(places, "mrope_interleaved")
                .flag("mrope_interleaved")
                .filter(interleaved -> !interleaved)
                .ifPresent(_ -> {
                    throw holder(places, "mrope_interleaved")
                            .unsupported("mrope_interleaved", "true");
                });
        return new RopeConfig(
                holder(places, "rope_theta").positive("rope_theta"),
                (int) rotary,
                axes(holder(places, "mrope_section"), (int) rotary / 2),
                yarn(places));
    }

    private static int[] axes(Section place, int frequencies) {
        if (!place.has("mrope_section")) {
            throw place.missing("mrope_section");
        }
        int[] axes = place.numbers("mrope_section").stream().mapToInt(Integer::intValue).toArray();
        long sum = 0;
        for (int n : axes) {
            sum += n;
        }
        if (axes.length != 3 || sum != frequencies) {
            throw place.wrong(
                    "mrope_section",
                    "three counts whose sum is half the rotary width, " + frequencies);
        }
        return axes;
    }

    private static Optional<YarnConfig> yarn(List<Section> places) {
        String key = holder(places, "rope_type").has("rope_type") ? "rope_type" : "type";
        Section typed = holder(places, key);
        Optional<String> type = typed.text(key);
        Section factor = holder(places, "factor");
        if (type.isEmpty() && factor.has("factor")) {
            throw factor.missing("rope_type");
        }
        return switch (type.orElse("default")) {
            case "default" -> Optional.empty();
            case "yarn" -> Optional.of(yarnValues(places));
            default -> throw typed.unsupported(key, "default and yarn");
        };
    }

    private static YarnConfig yarnValues(List<Section> places) {
        for (String key : List.of("mscale", "mscale_all_dim")) {
            Section place = holder(places, key);
            if (place.has(key)) {
                throw place.unsupported(key, "yarn without it (attention_factor is honoured)");
            }
        }
        Section factors = holder(places, "factor");
        double factor = factors.positive("factor");
        if (factor < 1) {
            throw factors.wrong("factor", "at least 1");
        }
        String original = "original_max_position_embeddings";
        double fast = beta(places, "beta_fast", 32);
        double slow = beta(places, "beta_slow", 1);
        if (fast <= slow) {
            throw holder(places, "beta_fast").wrong("beta_fast", "above beta_slow = " + slow);
        }
        return new YarnConfig(
                factor,
                holder(places, original).count(original, ConfigReader.MAX_POSITIONS),
                fast,
                slow,
                holder(places, "attention_factor").has("attention_factor")
                        ? holder(places, "attention_factor").positive("attention_factor")
                        : 0.1 * Math.log(factor) + 1,
                holder(places, "truncate").flag("truncate").orElse(true));
    }

    private static double beta(List<Section> places, String key, double usual) {
        Section place = holder(places, key);
        return place.has(key) ? place.positive(key) : usual;
    }

    /// The first place that has the key; the innermost one, for the message, if none has.
    private static Section holder(List<Section> places, String key) {
        return places.stream().filter(p -> p.has(key)).findFirst().orElse(places.getFirst());
    }
}
