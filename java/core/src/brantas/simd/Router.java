package brantas.simd;

import brantas.op.ExpertShape;
import brantas.op.Routing;
import brantas.op.RowSpan;
import brantas.tensor.HostBuffer;
import java.lang.foreign.Arena;

/// `ExpertOps.route`: router logits in fp32, the largest ones in order, and their weights.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Router {
    /// What a step chose, and the working memory of [Experts] for it.
    static final class Choice implements Routing {
        private final ExpertShape shape;
        private final int hidden;
        private final int rows;
        private final int[] expert;
        private final float[] weight;
        private final float[] sharedGate;
        private final HostBuffer logits;
        private final HostBuffer sharedUp;
        private final HostBuffer sharedInner;
        private final HostBuffer sharedOut;

        Choice(Arena arena, ExpertShape shape, int hidden, int rows) {
            this.shape = shape;
            this.hidden = hidden;
            this.rows = rows;
            this.expert = new int[rows * shape.perToken()];
            this.weight = new float[rows * shape.perToken()];
            this.sharedGate = new float[rows];
            this.logits = new HostBuffer(arena, "router logits", rows, shape.experts() + 1);
            this.sharedUp = new HostBuffer(arena, "shared up", rows, 2 * shape.sharedInner());
            this.sharedInner = new HostBuffer(arena, "shared inner", rows, shape.sharedInner());
            this.sharedOut = new HostBuffer(arena, "shared out", rows, hidden);
        }

        @Override
        public int rows() {
            return rows;
        }

        ExpertShape shape() {
            return shape;
        }

        int hidden() {
            return hidden;
        }

        /// Expert in a slot of a row.
        int expert(int row, int slot) {
            return expert[row * shape.perToken() + slot];
        }

        /// Weight of a slot of a row; a row's weights sum to one.
        float weight(int row, int slot) {
            return weight[row * shape.perToken() + slot];
        }

        /// What the shared expert's output is multiplied by.
        float sharedGate(int row) {
            return sharedGate[row];
        }

        HostBuffer sharedUp() {
            return sharedUp;
        }

        HostBuffer sharedInner() {
            return sharedInner;
        }

        HostBuffer sharedOut() {
            return sharedOut;
        }
    }

    private final Workers workers;
    private final Linear linear;
    private final Workers.Task choose = this::chooseRow;
    private Choice choice;

    Router(Workers workers, Linear linear) {
        this.workers = workers;
        this.linear = linear;
    }

    void route(Choice dst, HostBuffer x, Matrix router, RowSpan span) {
        choice = dst;
        linear.linear(dst.logits, x, router, span, false);
        ExpertShape shape = dst.shape;
        workers.run(choose, span.rows(), (long) span.rows() * shape.perToken() * shape.experts());
    }

    private void chooseRow(int row, int worker) {
        Choice c = choice;
        int experts = c.shape.experts();
        int first = row * c.shape.perToken();
        long logits = c.logits.data().address() + c.logits.offset(row);
        for (int slot = 0; slot < c.shape.perToken(); slot++) {
            c.expert[first + slot] = largest(logits, experts, first, slot);
        }
        float top = Lanes.get(logits + 4L * c.expert[first]);
        double sum = 0;
        for (int slot = 0; slot < c.shape.perToken(); slot++) {
            double p = Math.exp((double) Lanes.get(logits + 4L * c.expert[first + slot]) - top);
            c.weight[first + slot] = (float) p;
            sum += p;
        }
        for (int slot = 0; slot < c.shape.perToken(); slot++) {
            c.weight[first + slot] = (float) (c.weight[first + slot] / sum);
        }
        c.sharedGate[row] = Lanes.sigmoid(Lanes.get(logits + 4L * experts));
    }

    /// The largest logit not chosen yet; of equal ones the lowest index. Logits that are no numbers
    /// come last, so that an index is always valid.
    private int largest(long logits, int experts, int first, int chosen) {
        int best = -1;
        float value = Float.NEGATIVE_INFINITY;
        for (int e = 0; e < experts; e++) {
            float v = Lanes.get(logits + 4L * e);
            if ((v > value || best < 0) && !contains(first, chosen, e)) {
                best = e;
                value = Float.isNaN(v) ? Float.NEGATIVE_INFINITY : v;
            }
        }
        return best;
    }

    private boolean contains(int first, int count, int expert) {
        for (int i = first; i < first + count; i++) {
            if (choice.expert[i] == expert) {
                return true;
            }
        }
        return false;
    }
}
