package brantas.cache;

/// Free KV pages by number. A page belongs to one sequence; the same number stands for the same
/// positions in every attention layer.
public final class PagePool {
    private final int pageSize;
    private final int[] free;
    private int available;

    /// @param pages how many there are
    /// @param pageSize positions of a page
    public PagePool(int pages, int pageSize) {
        this.pageSize = pageSize;
        this.free = new int[pages];
        this.available = pages;
        for (int i = 0; i < pages; i++) {
            free[i] = pages - 1 - i;
        }
    }

    /// Positions of a page.
    public int pageSize() {
        return pageSize;
    }

    /// Pages there are.
    public int total() {
        return free.length;
    }

    /// Pages nobody has.
    public int available() {
        return available;
    }

    /// Pages that hold so many positions.
    public int pagesFor(long positions) {
        return Math.toIntExact((positions + pageSize - 1) / pageSize);
    }

    int take() {
        return free[--available];
    }

    void give(int page) {
        free[available++] = page;
    }
}
