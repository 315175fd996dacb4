package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.op.AttentionShape;
import brantas.op.KvCache;

/// Keys and values of one attention layer, bf16 in two planes `[page, position, kvHead, headDim]`.
record KvPlanes(
        AttentionShape shape, int pageSize, int pages, DeviceMemory keys, DeviceMemory values)
        implements KvCache {
    /// Bytes of one plane.
    static long bytes(AttentionShape shape, int pageSize, int pages) {
        return 2L * pages * pageSize * shape.kvHeads() * shape.headDim();
    }
}
