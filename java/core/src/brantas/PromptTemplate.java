package brantas;

import brantas.format.TemplateFile;
import brantas.jinja.Template;
import brantas.text.ChatRequest;
import brantas.text.ChatTemplate;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A chat template: from messages to the text of a prompt.
public final class PromptTemplate {
    private final ChatTemplate template;

    private PromptTemplate(TemplateFile file) {
        this.template = new ChatTemplate(file.name(), file.source());
    }

    /// A template file.
    ///
    /// @throws brantas.settings.BrantasException naming line and token if it is not one
    public static PromptTemplate of(Path file) {
        return new PromptTemplate(TemplateFile.of(file));
    }

    /// `chat_template.jinja`, else the template inside `tokenizer_config.json`.
    static Optional<PromptTemplate> ofCheckpoint(Path folder) {
        return TemplateFile.ofCheckpoint(folder).map(PromptTemplate::new);
    }

    /// The prompt that asks for an answer.
    public String render(
            List<Map<String, @Nullable Object>> messages,
            @Nullable List<@Nullable Object> tools,
            Map<String, @Nullable Object> arguments) {
        return template.render(new ChatRequest(messages, tools, true, null, arguments));
    }

    /// A prompt with every switch of the template's renderer.
    ///
    /// @param addGenerationPrompt whether the opening of an answer follows the messages
    /// @param continueField field of the last message that the model is to continue, such as
    ///   `content`; null for none
    public String render(
            List<Map<String, @Nullable Object>> messages,
            @Nullable List<@Nullable Object> tools,
            Map<String, @Nullable Object> arguments,
            boolean addGenerationPrompt,
            @Nullable String continueField) {
        return template.render(
                new ChatRequest(messages, tools, addGenerationPrompt, continueField, arguments));
    }

    /// Evaluates any template text with any variables: the engine alone.
    public static String evaluate(String source, Map<String, @Nullable Object> context) {
        return Template.parse("template", source).render(context);
    }
}
