package brantas.token;

import org.jspecify.annotations.Nullable;

/// The ids of short pieces seen before. A piece has one place, where a newer one replaces it, so
/// the cache is bounded; entries are immutable and a lost write costs one encoding, so threads
/// share it without locks.
final class PieceCache {
    /// Longer pieces, in UTF-16 units, are not kept.
    static final int LONGEST = 32;

    private static final int SIZE = 1 << 15;

    private final @Nullable Entry[] entries = new Entry[SIZE];

    private record Entry(String piece, int[] ids) {}

    /// The ids of a piece, or null if it is not there. The array is shared and must not change.
    int @Nullable [] find(String text, int start, int end) {
        Entry entry = entries[place(text, start, end)];
        if (entry == null) {
            return null;
        }
        String piece = entry.piece;
        int length = end - start;
        return piece.length() == length && text.startsWith(piece, start) ? entry.ids : null;
    }

    /// Keeps the ids of a piece of at most [#LONGEST] units.
    void put(String text, int start, int end, int[] ids) {
        entries[place(text, start, end)] = new Entry(text.substring(start, end), ids);
    }

    private static int place(String text, int start, int end) {
        int hash = end - start;
        for (int i = start; i < end; i++) {
            hash = (hash ^ text.charAt(i)) * 0x9E3779B1;
            hash ^= hash >>> 15;
        }
        return hash & (SIZE - 1);
    }
}
