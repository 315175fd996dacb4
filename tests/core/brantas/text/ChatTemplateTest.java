package brantas.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// What the renderer adds to a template: variables, reasoning under all its names, and the cut
/// where the model continues.
class ChatTemplateTest {
    private static final String PLAIN =
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}";

    private static ChatRequest continued(String field, Object value) {
        Map<String, Object> message = Map.of("role", "assistant", "content", value);
        return new ChatRequest(List.of(message), null, false, field, Map.of());
    }

    @Test
    void variablesOfTheReference() {
        String source =
                "{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} {{ x }}";
        Map<String, Object> message = Map.of("role", "user", "content", "a");
        ChatRequest request =
                new ChatRequest(List.of(message), List.of(), true, null, Map.of("x", 1));
        assertThat(new ChatTemplate("t", source).render(request)).isEqualTo("True True True 1");
    }

    @Test
    void reasoningUnderAllNames() {
        String source =
                "{% for m in messages %}{{ m.reasoning_content }},{{ m.thinking }};{% endfor %}";
        List<Map<String, Object>> messages =
                List.of(Map.of("reasoning", "a"), Map.of("thinking", "b"), Map.of("role", "user"));
        assertThat(new ChatTemplate("t", source).render(ChatRequest.of(messages)))
                .isEqualTo("a,a;b,b;,;");
    }

    @Test
    void cutsBehindTheContinuedText() {
        ChatTemplate plain = new ChatTemplate("t", PLAIN);
        assertThat(plain.render(continued("content", "so \n"))).isEqualTo("<assistant>so \n");
        ChatTemplate trimming =
                new ChatTemplate("t", PLAIN.replace("content }}", "content|trim }}"));
        assertThat(trimming.render(continued("content", "so \u00a0\n"))).isEqualTo("<assistant>so");
    }

    @Test
    void refusesWhatCannotBeContinued() {
        ChatTemplate plain = new ChatTemplate("t", PLAIN);
        assertThatThrownBy(() -> plain.render(continued("content", 1)))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("no text in 'content'");
        assertThatThrownBy(() -> plain.render(continued("other", "a")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("no text in 'other'");
        ChatRequest both = new ChatRequest(List.of(), null, true, "content", Map.of());
        assertThatThrownBy(() -> plain.render(both))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("cannot both");
        assertThatThrownBy(() -> new ChatTemplate("t", "nothing").render(continued("content", "a")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("does not write the end");
    }
}
