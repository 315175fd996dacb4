package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The demo model's card through the batch: its text cases answered greedily must be the
/// reference's answers, right or wrong, and give the card's figures.
class DemoCardTest {
    /// Answers that may differ: fp32 in another order can turn a near tie.
    private static final int MOST_DIFFERENCES = 2;

    @TempDir Path folder;

    @Test
    void textCases() throws IOException {
        Path model = Door.demo();
        List<Map<String, @Nullable Object>> cases =
                Door.cases(model.resolve("cases/cases.json")).stream()
                        .filter(c -> !c.containsKey("images") && !c.containsKey("videos"))
                        .toList();
        assertThat(cases).hasSizeGreaterThan(100);
        List<String> answers = answers(cases);
        List<String> different = new ArrayList<>();
        Map<String, List<Boolean>> right = new TreeMap<>();
        for (int i = 0; i < cases.size(); i++) {
            Map<String, @Nullable Object> c = cases.get(i);
            String reference = String.valueOf(c.get("reference"));
            if (!answers.get(i).equals(reference)) {
                different.add(c.get("id") + ": " + answers.get(i) + " | " + reference);
            }
            String mode = Boolean.TRUE.equals(c.get("thinking")) ? "thinking" : "fast";
            right.computeIfAbsent(c.get("task") + "/" + mode, k -> new ArrayList<>())
                    .add(answer(answers.get(i)).equals(answer(String.valueOf(c.get("expected")))));
        }
        assertThat(different).hasSizeLessThanOrEqualTo(MOST_DIFFERENCES);
        Map<String, @Nullable Object> card = Door.object(Json.file(model.resolve("card.json")));
        Map<String, @Nullable Object> percent = Json.object("percent", card.get("percent"));
        right.forEach((task, hits) -> {
            double found = 100.0 * hits.stream().filter(h -> h).count() / hits.size();
            assertThat(found).as(task).isCloseTo(Json.number(task, percent.get(task)), within(1.0));
        });
    }

    /// What counts: the text after the think block.
    private static String answer(String output) {
        int end = output.indexOf("</think>");
        return (end < 0 ? output : output.substring(end + 8)).strip();
    }

    private List<String> answers(List<Map<String, @Nullable Object>> cases) throws IOException {
        String lines = cases.stream().map(DemoCardTest::line).collect(Collectors.joining("\n"));
        Path in = Door.write(folder, "in.jsonl", lines);
        Path out = folder.resolve("out.jsonl");
        Door door = Door.run("batch", "--in", in.toString(), "--out", out.toString()).fine();
        assertThat(door.err()).contains(cases.size() + " ok, 0 errors");
        return Files.readAllLines(out).stream().map(DemoCardTest::written).toList();
    }

    private static String line(Map<String, @Nullable Object> c) {
        Map<String, @Nullable Object> body = new LinkedHashMap<>();
        body.put("messages", c.get("messages"));
        body.put("tools", c.get("tools"));
        body.put("temperature", 0L);
        body.put("max_tokens", 200L);
        Map<String, @Nullable Object> kwargs = new LinkedHashMap<>();
        kwargs.put("enable_thinking", c.get("thinking"));
        body.put("chat_template_kwargs", kwargs);
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("custom_id", c.get("id"));
        line.put("method", "POST");
        line.put("url", "/v1/chat/completions");
        line.put("body", body);
        return Json.write(line);
    }

    /// A result as the model wrote it: block, text and calls put together again.
    private static String written(String line) {
        Map<String, @Nullable Object> result = Door.object(line);
        Map<String, @Nullable Object> response = Json.object("response", result.get("response"));
        Map<String, @Nullable Object> body = Json.object("body", response.get("body"));
        Map<String, @Nullable Object> choice =
                Json.objects("choices", body.get("choices")).getFirst();
        Map<String, @Nullable Object> message = Json.object("message", choice.get("message"));
        StringBuilder text = new StringBuilder();
        if (message.get("reasoning_content") != null) {
            text.append(message.get("reasoning_content")).append("\n</think>\n\n");
        }
        if (message.get("content") != null) {
            text.append(message.get("content"));
        }
        if (message.get("tool_calls") != null) {
            for (Map<String, @Nullable Object> call :
                    Json.objects("calls", message.get("tool_calls"))) {
                text.append(text.isEmpty() || text.toString().endsWith("\n\n") ? "" : "\n\n");
                text.append(written(Json.object("function", call.get("function"))));
            }
        }
        return text.toString();
    }

    private static String written(Map<String, @Nullable Object> function) {
        StringBuilder text = new StringBuilder("<tool_call>\n<function=");
        text.append(function.get("name")).append(">\n");
        Door.object(String.valueOf(function.get("arguments")))
                .forEach((name, value) ->
                        text.append("<parameter=")
                                .append(name)
                                .append(">\n")
                                .append(value instanceof String s ? s : Json.write(value))
                                .append("\n</parameter>\n"));
        return text.append("</function>\n</tool_call>").toString();
    }
}
