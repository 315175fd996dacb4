package brantas.settings;

import java.util.Locale;

/// How the next token is drawn from the logits. Applied in this order: repetition, presence and
/// frequency penalties, temperature, top-k, top-p, min-p. Values are checked here, once.
///
/// @param temperature 0 is greedy: the largest logit, the lower id among equals
/// @param topP nucleus mass in (0, 1]; 1 is off
/// @param topK candidates kept; 0 is off
/// @param minP smallest probability relative to the largest, in [0, 1]; 0 is off
/// @param presencePenalty subtracted once from the logit of every token generated so far, −2 … 2
/// @param frequencyPenalty subtracted per occurrence in the generated text, −2 … 2
/// @param repetitionPenalty divides positive and multiplies negative logits of tokens in prompt and
///   output; 1 is off
/// @param seed same seed, same text, whoever else is in the batch
public record Sampling(
        double temperature,
        double topP,
        int topK,
        double minP,
        double presencePenalty,
        double frequencyPenalty,
        double repetitionPenalty,
        long seed) {
    /// Greedy decoding.
    public static final Sampling GREEDY = new Sampling(0, 1, 0, 0, 0, 0, 1, 0);

    /// Checks every range.
    public Sampling {
        check("temperature", temperature, 0, 100);
        if (topP <= 0) {
            throw new BrantasException(
                    "top_p is " + topP + ": use a value in (0, 1], 1 to switch it off.");
        }
        check("top_p", topP, 0, 1);
        check("top_k", topK, 0, Integer.MAX_VALUE);
        check("min_p", minP, 0, 1);
        check("presence_penalty", presencePenalty, -2, 2);
        check("frequency_penalty", frequencyPenalty, -2, 2);
        if (repetitionPenalty <= 0) {
            throw new BrantasException(
                    "repetition_penalty is "
                            + repetitionPenalty
                            + ": use a positive value, 1 to switch it off.");
        }
        check("repetition_penalty", repetitionPenalty, 0, 100);
    }

    private static void check(String name, double value, double low, double high) {
        if (!(value >= low && value <= high)) {
            throw new BrantasException(
                    String.format(
                            Locale.ROOT,
                            "%s is %s: use a value from %s to %s.",
                            name,
                            value,
                            low,
                            high));
        }
    }

    /// Whether any penalty looks at earlier tokens.
    public boolean penalises() {
        return presencePenalty != 0 || frequencyPenalty != 0 || repetitionPenalty != 1;
    }
}
