package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The doors of the tokenizer against the golden cases, through JSON lines and with the real
/// vocabulary.
class TokenDoorTest {
    @TempDir static Path folder;

    private static List<Map<String, @Nullable Object>> cases = List.of();

    @BeforeAll
    static void unpack() throws IOException {
        cases = Door.cases(Door.golden("tokenizer/cases.json"));
        try (InputStream in =
                new GZIPInputStream(
                        Files.newInputStream(Door.golden("tokenizer/tokenizer.json.gz")))) {
            Files.copy(in, folder.resolve("tokenizer.json"));
        }
        Files.copy(
                Door.golden("tokenizer/tokenizer_config.json"),
                folder.resolve("tokenizer_config.json"));
    }

    @Test
    void everyCaseEncodes() {
        check("tokenize", c -> line("text", c.get("text")), "ids", "ids");
        check(
                "tokenize",
                c -> line("text", c.get("text"), "control", false),
                "ids",
                "ids_without_control");
    }

    @Test
    void everyCaseDecodes() {
        check("detokenize", c -> line("ids", c.get("ids")), "text", "decoded");
        check(
                "detokenize",
                c -> line("ids", c.get("ids"), "skip_special", true),
                "text",
                "decoded_skip_special");
    }

    @Test
    void everyStreamDecodes() {
        cases = Door.cases(Door.golden("tokenizer/stream.json"));
        try {
            check("detokenize", c -> line("ids", c.get("ids")), "pieces", "pieces", "--stream");
            check("detokenize", c -> line("ids", c.get("ids")), "flush", "flush", "--stream");
            check(
                    "detokenize",
                    c -> line("ids", c.get("ids"), "skip_special", true),
                    "pieces",
                    "pieces_skip_special",
                    "--stream");
        } finally {
            cases = Door.cases(Door.golden("tokenizer/cases.json"));
        }
    }

    private static void check(
            String command,
            Function<Map<String, @Nullable Object>, Object> question,
            String key,
            String expected,
            String... more) {
        StringBuilder input = new StringBuilder();
        cases.forEach(c -> input.append(Json.write(question.apply(c))).append('\n'));
        String[] args = {command, "--model", folder.toString(), "--jsonl"};
        String[] all = Arrays.copyOf(args, args.length + more.length);
        System.arraycopy(more, 0, all, args.length, more.length);
        List<Map<String, @Nullable Object>> answers =
                Door.feed(input.toString(), all).fine().objects();
        assertThat(answers).hasSameSizeAs(cases);
        for (int i = 0; i < cases.size(); i++) {
            assertThat(answers.get(i).get(key))
                    .as("%s: %s", cases.get(i).get("name"), answers.get(i))
                    .isEqualTo(cases.get(i).get(expected));
        }
    }

    private static Map<String, @Nullable Object> line(@Nullable Object... pairs) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            line.put(String.valueOf(pairs[i]), pairs[i + 1]);
        }
        return line;
    }

    @Test
    void argumentsOfAPerson() {
        Door ids = Door.run("tokenize", "Hello, \u4e16\u754c").fine();
        assertThat(ids.out()).matches("\\d+( \\d+)*\n");
        String[] words = ("detokenize " + ids.out().strip()).split(" ", -1);
        assertThat(Door.run(words).fine().out()).isEqualTo("Hello, \u4e16\u754c\n");
    }

    @Test
    void badLinesAreAnsweredInPlace() {
        String input =
                """
                {"text": "a"}
                {"text": 5}
                [1]
                {"text": "\\ud800 \\udc00"}

                {"text": "b"
                {"text": "c"} {}
                {"text": null}
                {"text": "z", "control": 1}
                {"text": "a"}\
                """;
        Door door = Door.feed(input, "tokenize", "--jsonl").fine();
        List<Map<String, @Nullable Object>> answers = door.objects();
        assertThat(answers).hasSize(10);
        assertThat(answers.stream().map(a -> a.containsKey("ids")))
                .containsExactly(true, false, false, true, false, false, false, false, false, true);
        assertThat(answers.get(1).get("error")).asString().contains("text", "5");
        assertThat(door.err()).isEmpty();
    }

    @Test
    void bytesThatAreNotTextAreAnsweredInPlace() {
        byte[] input = {'{', '"', 't', '"', ':', '"', (byte) 0xff, '"', '}', '\n', 0, 0, 0, '\n'};
        assertThat(Door.feed(input, "tokenize", "--jsonl").fine().objects())
                .hasSize(2)
                .allSatisfy(a -> assertThat(a).containsOnlyKeys("error"));
    }

    @Test
    void badIdsAreAnsweredInPlace() {
        String input =
                """
                {"ids": [5000000]}
                {"ids": [-1]}
                {"ids": [99999999999]}
                {"ids": [1.5]}
                {"ids": "1"}
                {"ids": []}
                """;
        List<Map<String, @Nullable Object>> answers =
                Door.feed(input, "detokenize", "--jsonl").fine().objects();
        assertThat(answers).hasSize(6);
        assertThat(answers.subList(0, 5)).allSatisfy(a -> assertThat(a).containsOnlyKeys("error"));
        assertThat(answers.get(5)).containsEntry("text", "");
    }
}
