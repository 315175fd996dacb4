package brantas.simd;

import brantas.op.AttentionNorms;
import brantas.op.AttentionShape;
import brantas.op.Rope;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;

/// Rotations of a step, and the way of queries, keys and values from a projected row to where
/// attention reads them: norm, rotation, cache.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Rotary implements AutoCloseable {
    private final Workers workers;
    private final Lanes.Scratch scratch = new Lanes.Scratch();
    private final Workers.Task turn = this::turnRow;
    private final Workers.Task store = this::storeRow;

    private StepBatch batch;
    private int[] sequenceOf = new int[0];
    private HostBuffer angles;
    private Rope rope;
    private HostBuffer queries;
    private HostBuffer input;
    private KvPages cache;
    private float[] queryNorm;
    private float[] keyNorm;
    private long keys;

    Rotary(Workers workers) {
        this.workers = workers;
    }

    void rotations(HostBuffer dst, Rope how, StepBatch step) {
        if (dst.cols() < 2 * how.frequencies().length) {
            throw new IllegalArgumentException(dst + " for " + how.frequencies().length + " pairs");
        }
        angles = dst;
        rope = how;
        batch = step;
        workers.run(turn, step.rows(), 40L * step.rows() * how.frequencies().length);
    }

    private void turnRow(int row, int worker) {
        float[] frequencies = rope.frequencies();
        int pairs = frequencies.length;
        for (int j = 0; j < pairs; j++) {
            float angle = batch.position(rope.axis()[j], row) * frequencies[j];
            angles.set(row, j, Math.cos(angle) * rope.scale());
            angles.set(row, pairs + j, Math.sin(angle) * rope.scale());
        }
    }

    /// Binds the projected rows of a call of [#storeKv].
    Rotary from(HostBuffer projected, HostBuffer rotations) {
        input = projected;
        angles = rotations;
        return this;
    }

    void storeKv(HostBuffer q, AttentionNorms norms, KvPages pages, StepBatch step) {
        queries = q;
        queryNorm = ((Values) norms.query()).values();
        keyNorm = ((Values) norms.key()).values();
        cache = pages;
        batch = step;
        if (sequenceOf.length < step.rows()) {
            sequenceOf = new int[Math.max(step.rows(), q.rows())];
        }
        for (int s = 0; s < step.sequences(); s++) {
            int from = step.rowStart(s);
            for (int r = from; r < from + step.rowCount(s); r++) {
                sequenceOf[r] = s;
            }
        }
        keys = scratch.reserve(4L * workers.threads() * pages.shape().headDim());
        workers.run(store, step.rows(), 4L * step.rows() * pages.shape().width());
    }

    private void storeRow(int row, int worker) {
        AttentionShape shape = cache.shape();
        int n = shape.headDim();
        long in = input.data().address() + input.offset(row);
        long q = queries.data().address() + queries.offset(row);
        long turns = angles.data().address() + angles.offset(row);
        int pairs = shape.rotaryDim() / 2;
        for (int h = 0; h < shape.heads(); h++) {
            long to = q + 4L * h * n;
            Norms.zeroCentred(in + 4L * shape.query(h), to, queryNorm, n, shape.eps());
            rotate(to, turns, pairs);
        }
        int sequence = sequenceOf[row];
        int position = batch.past(sequence) + row - batch.rowStart(sequence);
        long key = keys + 4L * worker * n;
        for (int g = 0; g < shape.kvHeads(); g++) {
            Norms.zeroCentred(in + 4L * shape.key(g), key, keyNorm, n, shape.eps());
            rotate(key, turns, pairs);
            cache.put(batch, sequence, position, g, key, in + 4L * shape.value(g));
        }
    }

    private static void rotate(long head, long turns, int pairs) {
        for (int j = 0; j < pairs; j++) {
            float cos = Lanes.get(turns + 4L * j);
            float sin = Lanes.get(turns + 4L * (pairs + j));
            float a = Lanes.get(head + 4L * j);
            float b = Lanes.get(head + 4L * (pairs + j));
            Lanes.set(head + 4L * j, a * cos - b * sin);
            Lanes.set(head + 4L * (pairs + j), b * cos + a * sin);
        }
    }

    @Override
    public void close() {
        scratch.close();
    }
}
