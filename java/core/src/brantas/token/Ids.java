package brantas.token;

import java.util.Arrays;

/// A growing list of token ids.
final class Ids {
    private int[] ids;
    private int size;

    Ids(int room) {
        ids = new int[Math.max(8, room)];
    }

    int size() {
        return size;
    }

    void add(int id) {
        if (size == ids.length) {
            grow(1);
        }
        ids[size++] = id;
    }

    void addAll(int[] more) {
        if (ids.length - size < more.length) {
            grow(more.length);
        }
        System.arraycopy(more, 0, ids, size, more.length);
        size += more.length;
    }

    /// The ids from index `from` on.
    int[] tail(int from) {
        return Arrays.copyOfRange(ids, from, size);
    }

    private void grow(int more) {
        int room = Math.max(Math.addExact(size, more), (int) Math.min(2L * size, 1 << 30));
        ids = Arrays.copyOf(ids, room);
    }
}
