package brantas.vocabulary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What [TokenizerFile] keeps of the files, and the sentence it has for each kind of damage.
class TokenizerFileTest {
    @TempDir private Path folder;

    private TokenizerFile read(String json) {
        return TokenizerFile.read(TinyTokenizer.write(folder, json));
    }

    private void refuses(String json, String... words) {
        assertThatThrownBy(() -> read(json))
                .isExactlyInstanceOf(BrantasException.class)
                .hasMessageContaining(".json")
                .hasMessageContainingAll(words);
    }

    @Test
    void keepsWhatTheFileSays() {
        TokenizerFile file = read(TinyTokenizer.json());
        assertThat(file.vocabulary().size()).isEqualTo(262);
        assertThat(file.vocabulary().count()).isEqualTo(262);
        assertThat(file.vocabulary().find("Ġthe")).hasValue(258);
        assertThat(file.vocabulary().find("nothing")).isEmpty();
        assertThat(file.vocabulary().find("中")).isEmpty();
        assertThat(file.vocabulary().bytes(258)).asString().isEqualTo(" the");
        assertThat(file.vocabulary().bytes(0x80)).containsExactly(0x80);
        assertThat(file.vocabulary().bytes(-1)).isEmpty();
        assertThat(file.vocabulary().has(262)).isFalse();
        assertThat(file.merges())
                .containsExactly(
                        't', 'h', 256, 256, 'e', 257, ' ', 257, 258, 'a', 'a', 259, 259, 259, 260);
        assertThat(file.added()).extracting(AddedToken::id).containsExactly(262, 263, 264);
        assertThat(file.added()).extracting(AddedToken::special).containsExactly(true, false, true);
        assertThat(file.nfc()).isTrue();
        assertThat(file.pattern()).startsWith("(?i:'s|").endsWith("|\\s+");
    }

    @Test
    void mergesMayBeTextAndMayComeFirst() {
        int[] expected = read(TinyTokenizer.json()).merges();
        String text =
                TinyTokenizer.json().replace(TinyTokenizer.MERGES, TinyTokenizer.MERGES_AS_TEXT);
        assertThat(read(text).merges()).containsExactly(expected);
        String first =
                TinyTokenizer.json()
                        .replace(", \"merges\": " + TinyTokenizer.MERGES, "")
                        .replace(
                                "\"model\": {",
                                "\"model\": {\"merges\": " + TinyTokenizer.MERGES + ", ");
        assertThat(read(first).merges()).containsExactly(expected);
    }

    @Test
    void configurationAddsTokensAndItsFlagsHold() {
        TinyTokenizer.write(
                folder,
                "tokenizer_config.json",
                TinyTokenizer.CONFIG
                        .replace("\"special\": true}}", "\"special\": false}}")
                        .getBytes(StandardCharsets.UTF_8));
        TokenizerFile file = read(TinyTokenizer.json());
        assertThat(file.added()).extracting(AddedToken::id).containsExactly(262, 263, 264, 266);
        assertThat(file.added().getLast()).isEqualTo(new AddedToken(266, "<late>", false, false));
    }

    @Test
    void configurationMustAgree() {
        TinyTokenizer.write(
                folder,
                "tokenizer_config.json",
                TinyTokenizer.CONFIG
                        .replace("<|end|>\", \"l", "<|fin|>\", \"l")
                        .getBytes(StandardCharsets.UTF_8));
        refuses(TinyTokenizer.json(), "tokenizer_config.json", "262", "<|fin|>", "<|end|>");
    }

    @ParameterizedTest
    @CsvSource({"26x", "-1", "99999999", "''"})
    void configurationKeysAreIds(String key) {
        TinyTokenizer.write(
                folder,
                "tokenizer_config.json",
                TinyTokenizer.CONFIG.replace("266", key).getBytes(StandardCharsets.UTF_8));
        refuses(TinyTokenizer.json(), "tokenizer_config.json", "not an id");
    }

    @Test
    void aMissingFolderIsNamed() {
        assertThatThrownBy(() -> TokenizerFile.read(folder.resolve("none")))
                .isExactlyInstanceOf(BrantasException.class)
                .hasMessageContaining("does not exist");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "\"type\": \"BPE\" | \"type\": \"Unigram\" | Unigram",
                "\"type\": \"BPE\", | `` | model.type",
                "\"NFC\" | \"NFKC\" | NFKC",
                "{\"type\": \"NFC\"} | 7 | normalizer",
                "\"Split\" | \"Whitespace\" | Whitespace",
                "\"Isolated\" | \"Removed\" | Removed",
                "\"invert\": false | \"invert\": true | inverted",
                "\"invert\": false | \"invert\": 0 | true or false",
                "\"Regex\" | \"String\" | String",
                "\"use_regex\": false | \"use_regex\": true | use_regex",
                "false, \"trim_offsets\" | true, \"trim_offsets\" | add_prefix_space",
                "\"decoder\": {\"type\": \"ByteLevel\" | \"decoder\": {\"type\": \"WordPiece\" | WordPiece",
                "\"decoder\" | \"decoder2\" | decoder",
                "\"pre_tokenizer\" | \"other\" | pre_tokenizer",
                "\"post_processor\": {\"type\": \"ByteLevel\" | \"post_processor\": {\"type\": \"BertProcessing\" | BertProcessing",
                "\"dropout\": null | \"dropout\": 0.1 | dropout",
                "\"byte_fallback\": false | \"byte_fallback\": true | byte_fallback",
                "\"ignore_merges\": false | \"ignore_merges\": true | ignore_merges",
                "\"end_of_word_suffix\": \"\" | \"end_of_word_suffix\": \"</w>\" | end_of_word_suffix",
                "\"vocab\" | \"vocabulary\" | model.vocab",
                "\"merges\" | \"merge\" | model.merges",
                "\"th\": 256 | \"th\": \"256\" | whole number",
                "\"th\": 256 | \"th\": 1.5 | fraction",
                "\"th\": 256 | \"th\": -1 | vocab",
                "\"th\": 256 | \"th\": 2097152 | 2097152",
                "\"th\": 256 | \"th\": 99999999999999999999999 | 9999",
                "\"th\": 256 | \"th\": 255 | another token",
                "\"th\": 256 | \"th\": 256, \"th\": 270 | twice",
                "\"xyz\" | \"中\" | no byte",
                "\"xyz\" | \"\" | empty",
                "\"q\": | \"qqq\": | byte 113",
                "[\"t\",\"h\"] | [\"t\",\"zz\"] | zz",
                "[\"t\",\"h\"] | [\"t\",\"h\",\"e\"] | longer",
                "[\"t\",\"h\"] | [\"t\"] | merges",
                "[\"t\",\"h\"] | \"t  h\" | two tokens",
                "[\"t\",\"h\"] | \"th\" | two tokens",
                "[\"t\",\"h\"] | 5 | merges",
                "\"id\": 263 | \"id\": 262 | <think>",
                "\"id\": 263 | \"id\": 97 | <think>",
                "\"id\": 263, | `` | no id",
                "\"id\": 263 | \"id\": 1e3 | fraction",
                "\"id\": 263 | \"id\": 2147483648 | 2147483648",
                "<think> | xyz | xyz",
                "<think> | `` | 0 characters",
                "\"lstrip\": false | \"lstrip\": true | lstrip",
                "\"version\": | \"model\": {}, \"version\": | twice",
            })
    void refusesByName(String from, String to, String word) {
        assertThat(TinyTokenizer.json()).contains(from);
        refuses(TinyTokenizer.json().replace(from, to == null ? "" : to), word);
    }

    @Test
    void aPatternThatDoesNotCompileIsShown() {
        refuses(TinyTokenizer.json().replace("\"(?i:'s", "\"(?i:('s"), "(?i:('s", "expression");
        String deep = "(".repeat(900) + ")".repeat(900);
        read(TinyTokenizer.json().replace(TinyTokenizer.PATTERN, deep));
        refuses(TinyTokenizer.json().replace(TinyTokenizer.PATTERN, deep + deep), "2000");
    }

    @Test
    void anAddedTokenMayBeABaseToken() {
        String json =
                TinyTokenizer.json()
                        .replace("\"id\": 263", "\"id\": 261")
                        .replace("<think>", "xyz");
        assertThat(read(json).added().getFirst().content()).isEqualTo("xyz");
        refuses(TinyTokenizer.json().replace("<think>", "<|end|>"), "<|end|>", "another id");
    }

    @Test
    void damagedJsonIsPlaced() {
        String json = TinyTokenizer.json();
        refuses(json.substring(0, json.length() / 2), "JSON", "line");
        refuses("", "nothing");
        refuses("[]", "an array", "an object");
        refuses(json + "{}", "end of the document");
        TinyTokenizer.write(folder, "tokenizer.json", new byte[] {'{', '"', (byte) 0xFF, '"'});
        assertThatThrownBy(() -> TokenizerFile.read(folder))
                .isExactlyInstanceOf(BrantasException.class)
                .hasMessageContaining("UTF-8");
    }

    @Test
    void depthAndWidthAreBounded() {
        String deep = "[".repeat(100_000);
        refuses(TinyTokenizer.json().replace("\"1.0\"", deep), "JSON");
        String stages = "{\"type\":\"Sequence\",\"normalizers\":[".repeat(20);
        refuses(TinyTokenizer.json().replace("{\"type\": \"NFC\"}", stages), "deep");
        StringBuilder keys = new StringBuilder();
        for (int i = 0; i < 5000; i++) {
            keys.append("\"k").append(i).append("\": 0, ");
        }
        refuses(TinyTokenizer.json().replace("\"version\"", keys + "\"version\""), "4096 keys");
    }

    @Test
    void manyTokensOfOneLengthStayFast() {
        StringBuilder more = new StringBuilder("\"xyz\": 261");
        for (int i = 0; i < 200_000; i++) {
            more.append(", \"").append(Integer.toString(i + 60_000_000, 36)).append("\": ");
            more.append(300 + i);
        }
        String json = TinyTokenizer.json().replace("\"xyz\": 261", more);
        Assertions.assertTimeout(
                Duration.ofSeconds(20),
                () -> assertThat(read(json).vocabulary().count()).isEqualTo(200_262));
    }
}
