package brantas.token;

/// Turns ids into text one at a time, as they are generated. Bytes that may still become a
/// character are withheld until they do; bytes that no longer can are U+FFFD at once, one for each
/// maximal part that could have begun a character (the Unicode recommendation). For one stream and
/// one thread.
public final class Detokenizer {
    private static final char REPLACEMENT = '\uFFFD';

    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private final StringBuilder out = new StringBuilder();
    // The character begun: the bits so far, how many bytes are due, and what the next may be.
    private int partial;
    private int due;
    private int lowest;
    private int highest;

    Detokenizer(Tokenizer tokenizer, boolean skipSpecial) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
    }

    /// The text that becomes printable with `id`; often empty. Ids without a token, and special ids
    /// if they are skipped, contribute nothing and do not end a character.
    public String next(int id) {
        feed(id);
        return take();
    }

    /// The rest at the end of the stream: U+FFFD if a character was begun, else empty. The
    /// detokenizer is then as new.
    public String flush() {
        end();
        return take();
    }

    /// The text of all `ids`.
    String all(int[] ids) {
        for (int id : ids) {
            feed(id);
        }
        return flush();
    }

    private void feed(int id) {
        if (skipSpecial && tokenizer.special(id)) {
            return;
        }
        int length = tokenizer.length(id);
        for (int i = 0; i < length; i++) {
            feedByte(tokenizer.byteAt(id, i) & 0xFF);
        }
    }

    private String take() {
        String text = out.toString();
        out.setLength(0);
        return text;
    }

    private void end() {
        if (due > 0) {
            out.append(REPLACEMENT);
            due = 0;
        }
    }

    private void feedByte(int b) {
        if (due > 0) {
            if (b >= lowest && b <= highest) {
                partial = (partial << 6) | (b & 0x3F);
                lowest = 0x80;
                highest = 0xBF;
                if (--due == 0) {
                    out.appendCodePoint(partial);
                }
                return;
            }
            end();
        }
        begin(b);
    }

    private void begin(int b) {
        lowest = 0x80;
        highest = 0xBF;
        if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xC2 && b <= 0xDF) {
            due = 1;
            partial = b & 0x1F;
        } else if (b >= 0xE0 && b <= 0xEF) {
            due = 2;
            partial = b & 0x0F;
            // Neither overlong forms nor surrogates.
            lowest = b == 0xE0 ? 0xA0 : 0x80;
            highest = b == 0xED ? 0x9F : 0xBF;
        } else if (b >= 0xF0 && b <= 0xF4) {
            due = 3;
            partial = b & 0x07;
            // Neither overlong forms nor code points above U+10FFFF.
            lowest = b == 0xF0 ? 0x90 : 0x80;
            highest = b == 0xF4 ? 0x8F : 0xBF;
        } else {
            out.append(REPLACEMENT);
        }
    }
}
