package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.jinja.JsonCases;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/// Damaged templates give text or one sentence, never another exception and never a hang.
class ChatTemplateFuzzTest {
    private static final long SEED = 20_261;
    private static final int ROUNDS = 3_000;
    private static final List<String> TEMPLATES =
            List.of("qwen3.5-9b", "qwen3.5-0.8b", "qwen3.6-27b", "qwen3.8-27b", "qwen3.8-27b-gguf");
    private static final List<String> TOKENS =
            List.of(
                    "{{",
                    "}}",
                    "{%",
                    "%}",
                    "{#",
                    "#}",
                    "-%}",
                    "(",
                    ")",
                    "[",
                    "]",
                    "'",
                    "\"",
                    "|",
                    "~",
                    "**",
                    "*",
                    "/",
                    "//",
                    "%",
                    ".",
                    ",",
                    ":",
                    "::-1",
                    " is ",
                    " not ",
                    " in ",
                    " if ",
                    " else ",
                    " for x in messages ",
                    "loop",
                    "messages",
                    "caller()",
                    "99999999999999999999",
                    "1e999",
                    "-1",
                    "none",
                    "undefined_name",
                    "| tojson",
                    "| items",
                    "| length",
                    "| list",
                    "| string",
                    "* 1000000",
                    "** 999",
                    "{% set x %}",
                    "{% endset %}",
                    "{% endfor %}",
                    "{% break %}",
                    "range(99999)");

    private static final ChatRequest REQUEST =
            new ChatRequest(
                    List.of(
                            Map.of("role", "system", "content", "Be brief."),
                            Map.of(
                                    "role",
                                    "user",
                                    "content",
                                    List.of(Map.of("type", "text", "text", "hi"))),
                            Map.of(
                                    "role",
                                    "assistant",
                                    "content",
                                    "<think>\nhm\n</think>\n\nyes",
                                    "tool_calls",
                                    List.of(
                                            Map.of(
                                                    "function",
                                                    Map.of(
                                                            "name",
                                                            "f",
                                                            "arguments",
                                                            Map.of("a", 1L))))),
                            Map.of("role", "tool", "content", "42"),
                            Map.of("role", "user", "content", "more")),
                    List.of(Map.of("type", "function", "function", Map.of("name", "f"))),
                    true,
                    null,
                    Map.of("enable_thinking", true));

    @Test
    void damagedTemplates() throws IOException {
        Random random = new Random(SEED);
        String[] sources = new String[TEMPLATES.size()];
        for (int i = 0; i < sources.length; i++) {
            sources[i] = JsonCases.template(TEMPLATES.get(i));
        }
        int rendered = 0;
        for (int round = 0; round < ROUNDS; round++) {
            String source = sources[random.nextInt(sources.length)];
            for (int edits = random.nextInt(4); edits >= 0; edits--) {
                source = damaged(source, random);
            }
            String damaged = source;
            String at = "seed " + SEED + ", round " + round;
            rendered +=
                    Assertions.assertTimeout(
                            Duration.ofSeconds(20), () -> outcome(damaged, at), at);
        }
        assertThat(rendered).as("seed " + SEED).isBetween(ROUNDS / 20, ROUNDS - ROUNDS / 20);
    }

    private static int outcome(String source, String at) {
        try {
            assertThat(new ChatTemplate("damaged", source).render(REQUEST)).as(at).isNotNull();
            return 1;
        } catch (BrantasException e) {
            assertThat(e.getMessage()).as(at).isNotBlank();
            return 0;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            throw new AssertionError(at + ": " + e + "\n" + source, e);
        }
    }

    private static String damaged(String source, Random random) {
        int at = random.nextInt(source.length());
        int end = Math.min(source.length(), at + 1 + random.nextInt(40));
        String head = source.substring(0, at);
        return switch (random.nextInt(6)) {
            case 0 ->
                    head
                            + (char) (source.charAt(at) ^ 1 << random.nextInt(7))
                            + source.substring(at + 1);
            case 1 -> head + source.substring(end);
            case 2 -> source.substring(0, end) + source.substring(at);
            case 3 -> head + TOKENS.get(random.nextInt(TOKENS.size())) + source.substring(at);
            case 4 -> head + TOKENS.get(random.nextInt(TOKENS.size())) + source.substring(end);
            default -> swapped(source, at, random);
        };
    }

    /// Exchanges two words of the template.
    private static String swapped(String source, int at, Random random) {
        String[] words = source.split("(?<=\\W)|(?=\\W)", -1);
        int first = at % words.length;
        int second = random.nextInt(words.length);
        String word = words[first];
        words[first] = words[second];
        words[second] = word;
        return String.join("", words);
    }
}
