package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.jinja.JsonCases;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Every prompt of the reference for the five published templates, character by character, and
/// every refusal.
class ChatTemplateGoldenTest {
    @TestFactory
    Stream<DynamicTest> prompts() throws IOException {
        List<JsonCases.Chat> cases = JsonCases.chat();
        assertThat(cases).hasSize(332);
        Map<String, ChatTemplate> templates = new TreeMap<>();
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonCases.Chat c : cases) {
            ChatTemplate template = templates.get(c.template());
            if (template == null) {
                template = new ChatTemplate(c.template(), JsonCases.template(c.template()));
                templates.put(c.template(), template);
            }
            ChatTemplate chosen = template;
            tests.add(DynamicTest.dynamicTest(c.name(), () -> check(chosen, c)));
        }
        assertThat(templates).hasSize(5);
        return tests.stream();
    }

    private static void check(ChatTemplate template, JsonCases.Chat c) {
        Object continued = c.continueFinalMessage();
        ChatRequest request =
                new ChatRequest(
                        c.messages(),
                        c.tools(),
                        c.addGenerationPrompt(),
                        Boolean.TRUE.equals(continued) ? "content" : (String) continued,
                        c.kwargs());
        if (c.expected() != null) {
            assertThat(template.render(request)).isEqualTo(c.expected());
            return;
        }
        var failure =
                assertThatThrownBy(() -> template.render(request))
                        .isInstanceOf(BrantasException.class);
        if ("raise_exception".equals(c.errorFrom())) {
            failure.hasMessage(c.error());
        } else {
            failure.hasMessageContaining("fails at line");
        }
    }
}
