package brantas.simd;

import static brantas.simd.Lanes.L;

import brantas.op.AttentionShape;
import brantas.op.StepBatch;
import brantas.tensor.HostBuffer;
import java.util.Arrays;

/// Causal attention over the paged cache. A piece of work is a KV head of a sequence with up to
/// `QUERIES` consecutive rows, all query heads of the group stacked; [AttendBlock] does the
/// arithmetic. Short steps over long pasts are also split along the keys, in stretches of fixed
/// length counted from position 0, and combined in order: the split depends on the sequence alone.
@SuppressWarnings("NullAway.Init") // every call sets the fields before its region runs
final class Attend implements AutoCloseable {
    /// Rows of a piece.
    static final int QUERIES = 24;

    /// Sequences with at most so many rows are split along the keys.
    private static final int SHORT = 8;

    /// Positions of a stretch of keys.
    private static final int STRETCH = 512;

    private final Workers workers;
    private final AttendBlock[] blocks;
    private final Lanes.Scratch scratch = new Lanes.Scratch();
    private final Workers.Task piece = this::runPiece;
    private final Workers.Task combine = this::combineGroup;

    private HostBuffer dst;
    private HostBuffer queries;
    private HostBuffer input;
    private KvPages cache;
    private StepBatch batch;
    private long partials;
    private int groups;
    private int items;
    private long work;
    private int[] sequenceOf = new int[16];
    private int[] rowOf = new int[16];
    private int[] firstItem = new int[16];
    private int[] groupOf = new int[16];

    Attend(Workers workers) {
        this.workers = workers;
        blocks = new AttendBlock[workers.threads()];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = new AttendBlock();
        }
    }

    void attend(HostBuffer to, HostBuffer q, HostBuffer projected, KvPages kv, StepBatch step) {
        dst = to;
        queries = q;
        input = projected;
        cache = kv;
        batch = step;
        plan();
        AttentionShape shape = kv.shape();
        for (AttendBlock b : blocks) {
            b.bind(kv, step);
        }
        if (items > groups) {
            partials = scratch.reserve(items * partialBytes());
        }
        workers.run(piece, items * shape.kvHeads(), work * shape.width());
        if (items > groups) {
            workers.run(combine, groups * shape.kvHeads(), (long) items * shape.width());
        }
    }

    /// Lists groups (sequence, rows) and the stretches of each; KV heads multiply the items.
    private void plan() {
        groups = 0;
        items = 0;
        work = 0;
        for (int s = 0; s < batch.sequences(); s++) {
            int rows = batch.rowCount(s);
            int length = batch.past(s) + rows;
            work += (long) length * rows;
            int stretches = rows <= SHORT ? (length + STRETCH - 1) / STRETCH : 1;
            for (int r = 0; r < rows; r += QUERIES) {
                room(items + stretches);
                sequenceOf[groups] = s;
                rowOf[groups] = r;
                firstItem[groups] = items;
                Arrays.fill(groupOf, items, items + stretches, groups);
                groups++;
                items += stretches;
            }
        }
        firstItem[groups] = items;
    }

    private void room(int count) {
        if (count + 1 > groupOf.length) {
            int size = 2 * (count + 1);
            sequenceOf = Arrays.copyOf(sequenceOf, size);
            rowOf = Arrays.copyOf(rowOf, size);
            firstItem = Arrays.copyOf(firstItem, size);
            groupOf = Arrays.copyOf(groupOf, size);
        }
    }

    /// Bytes of the partial results of an item, all KV heads: for rows that can be split, `[row,
    /// output | maximum | sum]`.
    private long partialBytes() {
        AttentionShape shape = cache.shape();
        return 4L * SHORT * shape.heads() * (cache.valueStride() + 2);
    }

    private long partial(int item, int head) {
        return partials + item * partialBytes() + partialBytes() / cache.shape().kvHeads() * head;
    }

    private void runPiece(int index, int worker) {
        int heads = cache.shape().kvHeads();
        int head = index % heads;
        int item = index / heads;
        int group = groupOf[item];
        int stretches = firstItem[group + 1] - firstItem[group];
        int sequence = sequenceOf[group];
        int first = rowOf[group];
        int count = Math.min(QUERIES, batch.rowCount(sequence) - first);
        AttendBlock block = blocks[worker];
        block.start(queries, sequence, first, count, head);
        int stretch = item - firstItem[group];
        int from = stretches == 1 ? 0 : stretch * STRETCH;
        int to = batch.past(sequence) + first + count;
        if (stretches > 1) {
            to = Math.min(to, from + STRETCH);
        }
        block.positions(from, to);
        if (stretches > 1) {
            block.partial(partial(item, head));
        } else {
            block.finish(dst, input);
        }
    }

    private void combineGroup(int index, int worker) {
        int heads = cache.shape().kvHeads();
        int head = index % heads;
        int group = index / heads;
        int stretches = firstItem[group + 1] - firstItem[group];
        if (stretches == 1) {
            return;
        }
        int sequence = sequenceOf[group];
        AttendBlock block = blocks[worker];
        block.start(queries, sequence, rowOf[group], batch.rowCount(sequence), head);
        for (int i = 0; i < stretches; i++) {
            block.merge(partial(firstItem[group] + i, head));
        }
        block.finish(dst, input);
    }

    @Override
    public void close() {
        scratch.close();
    }

    /// Vectors that hold `n` values.
    static int vectors(int n) {
        return (n + L - 1) / L;
    }
}
