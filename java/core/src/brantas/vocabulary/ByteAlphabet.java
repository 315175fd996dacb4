package brantas.vocabulary;

import java.util.Arrays;

/// The printable character that stands for each byte in a byte-level vocabulary: printable Latin-1
/// characters for themselves, the other 68 bytes in order from U+0100. Only files use this form;
/// everything after loading works on bytes.
final class ByteAlphabet {
    private static final int END = 0x144;
    private static final short[] BYTE_OF = table();

    private ByteAlphabet() {}

    /// Writes the bytes of a printable token to `target` from `at`.
    ///
    /// @return the number of bytes, which is the number of characters, or -1 if a character stands
    ///   for no byte
    static int bytes(CharSequence token, byte[] target, int at) {
        for (int i = 0; i < token.length(); i++) {
            char c = token.charAt(i);
            if (c >= END || BYTE_OF[c] < 0) {
                return -1;
            }
            target[at + i] = (byte) BYTE_OF[c];
        }
        return token.length();
    }

    private static short[] table() {
        short[] table = new short[END];
        Arrays.fill(table, (short) -1);
        int next = 0x100;
        for (int b = 0; b < 256; b++) {
            boolean printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
            table[printable ? b : next++] = (short) b;
        }
        return table;
    }
}
