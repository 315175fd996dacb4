package brantas.simd;

import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;

import brantas.op.AttentionShape;
import brantas.op.KvCache;
import brantas.op.StepBatch;
import brantas.tensor.HostPages;
import java.lang.foreign.Arena;

/// The cache of one attention layer. A page holds, per KV head, blocks of up to `PANEL` positions:
/// keys transposed, `[head dim, position]`, values as `[position, head dim]`; both are right
/// operands of [Tile] as they lie. Pages whose size is a multiple of `PANEL` waste nothing.
final class KvPages implements KvCache {
    private final AttentionShape shape;
    private final int pageSize;
    private final int width;
    private final int blocks;
    private final int valueStride;
    private final HostPages keys;
    private final HostPages values;

    KvPages(Arena arena, AttentionShape shape, int pageSize, int pages) {
        this.shape = shape;
        this.pageSize = pageSize;
        this.width = Math.min(PANEL, Lanes.pad(pageSize, L));
        this.blocks = (pageSize + width - 1) / width;
        this.valueStride = Lanes.pad(shape.headDim(), L);
        long rows = (long) shape.kvHeads() * blocks * width;
        this.keys = new HostPages(arena, pages, rows * shape.headDim());
        this.values = new HostPages(arena, pages, rows * valueStride);
    }

    @Override
    public int pageSize() {
        return pageSize;
    }

    AttentionShape shape() {
        return shape;
    }

    /// Positions from row to row of a key block.
    int width() {
        return width;
    }

    /// Values from position to position of a value block: the head padded to whole vectors.
    int valueStride() {
        return valueStride;
    }

    /// The block that holds a position.
    int blockOf(int position) {
        return position / pageSize * blocks + position % pageSize / width;
    }

    /// The first position of a block.
    int first(int block) {
        return block / blocks * pageSize + block % blocks * width;
    }

    /// Positions a block can hold; the last one of a page may be short.
    int capacity(int block) {
        return Math.min(width, pageSize - block % blocks * width);
    }

    /// Address of the transposed keys of a block.
    long keys(StepBatch batch, int sequence, int block, int head) {
        long index = (long) head * blocks + block % blocks;
        int page = batch.page(sequence, block / blocks);
        return keys.page(page).address() + 4L * index * width * shape.headDim();
    }

    /// Address of the values of a block.
    long values(StepBatch batch, int sequence, int block, int head) {
        long index = (long) head * blocks + block % blocks;
        int page = batch.page(sequence, block / blocks);
        return values.page(page).address() + 4L * index * width * valueStride;
    }

    /// Writes the key and the value of a position.
    ///
    /// @param key address of `headDim` values
    /// @param value address of `headDim` values
    void put(StepBatch batch, int sequence, int position, int head, long key, long value) {
        int block = blockOf(position);
        int lane = position - first(block);
        long k = keys(batch, sequence, block, head) + 4L * lane;
        long v = values(batch, sequence, block, head) + 4L * lane * valueStride;
        for (int i = 0; i < shape.headDim(); i++) {
            Lanes.set(k + 4L * i * width, Lanes.get(key + 4L * i));
        }
        for (int i = 0; i < shape.headDim(); i++) {
            Lanes.set(v + 4L * i, Lanes.get(value + 4L * i));
        }
    }
}
