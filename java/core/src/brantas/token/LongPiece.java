package brantas.token;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Byte-pair encoding of a piece that is too long for the quadratic way, such as a megabyte of one
/// letter. Symbols form a linked list; positions wait in one bucket per rank, and a small heap
/// orders the ranks. Nearly linear, about 20 bytes of memory per byte of text.
///
/// A bucket is sorted once, when its rank is reached: merging at that rank makes tokens longer than
/// both of its own, and so does every lower merge that this sets off, so until the bucket is used
/// up no further pair of its rank can appear.
final class LongPiece {
    private final BytePairs pairs;
    private final int[] ids;
    private final int[] next;
    private final int[] previous;
    private @Nullable Bucket[] buckets = new Bucket[64];
    private int[] heap = new int[64];
    private int heapSize;

    LongPiece(BytePairs pairs, byte[] bytes, int length) {
        this.pairs = pairs;
        ids = new int[length];
        next = new int[length];
        previous = new int[length];
        for (int i = 0; i < length; i++) {
            ids[i] = pairs.idOfByte(bytes[i]);
            next[i] = i + 1;
            previous[i] = i - 1;
        }
        for (int i = 0; i + 1 < length; i++) {
            await(i);
        }
    }

    /// Positions of pairs of one rank; some may have changed since they were put in.
    private static final class Bucket {
        private int[] positions = new int[4];
        private int from;
        private int to;

        private void add(int position) {
            if (to == positions.length) {
                positions = Arrays.copyOf(positions, to + (to >> 1));
            }
            positions[to++] = position;
        }

        private void sort() {
            for (int i = 1; i < to; i++) {
                if (positions[i] < positions[i - 1]) {
                    Arrays.sort(positions, 0, to);
                    return;
                }
            }
        }
    }

    void encode(Ids out) {
        while (heapSize > 0) {
            int rank = heap[0];
            Bucket bucket = buckets[rank];
            assert bucket != null;
            if (bucket.from == bucket.to) {
                buckets[rank] = null;
                removeFirst();
            } else {
                if (bucket.from == 0) {
                    bucket.sort();
                }
                drain(rank, bucket);
            }
        }
        for (int i = 0; i < ids.length; i = next[i]) {
            out.add(ids[i]);
        }
    }

    /// Merges the bucket's pairs from left to right while no lower rank has come up.
    private void drain(int rank, Bucket bucket) {
        int merged = pairs.merged(rank);
        while (bucket.from < bucket.to && heap[0] == rank) {
            int left = bucket.positions[bucket.from++];
            int right = ids[left] < 0 ? ids.length : next[left];
            if (right == ids.length || pairs.rank(ids[left], ids[right]) != rank) {
                continue;
            }
            ids[left] = merged;
            ids[right] = -1;
            int after = next[right];
            next[left] = after;
            if (after < ids.length) {
                previous[after] = left;
                await(left);
            }
            if (previous[left] >= 0) {
                await(previous[left]);
            }
        }
    }

    /// Puts the pair that begins at `position` into the bucket of its rank, if it has one.
    private void await(int position) {
        int rank = pairs.rank(ids[position], ids[next[position]]);
        if (rank == BytePairs.NONE) {
            return;
        }
        if (rank >= buckets.length) {
            buckets = Arrays.copyOf(buckets, Math.max(rank + 1, 2 * buckets.length));
        }
        Bucket bucket = buckets[rank];
        if (bucket == null) {
            bucket = new Bucket();
            buckets[rank] = bucket;
            insert(rank);
        }
        bucket.add(position);
    }

    private void insert(int rank) {
        if (heapSize == heap.length) {
            heap = Arrays.copyOf(heap, 2 * heapSize);
        }
        int i = heapSize++;
        while (i > 0 && heap[(i - 1) / 2] > rank) {
            heap[i] = heap[(i - 1) / 2];
            i = (i - 1) / 2;
        }
        heap[i] = rank;
    }

    private void removeFirst() {
        int rank = heap[--heapSize];
        int i = 0;
        for (int child = 1; child < heapSize; child = 2 * i + 1) {
            if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[child] >= rank) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = rank;
    }
}
