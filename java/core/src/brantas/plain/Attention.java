package brantas.plain;

import brantas.op.AttentionShape;
import brantas.op.Rope;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import java.util.stream.IntStream;

/// Gated attention, one query at a time, softmax over all scores at once, fp64 (spec 3).
final class Attention {
    private Attention() {}

    /// The angle is an fp32 product, as in the reference; its cosine and sine are exact to fp32
    /// (spec 3 steps 5, 6).
    static void rotations(HostBuffer dst, Rope rope, StepBatch batch) {
        int pairs = rope.frequencies().length;
        for (int r = 0; r < batch.rows(); r++) {
            for (int j = 0; j < pairs; j++) {
                float angle = batch.position(rope.axis()[j], r) * rope.frequencies()[j];
                dst.set(r, j, rope.scale() * (float) Math.cos(angle));
                dst.set(r, pairs + j, rope.scale() * (float) Math.sin(angle));
            }
        }
    }

    static void storeKv(
            HostBuffer q,
            HostBuffer projected,
            Norm norm,
            HostBuffer rotations,
            Cache cache,
            StepBatch batch) {
        AttentionShape s = cache.shape;
        double[] v = new double[s.headDim()];
        for (int n = 0; n < batch.sequences(); n++) {
            for (int t = 0; t < batch.rowCount(n); t++) {
                int row = batch.rowStart(n) + t;
                for (int h = 0; h < s.heads(); h++) {
                    double[] query = head(projected, row, s.query(h), norm.query(), rotations, s);
                    for (int i = 0; i < s.headDim(); i++) {
                        q.set(row, h * s.headDim() + i, query[i]);
                    }
                }
                int at = batch.past(n) + t;
                int page = batch.page(n, at / cache.pageSize());
                for (int g = 0; g < s.kvHeads(); g++) {
                    double[] key = head(projected, row, s.key(g), norm.key(), rotations, s);
                    cache.write(page, 0, g, at % cache.pageSize(), key);
                    for (int i = 0; i < s.headDim(); i++) {
                        v[i] = projected.get(row, s.value(g) + i);
                    }
                    cache.write(page, 1, g, at % cache.pageSize(), v);
                }
            }
        }
    }

    /// Zero-centred norm, then rotation of the leading channels, half-split pairs.
    private static double[] head(
            HostBuffer x,
            int row,
            int from,
            Matrix weight,
            HostBuffer rotations,
            AttentionShape s) {
        double scale = Norms.inverseRoot(x, row, from, s.headDim(), s.eps());
        double[] v = new double[s.headDim()];
        for (int i = 0; i < v.length; i++) {
            v[i] = x.get(row, from + i) * scale * (1.0 + weight.at(i));
        }
        int pairs = s.rotaryDim() / 2;
        for (int j = 0; j < pairs; j++) {
            double cos = rotations.get(row, j);
            double sin = rotations.get(row, pairs + j);
            double a = v[j];
            double b = v[j + pairs];
            v[j] = a * cos - b * sin;
            v[j + pairs] = b * cos + a * sin;
        }
        return v;
    }

    static void attend(
            HostBuffer dst, HostBuffer q, HostBuffer projected, Cache cache, StepBatch batch) {
        Operands operands = new Operands(dst, q, projected, cache, batch);
        for (int n = 0; n < batch.sequences(); n++) {
            int sequence = n;
            int heads = cache.shape.heads();
            IntStream.range(0, batch.rowCount(n) * heads)
                    .parallel()
                    .forEach(i -> query(operands, sequence, i / heads, i % heads));
        }
    }

    private record Operands(
            HostBuffer dst, HostBuffer q, HostBuffer projected, Cache cache, StepBatch batch) {}

    private static void query(Operands op, int n, int t, int h) {
        Cache cache = op.cache();
        StepBatch batch = op.batch();
        AttentionShape s = cache.shape;
        int row = batch.rowStart(n) + t;
        int length = batch.past(n) + t + 1;
        int group = h / s.group();
        double[] query = new double[s.headDim()];
        for (int i = 0; i < query.length; i++) {
            query[i] = op.q().get(row, h * s.headDim() + i) / Math.sqrt(s.headDim());
        }
        double[] line = new double[s.headDim()];
        double[] p = new double[length];
        double max = Double.NEGATIVE_INFINITY;
        for (int at = 0; at < length; at++) {
            cache.read(batch.page(n, at / cache.pageSize()), 0, group, at % cache.pageSize(), line);
            p[at] = Linear.dot(query, line);
            max = Math.max(max, p[at]);
        }
        double sum = 0;
        double[] o = new double[s.headDim()];
        for (int at = 0; at < length; at++) {
            double e = Math.exp(p[at] - max);
            sum += e;
            cache.read(batch.page(n, at / cache.pageSize()), 1, group, at % cache.pageSize(), line);
            for (int i = 0; i < o.length; i++) {
                o[i] += e * line[i];
            }
        }
        for (int i = 0; i < o.length; i++) {
            double gate = Scalar.sigmoid(op.projected().get(row, s.gate(h) + i));
            op.dst().set(row, h * s.headDim() + i, o[i] / sum * gate);
        }
    }

    /// The norm weights of query and key.
    record Norm(Matrix query, Matrix key) {}
}
