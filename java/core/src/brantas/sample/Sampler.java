package brantas.sample;

import brantas.settings.Sampling;
import java.util.BitSet;

/// Draws token ids from logits. One sampler serves one engine thread: its scratch arrays are
/// reused, and nothing is allocated per token. What a sequence has said so far is in its [Counts].
public final class Sampler {
    /// Candidates whose probability is below e^−16 of the best are looked at only when the rest do
    /// not fill the nucleus.
    private static final float NEAR = 16;

    private final BitSet allowed;
    private final float[] logits;
    private final int[] ids;
    private final float[] keys;
    private int count;

    /// @param vocabulary width of a row of logits
    /// @param allowed ids that have a token; the others are padding rows and never drawn (spec 6.1)
    public Sampler(int vocabulary, BitSet allowed) {
        this.allowed = (BitSet) allowed.clone();
        this.logits = new float[vocabulary];
        this.ids = new int[vocabulary];
        this.keys = new float[vocabulary];
    }

    /// The row to fill before [#draw]: one logit an id.
    public float[] row() {
        return logits;
    }

    /// Draws from the logits in [#row], which it changes.
    ///
    /// @param sampling how
    /// @param counts earlier tokens, for the penalties
    /// @param position index of the drawn token in its sequence: with the seed it fixes the random
    ///   number
    public int draw(Sampling sampling, Counts counts, long position) {
        for (int id = allowed.nextClearBit(0);
                id < logits.length;
                id = allowed.nextClearBit(id + 1)) {
            logits[id] = Float.NEGATIVE_INFINITY;
        }
        if (sampling.penalises()) {
            counts.penalise(logits, sampling);
        }
        int best = largest();
        if (sampling.temperature() == 0) {
            return best;
        }
        float scale = (float) (1 / sampling.temperature());
        float max = logits[best];
        if (sampling.topK() > 0 && sampling.topK() < logits.length) {
            keepLargest(sampling.topK());
        } else {
            keepAbove(Float.NEGATIVE_INFINITY);
        }
        boolean ordered = sampling.topP() < 1;
        if (ordered && count > 64) {
            narrow(sampling.topP(), max, scale);
        }
        if (ordered) {
            sort(0, count - 1);
        }
        return pick(sampling, max, scale, Philox.uniform(sampling.seed(), position));
    }

    private int largest() {
        int best = 0;
        for (int id = 1; id < logits.length; id++) {
            if (logits[id] > logits[best]) {
                best = id;
            }
        }
        return best;
    }

    private void keepAbove(float floor) {
        count = 0;
        for (int id = 0; id < logits.length; id++) {
            if (logits[id] > floor) {
                ids[count] = id;
                keys[count++] = logits[id];
            }
        }
    }

    /// The k largest, among equals the lower ids: a threshold from a partial sort, then one pass.
    private void keepLargest(int k) {
        System.arraycopy(logits, 0, keys, 0, logits.length);
        float threshold = Selection.kthLargest(keys, logits.length, k);
        int above = 0;
        for (float logit : logits) {
            above += logit > threshold ? 1 : 0;
        }
        int ties = k - above;
        count = 0;
        for (int id = 0; id < logits.length; id++) {
            boolean tie = logits[id] == threshold && ties > 0;
            if (tie) {
                ties--;
            }
            if ((logits[id] > threshold || tie) && logits[id] != Float.NEGATIVE_INFINITY) {
                ids[count] = id;
                keys[count++] = logits[id];
            }
        }
    }

    /// Drops candidates far below the best if those that stay already hold the nucleus: exact, and
    /// far less to sort.
    private void narrow(double topP, float max, float scale) {
        double total = 0;
        double near = 0;
        float floor = max - NEAR / scale;
        for (int i = 0; i < count; i++) {
            double p = Math.exp((keys[i] - max) * scale);
            total += p;
            near += keys[i] > floor ? p : 0;
        }
        if (near < topP * total) {
            return;
        }
        // The mass outside still counts in the total; [#pick] normalises by what it sees, so keep
        // it as one number.
        dropped = total - near;
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (keys[i] > floor) {
                ids[kept] = ids[i];
                keys[kept++] = keys[i];
            }
        }
        count = kept;
    }

    private double dropped;

    private int pick(Sampling sampling, float max, float scale, double uniform) {
        double total = dropped;
        dropped = 0;
        for (int i = 0; i < count; i++) {
            total += Math.exp((keys[i] - max) * scale);
        }
        double nucleus = sampling.topP() * total;
        double floor = sampling.minP();
        double kept = 0;
        double before = 0;
        int last = 0;
        for (int i = 0; i < count && (sampling.topP() >= 1 || before < nucleus || i == 0); i++) {
            double p = Math.exp((keys[i] - max) * scale);
            before += p;
            if (p >= floor) {
                kept += p;
            } else {
                keys[i] = Float.NEGATIVE_INFINITY;
            }
            last = i;
        }
        double target = uniform * kept;
        int chosen = -1;
        for (int i = 0; i <= last; i++) {
            double p = Math.exp((keys[i] - max) * scale);
            if (p == 0) {
                continue;
            }
            chosen = ids[i];
            target -= p;
            if (target < 0) {
                break;
            }
        }
        return chosen;
    }

    /// Quicksort of the candidates: larger logits first, among equals the lower id.
    private void sort(int low, int high) {
        int from = low;
        int to = high;
        while (from < to) {
            int i = from;
            int j = to;
            int middle = (from + to) >>> 1;
            float key = keys[middle];
            int id = ids[middle];
            while (i <= j) {
                while (before(i, key, id)) {
                    i++;
                }
                while (after(j, key, id)) {
                    j--;
                }
                if (i <= j) {
                    swap(i++, j--);
                }
            }
            // The shorter side by recursion: the stack stays logarithmic.
            if (j - from < to - i) {
                sort(from, j);
                from = i;
            } else {
                sort(i, to);
                to = j;
            }
        }
    }

    private boolean before(int i, float key, int id) {
        return keys[i] > key || (keys[i] == key && ids[i] < id);
    }

    private boolean after(int i, float key, int id) {
        return keys[i] < key || (keys[i] == key && ids[i] > id);
    }

    private void swap(int i, int j) {
        float key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
        int id = ids[i];
        ids[i] = ids[j];
        ids[j] = id;
    }
}
