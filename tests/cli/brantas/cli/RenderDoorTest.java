package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The door of the chat template and of the engine under it, against the golden cases.
class RenderDoorTest {
    @TempDir Path folder;

    @Test
    void everyTemplateCase() {
        Map<Object, List<Map<String, @Nullable Object>>> byTemplate =
                Door.cases(Door.golden("template/cases.json")).stream()
                        .collect(Collectors.groupingBy(c -> String.valueOf(c.get("template"))));
        assertThat(byTemplate).hasSize(5);
        byTemplate.forEach((name, cases) -> {
            String file = Door.golden("template/" + name + ".jinja").toString();
            compare(cases, "render", "--template", file, "--jsonl");
        });
    }

    @Test
    void everyCoreCaseOfTheEngine() {
        List<Map<String, @Nullable Object>> cases =
                Door.cases(Door.golden("template/jinja.json")).stream()
                        .filter(c -> "core".equals(c.get("tier")))
                        .toList();
        assertThat(cases).hasSize(568);
        compare(cases, "render", "--jsonl");
    }

    private static void compare(List<Map<String, @Nullable Object>> cases, String... args) {
        String input = cases.stream().map(Json::write).collect(Collectors.joining("\n"));
        List<Map<String, @Nullable Object>> answers = Door.feed(input, args).fine().objects();
        assertThat(answers).hasSameSizeAs(cases);
        for (int i = 0; i < cases.size(); i++) {
            Map<String, @Nullable Object> c = cases.get(i);
            Map<String, @Nullable Object> answer = answers.get(i);
            if (c.containsKey("expected")) {
                assertThat(answer).as("%s", c.get("name")).containsEntry("text", c.get("expected"));
            } else if ("raise_exception".equals(c.get("error_from"))) {
                assertThat(answer).as("%s", c.get("name")).containsEntry("error", c.get("error"));
            } else {
                assertThat(answer).as("%s", c.get("name")).containsOnlyKeys("error");
            }
        }
    }

    @Test
    void messagesOfAFile() {
        Path file = Door.write(folder, "m.json", "[{\"role\": \"user\", \"content\": \"Hello\"}]");
        String prompt = Door.run("render", "--messages", file.toString()).fine().out();
        assertThat(prompt).contains("user\nHello<|im_end|>").contains("<|im_start|>assistant");
    }

    @Test
    void hostileLines() {
        String deep = "[".repeat(100_000);
        String input =
                """
                {"source": "{{ x }}", "context": {"x": "\\ud800"}}
                {"source": "{% for i in range(10**9) %}x{% endfor %}"}
                {"source": 7}
                {"source": "x", "context": []}
                {"messages": 7}
                {"messages": ["x"]}
                {"messages": [], "tools": 1}
                {"messages": [], "continue_final_message": 1}
                {"messages": [], "add_generation_prompt": "yes"}
                """
                        + deep
                        + "\n{\"messages\": "
                        + deep;
        List<Map<String, @Nullable Object>> answers =
                Door.feed(input, "render", "--jsonl").fine().objects();
        assertThat(answers).hasSize(11);
        assertThat(answers.get(0)).containsEntry("text", "\ud800");
        assertThat(answers.subList(1, 11)).allSatisfy(a -> assertThat(a).containsOnlyKeys("error"));
        assertThat(answers.toString()).doesNotContain("internal error");
    }
}
