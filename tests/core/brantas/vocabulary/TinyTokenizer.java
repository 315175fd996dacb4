package brantas.vocabulary;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/// A tokenizer of 256 bytes, a few merges and three added tokens, as the text of its files, for
/// tests that change something in it.
public final class TinyTokenizer {
    /// The family's split pattern as it stands in JSON.
    public static final String PATTERN =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[\\\\p{L}\\\\p{M}]+|\\\\p{N}"
                    + "| ?[^\\\\s\\\\p{L}\\\\p{M}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+"
                    + "|\\\\s+(?!\\\\S)|\\\\s+";

    public static final String MERGES =
            "[[\"t\",\"h\"],[\"th\",\"e\"],[\"Ġ\",\"the\"],[\"a\",\"a\"],[\"aa\",\"aa\"]]";

    public static final String MERGES_AS_TEXT = "[\"t h\",\"th e\",\"Ġ the\",\"a a\",\"aa aa\"]";

    public static final String ADDED =
            """
            [{"id": 262, "content": "<|end|>", "single_word": false, "lstrip": false,
              "rstrip": false, "normalized": false, "special": true},
             {"id": 263, "content": "<think>", "special": false},
             {"id": 264, "content": "<|end|>>", "special": true}]\
            """;

    public static final String CONFIG =
            """
            {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|end|>",
             "added_tokens_decoder": {
              "262": {"content": "<|end|>", "lstrip": false, "special": true},
              "266": {"content": "<late>", "special": true}}}\
            """;

    private TinyTokenizer() {}

    /// The whole tokenizer.json.
    public static String json() {
        return """
        {"version": "1.0", "truncation": null, "padding": null,
         "added_tokens": %s,
         "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
          {"type": "Split", "pattern": {"Regex": "%s"}, "behavior": "Isolated", "invert": false},
          {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
           "use_regex": false}]},
         "post_processor": {"type": "ByteLevel", "add_prefix_space": false},
         "decoder": {"type": "ByteLevel", "add_prefix_space": false},
         "model": {"type": "BPE", "dropout": null, "unk_token": null,
          "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
          "byte_fallback": false, "ignore_merges": false,
          "vocab": %s, "merges": %s}}
        """
                .formatted(ADDED, PATTERN, vocabulary(), MERGES);
    }

    /// The vocabulary: bytes 0 to 255, then `th`, `the`, ` the`, `aa`, `aaaa`, and `xyz`, which no
    /// merge makes.
    public static String vocabulary() {
        StringBuilder out = new StringBuilder("{");
        int next = 256;
        for (int b = 0; b < 256; b++) {
            boolean printable = (b > 32 && b < 127) || (b > 160 && b != 173);
            int c = printable ? b : next++;
            String shown = c == '"' || c == '\\' ? "\\" + (char) c : Character.toString(c);
            out.append('"').append(shown).append("\": ").append(b).append(", ");
        }
        return out
                + "\"th\": 256, \"the\": 257, \"Ġthe\": 258, \"aa\": 259, \"aaaa\": 260, \"xyz\": 261}";
    }

    /// Writes tokenizer.json into `folder`, without a configuration.
    public static Path write(Path folder, String json) {
        return write(folder, "tokenizer.json", json.getBytes(StandardCharsets.UTF_8));
    }

    /// Writes a file into `folder` and answers the folder.
    public static Path write(Path folder, String name, byte[] content) {
        try {
            Files.write(folder.resolve(name), content);
            return folder;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
