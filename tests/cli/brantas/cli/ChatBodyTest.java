package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What a body may say, and that everything else is refused by name.
class ChatBodyTest {
    private static final String MESSAGES =
            "\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]";

    private static void read(String fields) {
        assertThat(ChatBody.request(Door.object("{" + fields + "}"), 0)).isNotNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"n\": 1",
                "\"stream\": false, \"logprobs\": false, \"top_logprobs\": 0",
                "\"tool_choice\": \"auto\", \"parallel_tool_calls\": true",
                "\"response_format\": {\"type\": \"text\"}, \"logit_bias\": {}",
                "\"user\": \"u\", \"metadata\": {}, \"model\": 5",
                "\"stop\": \"x\"",
                "\"stop\": [\"x\", \"y\"]",
                "\"seed\": 3.0",
                "\"temperature\": 0, \"top_p\": 1, \"top_k\": 20, \"min_p\": 0",
                "\"temperature\": null, \"tools\": null, \"stop\": null, \"future\": null",
                "\"tools\": []",
                "\"max_tokens\": 5, \"max_completion_tokens\": 3"
            })
    void accepted(String field) {
        assertThatCode(() -> read(MESSAGES + ", " + field)).doesNotThrowAnyException();
    }

    static Stream<List<String>> refused() {
        return Stream.of(
                List.of("\"n\": 2", "body.n"),
                List.of("\"stream\": true", "body.stream"),
                List.of("\"logprobs\": true", "body.logprobs"),
                List.of("\"response_format\": {\"type\": \"json_object\"}", "response_format"),
                List.of("\"logit_bias\": {\"1\": 2}", "logit_bias"),
                List.of("\"tool_choice\": \"required\"", "tool_choice"),
                List.of("\"reasoning_effort\": \"low\"", "reasoning_effort"),
                List.of("\"temprature\": 1", "temprature"),
                List.of("\"temperature\": \"1\"", "body.temperature"),
                List.of("\"top_k\": 1.5", "body.top_k"),
                List.of("\"top_k\": 4294967297", "body.top_k"),
                List.of("\"seed\": 99999999999999999999", "body.seed"),
                List.of("\"max_tokens\": 0", "body.max_tokens"),
                List.of("\"stop\": [1]", "body.stop"),
                List.of("\"stop\": 1", "body.stop"),
                List.of("\"tools\": [{}]", "body.tools[0].type"),
                List.of("\"tools\": [{\"type\": \"function\"}]", "body.tools[0].function"),
                List.of("\"chat_template_kwargs\": 1", "chat_template_kwargs"));
    }

    @ParameterizedTest
    @MethodSource("refused")
    void refusedByName(List<String> fieldAndName) {
        assertThatThrownBy(() -> read(MESSAGES + ", " + fieldAndName.getFirst()))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining(fieldAndName.getLast());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "null",
                "[]",
                "{}",
                "[1]",
                "[{}]",
                "[{\"role\": 1}]",
                "[{\"role\": \"user\", \"content\": 1}]",
                "[{\"role\": \"user\", \"content\": [1]}]",
                "[{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]",
                "[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]",
                "[{\"role\": \"assistant\", \"tool_calls\": 1}]",
                "[{\"role\": \"assistant\", \"tool_calls\": [{}]}]",
                "[{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\","
                        + " \"arguments\": \"{\"}}]}]",
                "[{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\","
                        + " \"arguments\": \"[]\"}}]}]"
            })
    void badMessages(String messages) {
        assertThatThrownBy(() -> read("\"messages\": " + messages))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("messages");
    }

    @Test
    void argumentsBecomeObjects() {
        String call =
                "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": %s}}";
        String text = String.format(call, "\"{\\\"a\\\": 1}\"");
        String object = String.format(call, "{\"a\": 1}");
        String message =
                "[{\"role\": \"assistant\", \"tool_calls\": [" + text + ", " + object + "]}]";
        Map<String, @Nullable Object> read =
                ChatBody.messages("messages", Json.read("it", message)).getFirst();
        for (Map<String, @Nullable Object> c : Json.objects("calls", read.get("tool_calls"))) {
            assertThat(Json.object("f", c.get("function")))
                    .containsEntry("arguments", Map.of("a", 1L));
        }
    }
}
