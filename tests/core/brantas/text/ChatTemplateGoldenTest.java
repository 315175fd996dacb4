package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.jinja.JsonCases;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Every prompt of the reference for the five published templates, character by character, and
/// every refusal.
class ChatTemplateGoldenTest {
    private final Map<String, ChatTemplate> templates = new TreeMap<>();

    @TestFactory
    Stream<DynamicTest> prompts() throws IOException {
        List<Map<String, Object>> cases = JsonCases.read("cases.json");
        assertThat(cases).hasSize(332);
        for (Map<String, Object> c : cases) {
            String name = (String) c.get("template");
            if (!templates.containsKey(name)) {
                templates.put(name, new ChatTemplate(name, JsonCases.text(name + ".jinja")));
            }
        }
        assertThat(templates).hasSize(5);
        return cases.stream()
                .map(c -> DynamicTest.dynamicTest((String) c.get("name"), () -> check(c)));
    }

    @SuppressWarnings("unchecked")
    private void check(Map<String, Object> c) {
        Object continued = c.get("continue_final_message");
        ChatRequest request =
                new ChatRequest(
                        (List<Map<String, Object>>) c.get("messages"),
                        (List<Object>) c.get("tools"),
                        (Boolean) c.get("add_generation_prompt"),
                        continued instanceof String field
                                ? field
                                : Boolean.TRUE.equals(continued) ? "content" : null,
                        (Map<String, Object>) c.get("kwargs"));
        ChatTemplate template = templates.get((String) c.get("template"));
        if (c.containsKey("expected")) {
            assertThat(template.render(request)).isEqualTo(c.get("expected"));
            return;
        }
        var failure =
                assertThatThrownBy(() -> template.render(request))
                        .isInstanceOf(BrantasException.class);
        if (c.get("error_from").equals("raise_exception")) {
            failure.hasMessage((String) c.get("error"));
        } else {
            failure.hasMessageContaining("fails at line");
        }
    }
}
