package brantas.jinja;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Golden cases of the template folder, as plain Java values: order kept, integers without loss.
public final class JsonCases {
    private static final ObjectMapper JSON =
            new ObjectMapper()
                    .enable(DeserializationFeature.USE_BIG_INTEGER_FOR_INTS)
                    .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    /// A case of the engine; `error` where the reference fails.
    public record Engine(
            String name,
            String tier,
            String source,
            Map<String, Object> context,
            @Nullable String expected,
            boolean error) {}

    /// A case of a published template.
    public record Chat(
            String name,
            String template,
            List<Map<String, Object>> messages,
            @Nullable List<Object> tools,
            Map<String, Object> kwargs,
            @JsonProperty("add_generation_prompt") boolean addGenerationPrompt,
            @JsonProperty("continue_final_message") @Nullable Object continueFinalMessage,
            @Nullable String expected,
            @Nullable String error,
            @JsonProperty("error_from") @Nullable String errorFrom) {}

    private JsonCases() {}

    /// All cases of the engine.
    public static List<Engine> engine() throws IOException {
        return List.of(JSON.readValue(path("jinja.json").toFile(), Engine[].class));
    }

    /// All cases of the published templates.
    public static List<Chat> chat() throws IOException {
        return List.of(JSON.readValue(path("cases.json").toFile(), Chat[].class));
    }

    /// The text of a published template.
    public static String template(String name) throws IOException {
        return Files.readString(path(name + ".jinja"));
    }

    private static Path path(String file) {
        return Path.of(System.getProperty("brantas.golden", "tests/golden"), "template", file);
    }
}
