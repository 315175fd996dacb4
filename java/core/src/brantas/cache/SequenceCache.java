package brantas.cache;

import java.util.Arrays;

/// What one sequence holds of the caches: a state slot and a growing list of KV pages out of a
/// reservation made when it was admitted, so that a running sequence never lacks a page.
public final class SequenceCache {
    private final PagePool pages;
    private final SlotPool slots;
    private final int slot;
    private final int[] held;
    private boolean released;

    private SequenceCache(PagePool pages, SlotPool slots, int reserve) {
        this.pages = pages;
        this.slots = slots;
        this.slot = slots.take();
        this.held = new int[reserve];
        for (int i = 0; i < reserve; i++) {
            held[i] = pages.take();
        }
        // Low numbers first, so that lazily made memory is reused before more is made.
        Arrays.sort(held);
    }

    /// Whether a sequence of so many positions can be admitted now.
    public static boolean fits(PagePool pages, SlotPool slots, long positions) {
        return slots.available() > 0 && pages.pagesFor(positions) <= pages.available();
    }

    /// Takes a slot and the pages for so many positions.
    public static SequenceCache admit(PagePool pages, SlotPool slots, long positions) {
        return new SequenceCache(pages, slots, pages.pagesFor(positions));
    }

    /// The state slot.
    public int slot() {
        return slot;
    }

    /// Page `index` of the sequence, which holds positions `index × pageSize …`.
    public int page(int index) {
        return held[index];
    }

    /// Gives everything back; once is enough.
    public void release() {
        if (!released) {
            released = true;
            slots.give(slot);
            for (int i = held.length - 1; i >= 0; i--) {
                pages.give(held[i]);
            }
        }
    }
}
