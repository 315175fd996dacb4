package brantas.format;

import brantas.settings.BrantasException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/// The text of a chat template and where it was found. Nothing is parsed here.
///
/// @param name the file, for messages
/// @param source the template
public record TemplateFile(String name, String source) {
    private static final long LIMIT = 4 << 20;

    /// The template of a checkpoint folder: `chat_template.jinja`, else `chat_template` in
    /// `tokenizer_config.json` (a text, or a list of named ones of which `default` is taken).
    public static Optional<TemplateFile> ofCheckpoint(Path folder) {
        Path file = folder.resolve("chat_template.jinja");
        if (Files.exists(file)) {
            return Optional.of(of(file));
        }
        Path config = folder.resolve("tokenizer_config.json");
        if (!Files.exists(config)) {
            return Optional.empty();
        }
        JsonNode value = JsonFile.object(config).node().path("chat_template");
        for (JsonNode entry : value) {
            if (entry.path("name").asText().equals("default")) {
                value = entry.path("template");
            }
        }
        return value.isTextual()
                ? Optional.of(new TemplateFile(config.toString(), value.textValue()))
                : Optional.empty();
    }

    /// A template in a file of its own.
    ///
    /// @throws BrantasException if it is not there, not UTF-8, or far too large
    public static TemplateFile of(Path file) {
        JsonFile.requireRegular(file);
        try {
            if (Files.size(file) > LIMIT) {
                throw new BrantasException(
                        file
                                + " has "
                                + Files.size(file)
                                + " bytes and a chat template at most "
                                + LIMIT
                                + ": name another file.");
            }
            return new TemplateFile(file.toString(), Files.readString(file));
        } catch (IOException e) {
            throw JsonFile.unreadable(file, "the template", e);
        }
    }
}
