package brantas.plain;

import brantas.op.AttentionShape;
import brantas.op.KvCache;
import brantas.tensor.Bf16;
import brantas.tensor.HostPages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Keys and values in fp32, rounded to bf16 on request, a page `[2, kvHead, position, headDim]`.
final class Cache implements KvCache {
    final AttentionShape shape;
    private final int pageSize;
    private final boolean rounded;
    private final HostPages pages;

    Cache(Arena arena, AttentionShape shape, int pageSize, int pages, boolean rounded) {
        this.shape = shape;
        this.rounded = rounded;
        this.pageSize = pageSize;
        this.pages = new HostPages(arena, pages, 2L * shape.kvHeads() * pageSize * shape.headDim());
    }

    @Override
    public int pageSize() {
        return pageSize;
    }

    /// Copies one key (`plane` 0) or value (`plane` 1) into `dst`.
    void read(int page, int plane, int head, int position, double[] dst) {
        MemorySegment p = pages.page(page);
        long from = index(plane, head, position);
        for (int i = 0; i < dst.length; i++) {
            dst[i] = p.getAtIndex(ValueLayout.JAVA_FLOAT, from + i);
        }
    }

    void write(int page, int plane, int head, int position, double[] src) {
        MemorySegment p = pages.page(page);
        long from = index(plane, head, position);
        for (int i = 0; i < src.length; i++) {
            float value = (float) src[i];
            p.setAtIndex(ValueLayout.JAVA_FLOAT, from + i, rounded ? Bf16.round(value) : value);
        }
    }

    private long index(int plane, int head, int position) {
        return (((long) plane * shape.kvHeads() + head) * pageSize + position) * shape.headDim();
    }
}
