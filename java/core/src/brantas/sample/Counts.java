package brantas.sample;

import brantas.settings.Sampling;
import java.util.Arrays;

/// How often each token occurred in a sequence, prompt and output apart: what the penalties need.
/// Holds nothing while no penalty is on.
public final class Counts {
    private int[] seen = new int[0];
    private int[] generated = new int[0];
    private int[] distinct = new int[0];
    private int size;

    /// @param vocabulary width of a row of logits; 0 keeps no counts
    public Counts(int vocabulary) {
        if (vocabulary > 0) {
            seen = new int[vocabulary];
            generated = new int[vocabulary];
            distinct = new int[64];
        }
    }

    /// Counts a token of the prompt.
    public void prompt(int id) {
        if (seen.length > 0) {
            note(id);
        }
    }

    /// Counts a generated token.
    public void generated(int id) {
        if (seen.length > 0) {
            note(id);
            generated[id]++;
        }
    }

    private void note(int id) {
        if (seen[id]++ == 0) {
            if (size == distinct.length) {
                distinct = Arrays.copyOf(distinct, 2 * size);
            }
            distinct[size++] = id;
        }
    }

    void penalise(float[] logits, Sampling sampling) {
        float repetition = (float) sampling.repetitionPenalty();
        for (int i = 0; i < size; i++) {
            int id = distinct[i];
            float logit = logits[id];
            logit = logit > 0 ? logit / repetition : logit * repetition;
            if (generated[id] > 0) {
                logit -=
                        (float)
                                (sampling.presencePenalty()
                                        + sampling.frequencyPenalty() * generated[id]);
            }
            logits[id] = logit;
        }
    }
}
