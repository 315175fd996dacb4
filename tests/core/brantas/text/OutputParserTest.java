package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.text.OutputParser.Event;
import brantas.text.OutputParser.Parsed;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// What [OutputParser] makes of outputs that are known to cause trouble. Every case runs whole and
/// one character at a time. Typed conversion is in [ArgumentTypeTest], random cuts and noise in
/// [OutputParserCutTest].
class OutputParserTest {
    private static final List<@Nullable Object> TOOLS =
            List.of(
                    tool("code_interpreter", Map.of("code", Map.of("type", "string"))),
                    tool(
                            "computer_use",
                            Map.of(
                                    "action", Map.of("type", "string"),
                                    "coordinate", Map.of("type", "array"))),
                    tool("write", Map.of("path", Map.of("type", "string"), "text", Map.of())),
                    tool("stop", Map.of()));

    static Map<String, Object> tool(String name, Map<String, Object> properties) {
        Map<String, Object> parameters = Map.of("type", "object", "properties", properties);
        return Map.of(
                "type", "function", "function", Map.of("name", name, "parameters", parameters));
    }

    static String call(String name, String... keysAndValues) {
        StringBuilder text = new StringBuilder("<tool_call>\n<function=" + name + ">\n");
        for (int i = 0; i < keysAndValues.length; i += 2) {
            text.append("<parameter=").append(keysAndValues[i]).append(">\n");
            text.append(keysAndValues[i + 1]).append("\n</parameter>\n");
        }
        return text.append("</function>\n</tool_call>").toString();
    }

    /// Parses whole and by single characters, asserts that both agree.
    private static Parsed parse(
            String text, boolean thinking, @Nullable List<@Nullable Object> tools, boolean cut) {
        Parsed whole = OutputParser.parse(text, thinking, tools, cut);
        assertThat(streamed(text.split(""), thinking, tools, cut)).isEqualTo(whole);
        return whole;
    }

    static Parsed streamed(
            String[] pieces,
            boolean thinking,
            @Nullable List<@Nullable Object> tools,
            boolean cut) {
        OutputParser parser = new OutputParser(thinking, tools);
        List<Event> events = new ArrayList<>();
        for (String piece : pieces) {
            events.addAll(parser.accept(piece));
        }
        events.addAll(parser.finish(cut));
        return collected(events);
    }

    static Parsed collected(List<Event> events) {
        StringBuilder reasoning = new StringBuilder();
        StringBuilder content = new StringBuilder();
        List<Event.Call> calls = new ArrayList<>();
        for (Event event : events) {
            switch (event) {
                case Event.Reasoning r -> reasoning.append(r.text());
                case Event.Content c -> content.append(c.text());
                case Event.Call c -> calls.add(c);
            }
        }
        return new Parsed(
                reasoning.isEmpty() ? Optional.empty() : Optional.of(reasoning.toString()),
                content.toString(),
                calls);
    }

    private static Parsed thinking(String text) {
        return parse(text, true, TOOLS, false);
    }

    private static Parsed fast(String text) {
        return parse(text, false, TOOLS, false);
    }

    private static void expect(
            Parsed parsed, @Nullable String reasoning, String content, Event.Call... calls) {
        assertThat(parsed)
                .isEqualTo(new Parsed(Optional.ofNullable(reasoning), content, List.of(calls)));
    }

    private static Event.Call made(String name, @Nullable Object... keysAndValues) {
        Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            arguments.put(String.valueOf(keysAndValues[i]), keysAndValues[i + 1]);
        }
        return new Event.Call(name, arguments);
    }

    @Test
    void readsWhatTheDemoModelWrites() {
        expect(
                fast(
                        "<tool_call>\n<function=code_interpreter>\n<parameter=code>\n"
                                + "print(sum(range(12)))\n</parameter>\n</function>\n</tool_call>"),
                null,
                "",
                made("code_interpreter", "code", "print(sum(range(12)))"));
        expect(
                thinking(
                        "The cyan circle is in cell 1 1.\n</think>\n\n"
                                + call(
                                        "computer_use",
                                        "action",
                                        "left_click",
                                        "coordinate",
                                        "[375, 375]")),
                "The cyan circle is in cell 1 1.",
                "",
                made("computer_use", "action", "left_click", "coordinate", List.of(375L, 375L)));
        expect(
                thinking("1 sugar 2 walnut\n</think>\n\nfeather walnut sugar"),
                "1 sugar 2 walnut",
                "feather walnut sugar");
        expect(thinking("friendly\n</think>\n\n你好！我能帮你什么？"), "friendly", "你好！我能帮你什么？");
    }

    @Test
    void reasoningEndsAtTheFirstCloseTag() {
        expect(thinking("<think>\nhm\n</think>\n\nyes"), "hm", "yes");
        expect(thinking("a <think> b\n\n</think>yes"), "a <think> b", "yes");
        expect(thinking("</think>\n\nyes"), null, "yes");
        expect(thinking("\n</think>\n \n  indented"), null, "  indented");
        expect(thinking("a</think>b</think>c"), "a", "bc");
    }

    @Test
    void reasoningWithoutEndIsNotContent() {
        expect(parse("let me see\nand", true, null, true), "let me see\nand", "");
        expect(parse("let me see </thi", true, null, true), "let me see </thi", "");
        expect(thinking(""), null, "");
        expect(thinking("\n\n"), null, "");
    }

    @Test
    void withoutThinkingAllIsContent() {
        expect(fast(" hello\n"), null, " hello\n");
        expect(fast("{\"a\": 1}"), null, "{\"a\": 1}");
        expect(fast("a <think> b"), null, "a <think> b");
        expect(fast("</think>\n\nhello"), null, "hello");
        expect(fast("<think>\nhm\n</think>\n\nhello"), "hm", "hello");
        expect(fast("<think>\n\n</think>\n\nhello"), null, "hello");
    }

    @Test
    void aCallInsideReasoningIsNoCall() {
        String call = call("stop");
        expect(thinking("I could " + call + "\n</think>\nno"), "I could " + call, "no");
        expect(thinking("I could " + call), "I could " + call, "");
    }

    @Test
    void proseAboutMarkupStreamsAtOnce() {
        OutputParser parser = new OutputParser(false, TOOLS);
        assertThat(parser.accept("Write <tool_call>")).containsExactly(new Event.Content("Write"));
        assertThat(parser.accept(" first"))
                .containsExactly(new Event.Content(" <tool_call> first"));
        assertThat(parser.accept(", then </tool")).containsExactly(new Event.Content(", then"));
        assertThat(parser.accept("_call>.")).containsExactly(new Event.Content(" </tool_call>."));
        assertThat(parser.finish(false)).isEmpty();
    }

    @Test
    void whatIsNoFunctionNameIsNoCall() {
        for (String name : List.of("{{ x }}", "", "a b", "\"stop\"", "a".repeat(129))) {
            String text = "See " + call(name, "x", "1");
            expect(fast(text), null, text);
        }
        String long128 = "a".repeat(128);
        expect(fast(call(long128)), null, "", made(long128));
    }

    @Test
    void textInPlaceOfParametersIsNoCall() {
        String json = "<tool_call>\n<function=stop>\n{\"x\": 1}\n</function>\n";
        expect(fast(json + "</tool_call>"), null, json + "</tool_call>");
        String prose = "<tool_call>\n<function=stop> opens a call. " + "It goes on. ".repeat(40);
        expect(fast(prose), null, prose);
        expect(
                fast("<tool_call>\n<function=stop> opens"),
                null,
                "<tool_call>\n<function=stop> opens");
    }

    @Test
    void whitespaceAroundCallsIsTrimmedAtTheEdges() {
        String call = call("stop");
        expect(fast("I look.\n\n" + call + "\n"), null, "I look.", made("stop"));
        expect(fast("A\n\n" + call + "\nB\n"), null, "A\n\nB\n", made("stop"));
        expect(fast(call + "\n\nB"), null, "B", made("stop"));
        expect(thinking("r</think>\n\n" + call), "r", "", made("stop"));
    }

    @Test
    void everyCallKeepsItsArguments() {
        Event.Call one = made("write", "path", "a", "text", 1L);
        Event.Call two = made("write", "path", "b", "text", true);
        String first = call("write", "path", "a", "text", "1");
        String second = call("write", "path", "b", "text", "true");
        expect(fast(first + "\n" + second), null, "", one, two);
        expect(fast(first + second), null, "", one, two);
        String unclosed = first.replace("\n</tool_call>", "");
        expect(fast(unclosed + "\n" + second), null, "", one, two);
        String shared = second.replace("<tool_call>\n", "");
        expect(fast(unclosed + "\n" + shared), null, "", one, two);
    }

    @Test
    void valuesLoseOneLineBreakOnEachSide() {
        String[][] cases = {
            {"\n5\n", "5"},
            {"5", "5"},
            {"\n\n a \n\n", "\n a \n"},
            {"", ""},
            {"\n", ""},
            {"\n\n", ""},
            {"\r\na\r\n", "\r\na\r"},
            {"\n  x <b> & </b>\n", "  x <b> & </b>"}
        };
        for (String[] c : cases) {
            String text =
                    "<tool_call><function=code_interpreter><parameter=code>"
                            + c[0]
                            + "</parameter></function></tool_call>";
            expect(fast(text), null, "", made("code_interpreter", "code", c[1]));
        }
    }

    @Test
    void valuesMayHoldMarkup() {
        String[] values = {
            "a </parameter> b",
            "</parameter>",
            "a\n</parameter>\n<parameter=unknown>\nb",
            "</function>",
            "</tool_call>",
            "x </function> y </tool_call> z",
            "<tool_call> and </tool_call> enclose a call",
            "<think>\n</think>",
            "<parameter=code>",
            "Like so:\n" + call("stop"),
            "Like so:\n" + call("write", "path", "a", "text", "b") + "\nand on it goes",
            call("a", "x", "1") + "\n" + call("b", "y", call("c", "z", "2")) + "\n.",
            call("{{ name }}", "{{ key }}", "{{ value }}") + " is a template",
            "<function=x>\n<parameter=y>\n1\n</parameter>\n</function>\n"
        };
        for (String value : values) {
            expect(
                    fast("Now.\n\n" + call("code_interpreter", "code", value)),
                    null,
                    "Now.",
                    made("code_interpreter", "code", value));
        }
    }

    @Test
    void anUnpairedCallTagInAValueCostsNothing() {
        String value = "It opens with\n<tool_call>\n<function=f>\nand so on";
        expect(
                fast(call("code_interpreter", "code", value)),
                null,
                "",
                made("code_interpreter", "code", value));
    }

    @Test
    void closingTagsMayBeMissing() {
        Event.Call made = made("write", "path", "a", "text", 5L);
        String whole = call("write", "path", "a", "text", "5");
        List<String> variants =
                List.of(
                        whole.replace("</parameter>\n<parameter", "<parameter"),
                        whole.replace("5\n</parameter>", "5"),
                        whole.replace("</function>\n", ""),
                        whole.replace("</parameter>\n</function>\n", ""),
                        whole.replace("\n</tool_call>", ""),
                        whole.replace("\n</function>\n</tool_call>", ""),
                        whole.replace("\n</parameter>\n</function>\n</tool_call>", ""),
                        whole.replace("</function>\n</tool_call>", "</tool_call>"),
                        whole.replace("<tool_call>\n", ""),
                        whole.replace("<tool_call>\n", "").replace("\n</tool_call>", ""));
        for (String variant : variants) {
            expect(fast("Go:\n" + variant), null, "Go:", made);
        }
    }

    @Test
    void textAfterACallWithoutItsClosingTagsIsFound() {
        String broken = call("write", "path", "a").replace("</parameter>\n</function>\n", "");
        expect(
                fast(broken + "\nThen:\n" + call("stop")),
                null,
                "Then:",
                made("write", "path", "a"),
                made("stop"));
    }

    @Test
    void aBareFunctionTagNeedsAKnownNameAtALineStart() {
        String bare = "<function=stop>\n</function>";
        expect(fast("Go:\n" + bare + "\nDone."), null, "Go:\nDone.", made("stop"));
        expect(fast("The tag " + bare), null, "The tag " + bare);
        expect(fast("Go:\n<function=other>\n"), null, "Go:\n<function=other>\n");
        expect(parse(bare, false, null, false), null, bare);
    }

    @Test
    void aCallThatWasCutOffIsNotMade() {
        String whole = call("write", "path", "a", "text", "rm -r build");
        int complete = whole.indexOf("</function>") + "</function>".length();
        int closing = whole.indexOf("</tool_call>");
        for (int end = 1; end <= whole.length(); end++) {
            Parsed parsed = parse("Hm.\n" + whole.substring(0, end), false, TOOLS, true);
            boolean insideTag = end > closing && end < whole.length();
            if (end < complete || insideTag) {
                expect(parsed, null, "Hm.\n" + whole.substring(0, end));
            } else {
                assertThat(parsed.calls())
                        .containsExactly(made("write", "path", "a", "text", "rm -r build"));
            }
        }
    }

    @Test
    void strayCloseTagsAreDroppedUnlessQuoted() {
        expect(thinking("r</think>" + "</think>".repeat(300) + "\n\nyes"), "r", "yes");
        expect(fast("yes" + "\n</think>\n".repeat(300)), null, "yes\n");
        expect(fast("Write `</think>` there."), null, "Write `</think>` there.");
    }

    @Test
    void theFirstOfEqualKeysWins() {
        String text = call("write", "path", "a", "path", "b", "text", "c");
        expect(fast(text), null, "", made("write", "path", "a", "text", "c"));
    }

    @Test
    void unknownToolsAndNoToolsStillGiveCalls() {
        String text = call("other", "n", "5", "s", "five", "any key", "null");
        Event.Call made = made("other", "n", 5L, "s", "five", "any key", null);
        expect(fast(text), null, "", made);
        expect(parse(text, false, null, false), null, "", made);
    }
}
