package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import brantas.op.DeltaShape;
import brantas.op.DeltaWeights;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The gated delta rule of a step: a sequence with one row by the recurrence, one item per value
/// head; others by [DeltaChunk], one item per key head. Also the gates and the l2 norms.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class DeltaScan implements AutoCloseable {
    /// Magnitudes below this become zero in a state: decayed values would turn subnormal, which
    /// slows every later step.
    static final float TINY = 1e-30f;

    private final Workers workers;
    private final DeltaChunk[] chunks;
    private final Lanes.Scratch scratch = new Lanes.Scratch();
    private final Workers.Task single = this::singleHead;
    private final Workers.Task several = this::severalRows;

    private HostBuffer dst;
    private HostBuffer convolved;
    private HostBuffer input;
    private float[] aLog;
    private float[] dtBias;
    private DeltaSlots slots;
    private StepBatch batch;
    private int singles;
    private long vectors;
    private long vectorBytes;

    DeltaScan(Workers workers) {
        this.workers = workers;
        chunks = new DeltaChunk[workers.threads()];
        for (int i = 0; i < chunks.length; i++) {
            chunks[i] = new DeltaChunk();
        }
    }

    /// Binds what a call of [#run] reads.
    DeltaScan from(HostBuffer conv, HostBuffer projected, DeltaWeights weights) {
        convolved = conv;
        input = projected;
        aLog = ((Values) weights.aLog()).values();
        dtBias = ((Values) weights.dtBias()).values();
        return this;
    }

    void run(HostBuffer to, DeltaSlots state, StepBatch step) {
        dst = to;
        slots = state;
        batch = step;
        singles = step.span().singles();
        DeltaShape shape = state.shape();
        vectorBytes = 8L * Lanes.pad(shape.keyDim(), L) + 4L * state.stride();
        vectors = scratch.reserve(workers.threads() * vectorBytes);
        long heads = (long) shape.valueHeads() * shape.keyDim() * shape.valueDim();
        workers.run(single, singles * shape.valueHeads(), singles * heads);
        int rest = step.sequences() - singles;
        if (rest > 0) {
            for (DeltaChunk c : chunks) {
                c.bind(this, state);
            }
            workers.run(several, rest * shape.keyHeads(), rest * heads);
        }
    }

    private void severalRows(int item, int worker) {
        int heads = slots.shape().keyHeads();
        int sequence = singles + item / heads;
        int first = batch.rowStart(sequence);
        chunks[worker].sequence(
                batch.slot(sequence), item % heads, first, batch.rowCount(sequence));
    }

    /// `α` is `exp` of this (spec 4.3 step 6).
    float decay(int row, int head) {
        double x = (double) input.get(row, slots.shape().a() + head) + dtBias[head];
        double softplus = x > 20 ? x : Math.log1p(Math.exp(x));
        return (float) (-Math.exp(aLog[head]) * softplus);
    }

    /// How much of the new value is written.
    float beta(int row, int head) {
        return Lanes.sigmoid(input.get(row, slots.shape().b() + head));
    }

    /// Address of the convolved query of a key head.
    long query(int row, int keyHead) {
        return convolved.data().address()
                + convolved.offset(row)
                + 4L * keyHead * slots.shape().keyDim();
    }

    /// Address of the convolved key of a key head.
    long key(int row, int keyHead) {
        return query(row, keyHead) + 4L * slots.shape().keyWidth();
    }

    /// Address of the convolved value of a value head.
    long value(int row, int head) {
        return query(row, 0) + 8L * slots.shape().keyWidth() + 4L * head * slots.shape().valueDim();
    }

    /// Address of the output of a value head.
    long output(int row, int head) {
        return dst.data().address() + dst.offset(row) + 4L * head * slots.shape().valueDim();
    }

    /// What the l2 norm multiplies by; queries are also scaled by `keyDim^-½`.
    static float unit(long x, int n) {
        return (float) (1 / Math.sqrt(Norms.sumOfSquares(x, n) + DeltaShape.L2_EPS));
    }

    private void singleHead(int item, int worker) {
        DeltaShape shape = slots.shape();
        int row = item / shape.valueHeads();
        int head = item % shape.valueHeads();
        int n = shape.keyDim();
        long q = vectors + worker * vectorBytes;
        long k = q + 4L * Lanes.pad(n, L);
        long v = k + 4L * Lanes.pad(n, L);
        long from = query(row, head / shape.group());
        copyScaled(from, q, n, unit(from, n) * (float) (1 / Math.sqrt(n)));
        from = key(row, head / shape.group());
        copyScaled(from, k, n, unit(from, n));
        for (int j = shape.valueDim(); j < slots.stride(); j++) {
            Lanes.set(v + 4L * j, 0f);
        }
        copyScaled(value(row, head), v, shape.valueDim(), 1f);
        float alpha = (float) Math.exp(decay(row, head));
        float beta = beta(row, head);
        float overlap = 0;
        for (int i = 0; i < n; i++) {
            overlap = Math.fma(Lanes.get(q + 4L * i), Lanes.get(k + 4L * i), overlap);
        }
        long state = slots.state(batch.slot(row), head);
        for (int j = 0; j < slots.stride(); j += L) {
            column(state + 4L * j, q, v + 4L * j, alpha, beta, overlap);
        }
        copyScaled(v, output(row, head), shape.valueDim(), 1f);
    }

    private static void copyScaled(long from, long to, int n, float scale) {
        for (int i = 0; i < n; i++) {
            Lanes.set(to + 4L * i, Lanes.get(from + 4L * i) * scale);
        }
    }

    /// One vector of value columns: prediction and output of the old state in one pass, the update
    /// in a second (spec 4.4, fused form). The output replaces the value.
    private void column(long state, long q, long v, float alpha, float beta, float overlap) {
        int n = slots.shape().keyDim();
        long rowBytes = 4L * slots.stride();
        long keys = q + 4L * Lanes.pad(n, L);
        FloatVector seen = FloatVector.zero(F);
        FloatVector out = seen;
        long s = state;
        for (int i = 0; i < n; i++, s += rowBytes) {
            FloatVector x = load(s);
            seen = x.fma(FloatVector.broadcast(F, Lanes.get(keys + 4L * i)), seen);
            out = x.fma(FloatVector.broadcast(F, Lanes.get(q + 4L * i)), out);
        }
        FloatVector u = load(v).sub(seen.mul(alpha)).mul(beta);
        store(out.mul(alpha).add(u.mul(overlap)), v);
        s = state;
        for (int i = 0; i < n; i++, s += rowBytes) {
            FloatVector k = FloatVector.broadcast(F, Lanes.get(keys + 4L * i));
            store(flush(k.fma(u, load(s).mul(alpha))), s);
        }
    }

    /// Zero where the magnitude is below [#TINY].
    static FloatVector flush(FloatVector x) {
        return x.blend(0f, x.abs().compare(VectorOperators.LT, TINY));
    }

    @Override
    public void close() {
        scratch.close();
    }
}
