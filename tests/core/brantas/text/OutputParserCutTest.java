package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.text.OutputParser.Event;
import brantas.text.OutputParser.Parsed;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/// The law of [OutputParser]: however an output is cut, the texts and calls are the same; and no
/// output, however odd or long, is an error, loses text that is not markup, or takes more than
/// linear time.
class OutputParserCutTest {
    private static final long SEED = 20_260_117;
    private static final String[] SHARDS = {
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<function=f>",
        "<function=other>",
        "<function={{ x }}>",
        "</function>",
        "<parameter=x>",
        "<parameter=y>",
        "<parameter=no>",
        "</parameter>",
        "\n",
        "\n\n",
        " ",
        "word",
        " two words ",
        "<",
        ">",
        "</",
        "<func",
        "5",
        "{\"a\": [1, 2]}",
        "'",
        "`",
        "true",
        "中文",
        "\uD83D\uDE00",
        "\t",
        "<parameter=",
        "=x>",
        "\r\n",
        "<tool_call>\n<function=f>\n<parameter=x>\n",
        "\n</parameter>\n</function>\n</tool_call>",
        "\n</parameter>\n<parameter=y>\n"
    };

    private static final List<@Nullable Object> TOOLS =
            List.of(
                    OutputParserTest.tool(
                            "f",
                            Map.of("x", Map.of("type", "string"), "y", Map.of("type", "integer"))));

    @Test
    void everyCutGivesTheSame() {
        for (int round = 0; round < 20_000; round++) {
            Random random = new Random(SEED + round);
            String text = output(random);
            boolean thinking = random.nextBoolean();
            boolean truncated = random.nextBoolean();
            List<@Nullable Object> tools = random.nextBoolean() ? TOOLS : null;
            Parsed whole = OutputParser.parse(text, thinking, tools, truncated);
            Parsed cut =
                    OutputParserTest.streamed(pieces(text, random), thinking, tools, truncated);
            assertThat(cut).as("seed %d, text %s", SEED + round, text).isEqualTo(whole);
        }
    }

    @Test
    void everySingleCutGivesTheSame() {
        String text =
                "<think>\nhm </thin\n</think>\n\nLook <tool_call>.\n\n"
                        + OutputParserTest.call("f", "x", "a </parameter> b\n", "y", " 7 ")
                        + "\n"
                        + OutputParserTest.call("f", "x", OutputParserTest.call("g", "h", "i"))
                        + "\nDone.\n";
        Parsed whole = OutputParser.parse(text, true, TOOLS, false);
        assertThat(whole.calls()).hasSize(2);
        for (int first = 0; first <= text.length(); first++) {
            for (int second = first; second <= text.length(); second += 3) {
                String[] pieces = {
                    text.substring(0, first), text.substring(first, second), text.substring(second)
                };
                assertThat(OutputParserTest.streamed(pieces, true, TOOLS, false))
                        .as("cut at %d and %d", first, second)
                        .isEqualTo(whole);
            }
        }
    }

    @Test
    void noiseIsNeverAnErrorAndWithoutCallsKeepsItsLetters() {
        int without = 0;
        for (int round = 0; round < 20_000; round++) {
            Random random = new Random(~SEED + round);
            String text = noise(random);
            Parsed parsed = OutputParser.parse(text, random.nextBoolean(), TOOLS, true);
            if (parsed.calls().isEmpty()) {
                without++;
                assertThat(letters(parsed.reasoning().orElse("") + parsed.content()))
                        .as("seed %d, text %s", ~SEED + round, text)
                        .isEqualTo(letters(text));
            }
        }
        assertThat(without).isGreaterThan(5_000);
    }

    /// Letters no tag holds.
    private static long letters(String text) {
        return text.chars().filter(c -> "QZ中".indexOf(c) >= 0).count();
    }

    private static String noise(Random random) {
        String alphabet = "<>/=QZ中\n think tool_call function parameter";
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(40); i >= 0; i--) {
            boolean shard = random.nextInt(3) > 0;
            text.append(
                    shard
                            ? SHARDS[random.nextInt(SHARDS.length)]
                            : alphabet.charAt(random.nextInt(alphabet.length())));
        }
        return text.toString();
    }

    private static String output(Random random) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(25); i >= 0; i--) {
            text.append(SHARDS[random.nextInt(SHARDS.length)]);
        }
        return text.toString();
    }

    private static String[] pieces(String text, Random random) {
        List<String> pieces = new ArrayList<>();
        int longest = 1 + random.nextInt(12);
        int at = 0;
        while (at < text.length()) {
            int end = Math.min(text.length(), at + random.nextInt(longest + 1));
            pieces.add(text.substring(at, end));
            at = end;
        }
        return pieces.toArray(new String[0]);
    }

    @Test
    void hostileOutputTakesLinearTime() {
        int size = 10_000_000;
        String[] units = {
            "<",
            "<think>",
            "</think>",
            "<tool_call>",
            "<tool_call>\n<function=f>",
            " ",
            "\n<",
            "<tool_call>\n<function=f>\n<parameter=x>\n",
            "</parameter>\n",
            "<parameter=x>",
            "<parameter=",
            "</function>\n"
        };
        String opening = "<tool_call>\n<function=f>\n<parameter=x>\n";
        Assertions.assertTimeout(
                Duration.ofSeconds(60),
                () -> {
                    for (String unit : units) {
                        String text = unit.repeat(size / unit.length() / 4);
                        parseInPieces(text);
                        parseInPieces(opening + text);
                    }
                    parseInPieces("<".repeat(size));
                    String bare = "<function=f>\n</function>";
                    parseInPieces("\n" + " ".repeat(size / 4) + bare.repeat(100_000));
                    parseInPieces(opening + OutputParserTest.call("f").repeat(100_000));
                    parseInPieces(OutputParserTest.call("f", "x", "1").repeat(50_000));
                });
    }

    private static void parseInPieces(String text) {
        OutputParser parser = new OutputParser(false, TOOLS);
        long length = 0;
        for (int at = 0; at < text.length(); at += 7) {
            for (Event event : parser.accept(text.substring(at, Math.min(at + 7, text.length())))) {
                length += event instanceof Event.Content c ? c.text().length() : 0;
            }
        }
        for (Event event : parser.finish(false)) {
            length += event instanceof Event.Content c ? c.text().length() : 0;
        }
        assertThat(length).isLessThanOrEqualTo(text.length());
    }
}
