package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.IOTA;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;
import static brantas.simd.Lanes.load;
import static brantas.simd.Lanes.store;

import brantas.op.AttentionShape;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// Online softmax of some rows of one KV head over a stretch of its keys, block of keys by block of
/// keys: scores and outputs are products of [Tile], the rest is one pass per row. Stacked row `i`
/// is query head `i % group` of row `i / group`. One object per thread.
@SuppressWarnings("NullAway.Init") // bound by each call before its region runs
final class AttendBlock {
    private final Tile tile = new Tile();
    private float[] keys = new float[0];
    private float[] values = new float[0];
    private float[] query = new float[0];
    private float[] scores = new float[0];
    private float[] output = new float[0];
    private float[] maximum = new float[0];
    private float[] sums = new float[0];

    private KvPages cache;
    private AttentionShape shape;
    private StepBatch batch;
    private int stride;
    private int sequence;
    private int first;
    private int rows;
    private int head;

    /// Sizes the scratch for the shape at hand.
    void bind(KvPages kv, StepBatch step) {
        cache = kv;
        batch = step;
        shape = kv.shape();
        stride = kv.valueStride();
        int most = Lanes.pad(Attend.QUERIES * shape.group(), Tile.ROWS);
        keys = Lanes.room(keys, (long) kv.width() * shape.headDim() + PANEL);
        values = Lanes.room(values, (long) kv.width() * stride);
        if (query.length < most * shape.headDim() || sums.length < most * L) {
            query = new float[most * shape.headDim()];
            scores = new float[most * PANEL];
            output = new float[most * stride];
            maximum = new float[most];
            sums = new float[most * L];
        }
    }

    /// Begins with `count` rows from row `from` of a sequence.
    void start(HostBuffer queries, int seq, int from, int count, int kvHead) {
        sequence = seq;
        first = from;
        rows = count * shape.group();
        head = kvHead;
        int n = shape.headDim();
        float scale = (float) (1 / Math.sqrt(n));
        for (int i = 0; i < rows; i++) {
            long q = queries.data().address() + queries.offset(row(i)) + 4L * queryHead(i) * n;
            for (int j = 0; j < n; j++) {
                query[i * n + j] = Lanes.get(q + 4L * j) * scale;
            }
        }
        Arrays.fill(output, 0, rows * stride, 0f);
        Arrays.fill(sums, 0, rows * L, 0f);
        Arrays.fill(maximum, 0, rows, Float.NEGATIVE_INFINITY);
    }

    private int row(int i) {
        return batch.rowStart(sequence) + first + i / shape.group();
    }

    private int queryHead(int i) {
        return head * shape.group() + i % shape.group();
    }

    /// Attends to positions `[from, to)`, as far as each row may see them.
    void positions(int from, int to) {
        int position = from;
        while (position < to) {
            int block = cache.blockOf(position);
            int offset = position - cache.first(block);
            int count = Math.min(cache.capacity(block) - offset, to - position);
            keys(block, offset, count, position);
            position += count;
        }
    }

    private void keys(int block, int offset, int count, int position) {
        int vectors = Attend.vectors(count);
        int width = cache.width();
        Arrays.fill(scores, 0, rows * PANEL, 0f);
        int n = shape.headDim();
        Lanes.copy(cache.keys(batch, sequence, block, head), keys, n * width);
        tile.left(query, n).right(keys, width).result(scores, PANEL);
        tile.depth(n).multiply(rows, vectors, 0, offset, 0);
        int seen = batch.past(sequence) + first + 1 - position;
        for (int i = 0; i < rows; i++) {
            softmax(i, Math.min(count, seen + i / shape.group()), vectors);
        }
        long from = cache.values(batch, sequence, block, head) + 4L * offset * stride;
        Lanes.copy(from, values, count * stride);
        tile.left(scores, PANEL).right(values, stride).result(output, stride);
        tile.depth(count).multiply(rows, stride / L, 0, 0, 0);
    }

    /// Turns the scores of a row into weights relative to its running maximum; `valid` keys count.
    private void softmax(int i, int valid, int vectors) {
        int at = i * PANEL;
        FloatVector top = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
        for (int j = 0; j < vectors; j++) {
            FloatVector s = FloatVector.fromArray(F, scores, at + j * L);
            if ((j + 1) * L > valid) {
                s =
                        s.blend(
                                Float.NEGATIVE_INFINITY,
                                IOTA.compare(VectorOperators.GE, valid - j * L));
                s.intoArray(scores, at + j * L);
            }
            top = top.max(s);
        }
        if (valid <= 0) {
            Arrays.fill(scores, at, at + vectors * L, 0f);
            return;
        }
        // The maximum is exact, so the order in which lanes are compared does not matter.
        float max = Math.max(maximum[i], top.reduceLanes(VectorOperators.MAX));
        rescale(i, max);
        FloatVector sum = FloatVector.fromArray(F, sums, i * L);
        for (int j = 0; j < vectors; j++) {
            FloatVector s = FloatVector.fromArray(F, scores, at + j * L);
            FloatVector p = Lanes.exp(s.sub(max));
            p.intoArray(scores, at + j * L);
            sum = sum.add(p);
        }
        sum.intoArray(sums, i * L);
    }

    /// Refers the sums and the output of a row to a new maximum.
    private void rescale(int i, float max) {
        float old = maximum[i];
        maximum[i] = max;
        if (old == max) {
            return;
        }
        float factor = old == Float.NEGATIVE_INFINITY ? 0f : (float) Math.exp(old - max);
        FloatVector.fromArray(F, sums, i * L).mul(factor).intoArray(sums, i * L);
        for (int j = i * stride; j < (i + 1) * stride; j += L) {
            FloatVector.fromArray(F, output, j).mul(factor).intoArray(output, j);
        }
    }

    /// Stores maxima, sums and outputs for [#merge].
    void partial(long to) {
        long at = to;
        for (int i = 0; i < rows; i++, at += 4L * (stride + 2)) {
            for (int j = 0; j < stride; j += L) {
                store(FloatVector.fromArray(F, output, i * stride + j), at + 4L * j);
            }
            Lanes.set(at + 4L * stride, maximum[i]);
            Lanes.set(at + 4L * stride + 4, Lanes.sum(FloatVector.fromArray(F, sums, i * L)));
        }
    }

    /// Adds a partial result; a stretch that a row does not see has the maximum −∞.
    void merge(long from) {
        long at = from;
        for (int i = 0; i < rows; i++, at += 4L * (stride + 2)) {
            float other = Lanes.get(at + 4L * stride);
            if (other == Float.NEGATIVE_INFINITY) {
                continue;
            }
            rescale(i, Math.max(maximum[i], other));
            float factor = (float) Math.exp(other - maximum[i]);
            sums[i * L] = Math.fma(Lanes.get(at + 4L * stride + 4), factor, sums[i * L]);
            FloatVector f = FloatVector.broadcast(F, factor);
            for (int j = 0; j < stride; j += L) {
                FloatVector o = FloatVector.fromArray(F, output, i * stride + j);
                load(at + 4L * j).fma(f, o).intoArray(output, i * stride + j);
            }
        }
    }

    /// Divides by the sums, applies the output gate and writes the rows.
    void finish(HostBuffer dst, HostBuffer projected) {
        int n = shape.headDim();
        int whole = F.loopBound(n);
        for (int i = 0; i < rows; i++) {
            int h = queryHead(i);
            long to = dst.data().address() + dst.offset(row(i)) + 4L * h * n;
            long gate = projected.data().address() + projected.offset(row(i)) + 4L * shape.gate(h);
            float scale = 1f / Lanes.sum(FloatVector.fromArray(F, sums, i * L));
            for (int j = 0; j < whole; j += L) {
                FloatVector o = FloatVector.fromArray(F, output, i * stride + j).mul(scale);
                store(o.mul(Lanes.sigmoid(load(gate + 4L * j))), to + 4L * j);
            }
            for (int j = whole; j < n; j++) {
                float o = output[i * stride + j] * scale;
                Lanes.set(to + 4L * j, o * Lanes.sigmoid(Lanes.get(gate + 4L * j)));
            }
        }
    }
}
