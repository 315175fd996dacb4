package brantas.vocabulary;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/// Reads one `tokenizer.json`, front to back, into a [TokenizerFile]. It accepts one kind of
/// tokenizer, byte-level byte-pair encoding after a split by a pattern, and refuses whatever would
/// give other ids than the file's author meant. A file that lists its merges before its vocabulary
/// is read twice.
final class TokenizerParser {
    private static final int PATTERN_LIMIT = 2000;
    private static final int MERGE_LIMIT = Vocabulary.ID_LIMIT;

    private final Path file;
    private final Vocabulary.Builder builder = new Vocabulary.Builder();
    private @Nullable Vocabulary vocabulary;
    private List<AddedToken> added = List.of();
    private String pattern = "";
    private boolean nfc;
    private boolean decodes;
    private boolean typed;
    private boolean mergesWaiting;
    private boolean merged;
    private int[] merges = new int[3 << 12];
    private int mergeCount;
    private byte[] scratch = new byte[256];

    TokenizerParser(Path file) {
        this.file = file;
    }

    TokenizerFile read() {
        StrictJson.read(file, json -> json.object(key -> readTop(json, key)));
        Vocabulary known = vocabulary;
        if (known == null) {
            throw missing("model.vocab");
        }
        if (mergesWaiting) {
            StrictJson.read(file, json -> json.object(key -> readMergesOnly(json, key, known)));
        }
        if (!typed) {
            throw missing("model.type");
        }
        if (!merged) {
            throw missing("model.merges");
        }
        if (pattern.isEmpty()) {
            throw missing("pre_tokenizer");
        }
        if (!decodes) {
            throw missing("decoder");
        }
        AddedTokenReader.check(added, known, file);
        List<AddedToken> ordered =
                added.stream().sorted(Comparator.comparingInt(AddedToken::id)).toList();
        int[] exact = Arrays.copyOf(merges, 3 * mergeCount);
        return new TokenizerFile(known, exact, ordered, pattern, nfc);
    }

    private void readTop(StrictJson json, String key) throws IOException {
        switch (key) {
            case "added_tokens" -> added = new AddedTokenReader(file).readList(json);
            case "normalizer" -> readNormalizer(json);
            case "pre_tokenizer" -> readPreTokenizer(json);
            case "post_processor" -> {
                for (Stage stage : Stage.read(json)) {
                    requireType(json, stage, "post_processor", "ByteLevel");
                }
            }
            case "decoder" -> readDecoder(json);
            case "model" -> json.object(inner -> readModel(json, inner));
            default -> json.skip();
        }
    }

    private void readNormalizer(StrictJson json) throws IOException {
        for (Stage stage : Stage.read(json)) {
            requireType(json, stage, "normalizer", "NFC");
            nfc = true;
        }
    }

    private void readDecoder(StrictJson json) throws IOException {
        List<Stage> stages = Stage.read(json);
        if (stages.size() != 1) {
            throw json.wrong("there are " + stages.size() + " decoders where one is expected");
        }
        requireType(json, stages.getFirst(), "decoder", "ByteLevel");
        decodes = true;
    }

    private void readPreTokenizer(StrictJson json) throws IOException {
        List<Stage> stages = Stage.read(json);
        if (stages.size() != 2) {
            throw json.wrong(
                    "there are "
                            + stages.size()
                            + " pre-tokenizers where Split and ByteLevel are expected");
        }
        Stage split = stages.getFirst();
        requireType(json, split, "pre_tokenizer", "Split");
        if (!split.behavior().equals("Isolated")) {
            throw Stage.unsupported(json, "behavior of Split", split.behavior());
        }
        Stage bytes = stages.getLast();
        requireType(json, bytes, "pre_tokenizer", "ByteLevel");
        if (bytes.useRegex() || bytes.prefixSpace()) {
            String flag = bytes.useRegex() ? "use_regex" : "add_prefix_space";
            throw Stage.unsupported(json, "flag of ByteLevel", flag);
        }
        pattern = compilable(json, split.regex());
    }

    private static String compilable(StrictJson json, String pattern) {
        if (pattern.isEmpty() || pattern.length() > PATTERN_LIMIT) {
            throw json.wrong(
                    "the pattern of Split has "
                            + pattern.length()
                            + " characters where 1 to "
                            + PATTERN_LIMIT
                            + " are expected");
        }
        try {
            Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS);
            return pattern;
        } catch (PatternSyntaxException | StackOverflowError e) {
            throw json.wrong(
                    "the pattern "
                            + StrictJson.quote(pattern)
                            + " of Split is not a regular expression that Java understands");
        }
    }

    private void requireType(StrictJson json, Stage stage, String what, String type) {
        if (!stage.type().equals(type)) {
            throw Stage.unsupported(json, what, stage.type());
        }
    }

    private void readModel(StrictJson json, String key) throws IOException {
        switch (key) {
            case "type" -> {
                String type = json.text();
                if (!type.equals("BPE")) {
                    throw Stage.unsupported(json, "model", type);
                }
                typed = true;
            }
            case "vocab" -> readVocabulary(json);
            case "merges" -> {
                Vocabulary known = vocabulary;
                if (known != null) {
                    readMerges(json, known);
                } else {
                    mergesWaiting = true;
                    json.skip();
                }
            }
            case "byte_fallback", "ignore_merges" -> refuseIf(json, !json.isNull() && json.flag());
            case "dropout" -> refuseIf(json, !json.isNull());
            case "continuing_subword_prefix", "end_of_word_suffix" ->
                    refuseIf(json, !json.isNull() && !json.text().isEmpty());
            default -> json.skip();
        }
    }

    private void refuseIf(StrictJson json, boolean set) {
        if (set) {
            throw json.wrong("the option is set, which is not supported");
        }
    }

    private void readVocabulary(StrictJson json) throws IOException {
        json.wideObject(token -> {
            int id = json.index(Vocabulary.ID_LIMIT);
            String fault = builder.add(token, id);
            if (!fault.isEmpty()) {
                throw json.wrong("the token " + fault);
            }
        });
        Vocabulary made = builder.build();
        OptionalInt repeated = made.repeated();
        if (repeated.isPresent()) {
            throw json.wrong("the token of id " + repeated.getAsInt() + " appears twice");
        }
        for (int b = 0; b < 256; b++) {
            if (made.find(new byte[] {(byte) b}, 0, 1) < 0) {
                throw json.wrong("there is no token for byte " + b);
            }
        }
        vocabulary = made;
    }

    private void readMergesOnly(StrictJson json, String key, Vocabulary known) throws IOException {
        if (!key.equals("model")) {
            json.skip();
            return;
        }
        json.object(inner -> {
            if (inner.equals("merges")) {
                readMerges(json, known);
            } else {
                json.skip();
            }
        });
    }

    private void readMerges(StrictJson json, Vocabulary known) throws IOException {
        json.array(() -> readMerge(json, known));
        merged = true;
    }

    private void readMerge(StrictJson json, Vocabulary known) throws IOException {
        String left;
        String right;
        if (json.isArray()) {
            json.next();
            left = json.text();
            json.next();
            right = json.text();
            json.endArray();
        } else {
            String both = json.text();
            int space = both.indexOf(' ');
            if (space < 0 || both.indexOf(' ', space + 1) >= 0) {
                throw json.wrong(
                        "the merge " + StrictJson.quote(both) + " is not two tokens and a space");
            }
            left = both.substring(0, space);
            right = both.substring(space + 1);
        }
        if (mergeCount >= MERGE_LIMIT) {
            throw json.wrong("there are more than " + MERGE_LIMIT + " merges");
        }
        if (3 * mergeCount == merges.length) {
            merges = Arrays.copyOf(merges, 2 * merges.length);
        }
        int at = 3 * mergeCount++;
        merges[at] = idOf(json, known, left, "");
        merges[at + 1] = idOf(json, known, right, "");
        merges[at + 2] = idOf(json, known, left, right);
    }

    /// The id of the token `head` followed by `tail`.
    private int idOf(StrictJson json, Vocabulary known, String head, String tail) {
        int length = head.length() + tail.length();
        if (length > scratch.length) {
            scratch = new byte[2 * length];
        }
        int written = ByteAlphabet.bytes(head, scratch, 0);
        int more = written < 0 ? -1 : ByteAlphabet.bytes(tail, scratch, written);
        int id = more < 0 ? -1 : known.find(scratch, 0, length);
        if (id < 0) {
            throw json.wrong(
                    "a merge needs the token "
                            + StrictJson.quote(head + tail)
                            + ", which model.vocab lacks");
        }
        return id;
    }

    private BrantasException missing(String key) {
        return new BrantasException(
                file + " has no key " + key + ", which is expected; download the file again.");
    }
}
