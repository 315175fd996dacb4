package brantas.token;

import brantas.vocabulary.AddedToken;
import brantas.vocabulary.TokenizerFile;
import brantas.vocabulary.Vocabulary;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// Text to token ids and back, as the model was trained with (model notes section 8.1): added
/// tokens are cut out of the raw text, the rest is normalised, split into pieces, and each piece
/// encoded by byte pairs. It adds nothing before or after a text and knows nothing of messages;
/// that is the chat template's part. Safe for use by many threads.
public final class Tokenizer {
    private final Vocabulary vocabulary;
    private final boolean nfc;
    private final Splitter splitter;
    private final BytePairs pairs;
    private final PieceCache cache = new PieceCache();
    private final AddedTokens raw;
    private final AddedTokens normalized;
    private final Map<Integer, byte[]> addedBytes = new HashMap<>();
    private final Map<String, Integer> addedIds = new HashMap<>();
    private final BitSet special = new BitSet();
    private final int size;

    /// @param file a model's tokenizer, read and checked
    public Tokenizer(TokenizerFile file) {
        vocabulary = file.vocabulary();
        nfc = file.nfc();
        splitter = Splitter.of(file.pattern());
        pairs = new BytePairs(file);
        raw = new AddedTokens(file.added(false));
        normalized = new AddedTokens(normalForm(file.added(true)));
        int highest = vocabulary.size() - 1;
        for (AddedToken token : file.added()) {
            addedBytes.put(token.id(), token.content().getBytes(StandardCharsets.UTF_8));
            addedIds.put(token.content(), token.id());
            special.set(token.id(), token.special());
            highest = Math.max(highest, token.id());
        }
        size = highest + 1;
    }

    private List<AddedToken> normalForm(List<AddedToken> tokens) {
        return tokens.stream().map(t -> nfc ? normalForm(t) : t).toList();
    }

    private static AddedToken normalForm(AddedToken t) {
        return new AddedToken(t.id(), Nfc.of(t.content()), t.special(), true);
    }

    /// The ids of `text`. Lone surrogates count as U+FFFD.
    ///
    /// @param control true if added tokens in the text become their ids; false if they are read as
    ///   ordinary text, which is what text from outside must be
    public int[] encode(String text, boolean control) {
        return new Encoding(text.length()).encode(wellFormed(text), control);
    }

    /// `text` with `mark` inside every added token, so that [#encodeMarked] reads them as ordinary
    /// text: for text from outside that becomes part of a prompt.
    ///
    /// @param mark a character that does not occur in the text
    public String mark(String text, char mark) {
        StringBuilder out = new StringBuilder(text.length());
        int at = 0;
        while (at < text.length()) {
            int start = raw.next(text, at).start();
            int next = Math.min(start + 1, text.length());
            out.append(text, at, next);
            if (start < text.length()) {
                out.append(mark);
            }
            at = next;
        }
        return out.toString();
    }

    /// The ids of a prompt in which some text was marked by [#mark]: control strings count, marked
    /// ones do not, and the marks themselves are gone.
    public int[] encodeMarked(String prompt, char mark) {
        return new Encoding(prompt.length()).encodeMarked(wellFormed(prompt), mark);
    }

    /// The text of `ids`: bytes that are not UTF-8 become U+FFFD, one for each maximal part that
    /// could have begun a character. Ids without a token contribute nothing.
    ///
    /// @param skipSpecial true if special added tokens contribute nothing
    public String decode(int[] ids, boolean skipSpecial) {
        return detokenizer(skipSpecial).all(ids);
    }

    /// A decoder for ids that arrive one by one.
    ///
    /// @param skipSpecial true if special added tokens contribute nothing
    public Detokenizer detokenizer(boolean skipSpecial) {
        return new Detokenizer(this, skipSpecial);
    }

    /// The highest id plus one. A model's table may have more rows; those have no token.
    public int size() {
        return size;
    }

    /// True if `id` has a token.
    public boolean has(int id) {
        return vocabulary.has(id) || added(id);
    }

    /// The id of an added token by its text, or of a base token by its printable form.
    public OptionalInt id(String content) {
        Integer id = addedIds.get(content);
        return id != null ? OptionalInt.of(id) : vocabulary.find(content);
    }

    /// The bytes that `id` stands for, which may be part of a character; a copy. Empty if it has no
    /// token.
    public byte[] bytes(int id) {
        byte[] bytes = addedBytes.get(id);
        return bytes != null ? bytes.clone() : vocabulary.bytes(id);
    }

    /// True if `id` is an added token that is left out when special tokens are skipped.
    public boolean special(int id) {
        return id >= 0 && special.get(id);
    }

    /// True if `id` is an added token.
    public boolean added(int id) {
        return addedBytes.containsKey(id);
    }

    /// How many bytes `id` stands for, 0 if it has no token.
    int length(int id) {
        byte[] bytes = addedBytes.get(id);
        return bytes != null ? bytes.length : vocabulary.length(id);
    }

    /// Byte `index` of what `id` stands for.
    byte byteAt(int id, int index) {
        byte[] bytes = addedBytes.get(id);
        return bytes != null ? bytes[index] : vocabulary.at(id, index);
    }

    private static String wellFormed(String text) {
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            if (replaceSurrogate(c) != c) {
                int[] points = text.codePoints().map(Tokenizer::replaceSurrogate).toArray();
                return new String(points, 0, points.length);
            }
            i += Character.charCount(c);
        }
        return text;
    }

    private static int replaceSurrogate(int c) {
        return c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c;
    }

    /// One call of [#encode]: its output and its working memory.
    private final class Encoding {
        private final Ids out;
        private final BytePairs.Desk desk = new BytePairs.Desk();
        private byte[] utf8 = new byte[256];

        private Encoding(int length) {
            out = new Ids(length / 4 + 8);
        }

        private int[] encode(String text, boolean control) {
            if (control) {
                cut(text, raw, this::normalise);
            } else {
                ordinary(text);
            }
            return out.tail(0);
        }

        private int[] encodeMarked(String text, char mark) {
            cut(
                    text,
                    raw,
                    segment -> {
                        if (segment.indexOf(mark) < 0) {
                            normalise(segment);
                        } else {
                            ordinary(segment.replace(String.valueOf(mark), ""));
                        }
                    });
            return out.tail(0);
        }

        private void normalise(String text) {
            cut(nfc ? Nfc.of(text) : text, normalized, this::pieces);
        }

        private void ordinary(String text) {
            pieces(nfc ? Nfc.of(text) : text);
        }

        /// Adds the tokens found in `text`, and hands on what lies between them.
        private void cut(String text, AddedTokens tokens, Segment rest) {
            int at = 0;
            while (at < text.length()) {
                AddedTokens.Match match = tokens.next(text, at);
                if (match.start() > at) {
                    rest.take(text.substring(at, match.start()));
                }
                if (match.id() >= 0) {
                    out.add(match.id());
                }
                at = match.end();
            }
        }

        private void pieces(String text) {
            splitter.split(text, this::piece);
        }

        private void piece(String text, int start, int end) {
            boolean keep = end - start <= PieceCache.LONGEST;
            if (keep) {
                int[] known = cache.find(text, start, end);
                if (known != null) {
                    out.addAll(known);
                    return;
                }
            }
            int before = out.size();
            int length = fill(text, start, end);
            pairs.encode(utf8, length, desk, out);
            if (keep) {
                cache.put(text, start, end, out.tail(before));
            }
        }

        /// Writes a piece as UTF-8 and answers its length.
        private int fill(String text, int start, int end) {
            int most = Math.multiplyExact(3, end - start);
            if (most > utf8.length) {
                utf8 = new byte[most];
            }
            int at = 0;
            int i = start;
            while (i < end) {
                int c = text.charAt(i++);
                if (c < 0x80) {
                    utf8[at++] = (byte) c;
                    continue;
                }
                if (c < 0x800) {
                    utf8[at++] = (byte) (0xC0 | (c >> 6));
                } else if (Character.isSurrogate((char) c)) {
                    c = Character.toCodePoint((char) c, text.charAt(i++));
                    utf8[at++] = (byte) (0xF0 | (c >> 18));
                    utf8[at++] = (byte) (0x80 | ((c >> 12) & 0x3F));
                    utf8[at++] = (byte) (0x80 | ((c >> 6) & 0x3F));
                } else {
                    utf8[at++] = (byte) (0xE0 | (c >> 12));
                    utf8[at++] = (byte) (0x80 | ((c >> 6) & 0x3F));
                }
                utf8[at++] = (byte) (0x80 | (c & 0x3F));
            }
            return at;
        }
    }

    /// Takes a part of a text.
    @FunctionalInterface
    private interface Segment {
        void take(String text);
    }
}
