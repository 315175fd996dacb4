package brantas.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Equal blocks of fp32 host memory, addressed by index and made when first touched: the storage of
/// KV pages and of recurrent-state slots on the CPU. A planned maximum costs nothing until it is
/// used.
public final class HostPages {
    private final Arena arena;
    private final long bytes;
    private final @Nullable MemorySegment[] pages;

    /// @param arena owns the memory
    /// @param count how many pages there may be
    /// @param floats fp32 values of one page
    public HostPages(Arena arena, int count, long floats) {
        this.arena = arena;
        this.bytes = 4 * floats;
        this.pages = new MemorySegment[count];
    }

    /// How many pages there may be.
    public int count() {
        return pages.length;
    }

    /// The memory of page `index`, zeroed when it is made.
    public MemorySegment page(int index) {
        MemorySegment page = pages[index];
        return page != null ? page : make(index);
    }

    /// Zeroes page `index` if it exists.
    public void clear(int index) {
        MemorySegment page = pages[index];
        if (page != null) {
            page.fill((byte) 0);
        }
    }

    private synchronized MemorySegment make(int index) {
        MemorySegment page = pages[index];
        if (page == null) {
            page = arena.allocate(bytes, 64);
            pages[index] = page;
        }
        return page;
    }
}
