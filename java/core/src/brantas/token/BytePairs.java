package brantas.token;

import brantas.vocabulary.TokenizerFile;
import brantas.vocabulary.Vocabulary;
import java.util.concurrent.ThreadLocalRandom;

/// Byte-pair encoding of one piece: the pair of neighbours with the lowest rank is merged, the
/// leftmost first, until no pair is in the list of merges. Whole pieces are never looked up, so
/// base tokens without a merge are never produced (model notes section 8.1). Immutable.
final class BytePairs {
    /// The rank of a pair that is not in the list.
    static final int NONE = Integer.MAX_VALUE;

    private static final int ID_BITS = 21;
    private static final int RANK_BITS = 64 - 2 * ID_BITS;

    private final int[] idOfByte = new int[256];
    private final int[] mergedByRank;
    // A slot holds left, right and rank + 1 in one word; 0 is free.
    private final long[] slots;
    private final int shift;
    // Differs per process: a file cannot be made to collide.
    private final long multiplier = ThreadLocalRandom.current().nextLong() | 1;

    BytePairs(TokenizerFile file) {
        Vocabulary vocabulary = file.vocabulary();
        for (int b = 0; b < 256; b++) {
            idOfByte[b] = vocabulary.find(new byte[] {(byte) b}, 0, 1);
        }
        int[] merges = file.merges();
        int count = merges.length / 3;
        int bits = 33 - Integer.numberOfLeadingZeros(Math.max(8, count));
        slots = new long[1 << bits];
        shift = 64 - bits;
        mergedByRank = new int[count];
        for (int rank = 0; rank < count; rank++) {
            mergedByRank[rank] = merges[3 * rank + 2];
            long pair = pair(merges[3 * rank], merges[3 * rank + 1]);
            // A pair listed twice has the later rank, as in the reference.
            slots[slot(pair)] = (pair << RANK_BITS) | (rank + 1);
        }
    }

    /// The place of a pair in the list of merges, or [#NONE].
    int rank(int left, int right) {
        int rank = (int) slots[slot(pair(left, right))] & ((1 << RANK_BITS) - 1);
        return rank == 0 ? NONE : rank - 1;
    }

    /// The token that the merge of this rank makes.
    int merged(int rank) {
        return mergedByRank[rank];
    }

    int idOfByte(byte b) {
        return idOfByte[b & 0xFF];
    }

    private static long pair(int left, int right) {
        return ((long) left << ID_BITS) | right;
    }

    private int slot(long pair) {
        int mask = slots.length - 1;
        int slot = (int) ((pair * multiplier) >>> shift);
        while (slots[slot] != 0 && slots[slot] >>> RANK_BITS != pair) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    /// The working memory for pieces up to [#ROOM] bytes, reused within one call of the tokenizer.
    static final class Desk {
        /// Up to here the quadratic way is faster than keeping a queue.
        static final int ROOM = 512;

        private final int[] ids = new int[ROOM];
        private final int[] ranks = new int[ROOM];
    }

    /// Appends the ids of a piece.
    ///
    /// @param bytes UTF-8, of which the first `length` are the piece
    void encode(byte[] bytes, int length, Desk desk, Ids out) {
        if (length > Desk.ROOM) {
            new LongPiece(this, bytes, length).encode(out);
            return;
        }
        int[] ids = desk.ids;
        int[] ranks = desk.ranks;
        for (int i = 0; i < length; i++) {
            ids[i] = idOfByte[bytes[i] & 0xFF];
        }
        for (int i = 0; i + 1 < length; i++) {
            ranks[i] = rank(ids[i], ids[i + 1]);
        }
        int left = merge(ids, ranks, length);
        for (int i = 0; i < left; i++) {
            out.add(ids[i]);
        }
    }

    /// Merges in place and answers how many ids are left; `ranks[i]` is that of ids i and i + 1.
    private int merge(int[] ids, int[] ranks, int length) {
        int n = length;
        while (n > 1) {
            int best = 0;
            for (int i = 1; i < n - 1; i++) {
                if (ranks[i] < ranks[best]) {
                    best = i;
                }
            }
            if (ranks[best] == NONE) {
                break;
            }
            ids[best] = mergedByRank[ranks[best]];
            System.arraycopy(ids, best + 2, ids, best + 1, n - best - 2);
            if (best + 2 < n) {
                System.arraycopy(ranks, best + 2, ranks, best + 1, n - best - 3);
            }
            n--;
            if (best > 0) {
                ranks[best - 1] = rank(ids[best - 1], ids[best]);
            }
            if (best + 1 < n) {
                ranks[best] = rank(ids[best], ids[best + 1]);
            }
        }
        return n;
    }
}
