package brantas.cuda.driver;

import java.util.ArrayDeque;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import jcuda.Pointer;
import org.jspecify.annotations.Nullable;

/// Blocks of one kind of memory, kept for reuse when they are given back: allocation makes the
/// driver wait for the whole device. Blocks are reused for requests of the same size only, so that
/// nothing is wasted on rounding and an overrun of a buffer is an overrun of its block. Everything
/// ever taken from the driver is known here until it is freed.
///
/// @param <P> pointer to a block
final class MemoryPool<P extends Pointer> {
    /// Sizes are rounded up to the widest load of a kernel.
    private static final long GRANULE = 16;

    /// The driver's functions for this kind of memory; they answer its codes.
    interface Source<P> {
        P pointer();

        int allocate(P pointer, long bytes);

        int free(P pointer);
    }

    private final Source<P> source;
    private final Calls calls;
    private final Map<Long, ArrayDeque<P>> free = new HashMap<>();
    private final Set<P> blocks = Collections.newSetFromMap(new IdentityHashMap<>());
    private long freeBytes;
    private long bytes;

    MemoryPool(Source<P> source, Calls calls) {
        this.source = source;
        this.calls = calls;
    }

    static long rounded(long bytes) {
        return Math.ceilDiv(bytes, GRANULE) * GRANULE;
    }

    /// A block that was given back earlier, if one has this size.
    synchronized @Nullable P reuse(long size) {
        ArrayDeque<P> blocksOfSize = free.get(rounded(size));
        P block = blocksOfSize == null ? null : blocksOfSize.poll();
        if (block != null) {
            freeBytes -= rounded(size);
        }
        return block;
    }

    /// A block from the driver; where memory is out, unused blocks are freed for it.
    ///
    /// @return null when memory is out nevertheless
    synchronized @Nullable P create(long size, String operation, String name) {
        P block = source.pointer();
        int code = source.allocate(block, rounded(size));
        if (code == Calls.OUT_OF_MEMORY && freeBytes > 0) {
            trim();
            code = source.allocate(block, rounded(size));
        }
        if (code == Calls.OUT_OF_MEMORY) {
            return null;
        }
        calls.check(code, operation, name);
        blocks.add(block);
        bytes += rounded(size);
        return block;
    }

    /// Keeps a block for the next request of its size.
    synchronized void giveBack(P block, long size) {
        if (blocks.contains(block)) {
            free.computeIfAbsent(rounded(size), key -> new ArrayDeque<>()).push(block);
            freeBytes += rounded(size);
        }
    }

    /// Frees the blocks that nobody uses.
    ///
    /// @return the first code of the driver's that is not success, or 0
    synchronized int trim() {
        int first = 0;
        for (Map.Entry<Long, ArrayDeque<P>> entry : free.entrySet()) {
            for (P block : entry.getValue()) {
                int code = source.free(block);
                first = first == 0 ? code : first;
                blocks.remove(block);
                bytes -= entry.getKey();
                freeBytes -= entry.getKey();
            }
        }
        free.clear();
        return first;
    }

    /// Frees every block, used or not; a block that cannot be freed does not keep the others.
    ///
    /// @return the first code of the driver's that is not success, or 0
    synchronized int freeAll() {
        int first = 0;
        for (P block : blocks) {
            int code = source.free(block);
            first = first == 0 ? code : first;
        }
        blocks.clear();
        free.clear();
        bytes = 0;
        freeBytes = 0;
        return first;
    }

    /// Bytes taken from the driver, in use or kept.
    synchronized long bytes() {
        return bytes;
    }

    /// Bytes that are kept and not in use.
    synchronized long freeBytes() {
        return freeBytes;
    }
}
