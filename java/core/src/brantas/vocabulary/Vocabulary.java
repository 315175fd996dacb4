package brantas.vocabulary;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;

/// The base vocabulary of a byte-level tokenizer: the bytes of each id, and the id of each byte
/// sequence. All bytes lie in one array, so a quarter of a million tokens cost a few megabytes and
/// no objects. Added tokens are not in it; ids may have holes. Immutable once built.
public final class Vocabulary {
    /// Ids are below this: larger than any model's table, small enough to index arrays by id.
    public static final int ID_LIMIT = 1 << 21;

    private static final long MIX = 0x9E3779B97F4A7C15L;

    private final byte[] bytes;
    private final int[] start;
    private final int[] length;
    private final int size;
    private final int count;
    private final int[] slots;
    // Differs per process: a file cannot be made to collide.
    private final long seed = ThreadLocalRandom.current().nextLong();

    private Vocabulary(Builder built) {
        bytes = built.bytes;
        start = built.start;
        length = built.length;
        size = built.size;
        count = built.count;
        slots = new int[Math.max(16, Integer.highestOneBit(Math.max(1, count)) * 4)];
    }

    /// The highest id plus one.
    public int size() {
        return size;
    }

    /// How many ids have a token.
    public int count() {
        return count;
    }

    /// True if `id` has a token.
    public boolean has(int id) {
        return id >= 0 && id < size && length[id] > 0;
    }

    /// The bytes of token `id`, which may be part of a character; a copy. Empty if it has none.
    public byte[] bytes(int id) {
        return has(id) ? Arrays.copyOfRange(bytes, start[id], start[id] + length[id]) : new byte[0];
    }

    /// The number of bytes of token `id`, 0 if it has none.
    public int length(int id) {
        return has(id) ? length[id] : 0;
    }

    /// Byte `index` of token `id`.
    public byte at(int id, int index) {
        return bytes[start[id] + index];
    }

    /// The id of the token with exactly these bytes, or -1.
    ///
    /// @param from first index, inclusive
    /// @param to last index, exclusive
    public int find(byte[] text, int from, int to) {
        int slot = slot(text, from, to);
        return slots[slot] - 1;
    }

    /// The id of the token written `printable` in the file, where each character stands for a byte.
    public OptionalInt find(String printable) {
        byte[] text = new byte[printable.length()];
        int written = ByteAlphabet.bytes(printable, text, 0);
        int id = written <= 0 ? -1 : find(text, 0, written);
        return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /// The slot that holds the token with these bytes, or the free slot where it belongs.
    private int slot(byte[] text, int from, int to) {
        int mask = slots.length - 1;
        int slot = (int) (hash(text, from, to) >>> 32) & mask;
        while (slots[slot] != 0) {
            int id = slots[slot] - 1;
            int first = start[id];
            if (Arrays.equals(bytes, first, first + length[id], text, from, to)) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    private long hash(byte[] text, int from, int to) {
        long hash = seed;
        for (int i = from; i < to; i++) {
            hash = (hash ^ text[i]) * MIX;
            hash ^= hash >>> 29;
        }
        return hash * MIX;
    }

    /// Takes the tokens in any order. Repeated ids are refused at once, repeated tokens at the end.
    static final class Builder {
        private byte[] bytes = new byte[1 << 16];
        private int[] start = new int[1 << 12];
        private int[] length = new int[1 << 12];
        private int used;
        private int size;
        private int count;

        /// Gives `id` the token written `printable`.
        ///
        /// @return what is wrong with it, in words that follow the token's name; empty if nothing
        String add(String printable, int id) {
            if (printable.isEmpty()) {
                return "is empty";
            }
            if (id >= start.length) {
                int room = Math.min(ID_LIMIT, Math.max(id + 1, start.length * 2));
                start = Arrays.copyOf(start, room);
                length = Arrays.copyOf(length, room);
            }
            if (length[id] > 0) {
                return "has id " + id + ", which another token has too";
            }
            if (used + printable.length() > bytes.length) {
                bytes = Arrays.copyOf(bytes, used + printable.length() + used / 2);
            }
            int written = ByteAlphabet.bytes(printable, bytes, used);
            if (written < 0) {
                return "has a character that stands for no byte";
            }
            start[id] = used;
            length[id] = written;
            used += written;
            size = Math.max(size, id + 1);
            count++;
            return "";
        }

        /// The vocabulary; the builder is not used again. Two ids with the same token are found
        /// here: the later one then has no entry of its own in the index.
        Vocabulary build() {
            Vocabulary made = new Vocabulary(this);
            for (int id = 0; id < size; id++) {
                if (length[id] > 0) {
                    int slot = made.slot(bytes, start[id], start[id] + length[id]);
                    if (made.slots[slot] == 0) {
                        made.slots[slot] = id + 1;
                    }
                }
            }
            return made;
        }
    }

    /// The lowest id whose token another, lower id has too; empty in a sound vocabulary.
    OptionalInt repeated() {
        for (int id = 0; id < size; id++) {
            if (length[id] > 0 && find(bytes, start[id], start[id] + length[id]) != id) {
                return OptionalInt.of(id);
            }
        }
        return OptionalInt.empty();
    }
}
