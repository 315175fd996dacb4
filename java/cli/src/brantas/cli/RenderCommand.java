package brantas.cli;

import brantas.ModelText;
import brantas.PromptTemplate;
import brantas.settings.BrantasException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// The prompt that a chat template makes of messages, without a model; and the template engine by
/// itself.
@Command(description = "Renders the chat template.")
final class RenderCommand implements Callable<Integer> {
    private final Streams io;
    private @Nullable PromptTemplate opened;

    @Mixin ModelOptions model = new ModelOptions();

    @Option(
            names = "--template",
            paramLabel = "FILE",
            description = "A template file instead of the model's own.")
    @Nullable Path template;

    @Option(
            names = "--jsonl",
            description =
                    "Answers lines {\"messages\", ...} or {\"source\", \"context\"} of standard input.")
    boolean jsonl;

    @Option(
            names = "--messages",
            paramLabel = "FILE",
            description = "Messages as JSON; prints the prompt.")
    @Nullable Path messages;

    RenderCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        if (jsonl == (messages != null)) {
            throw new BrantasException(
                    "There is nothing to render: give either --jsonl or --messages FILE.");
        }
        if (messages != null) {
            Conversation conversation = Conversation.read(messages);
            String prompt =
                    template()
                            .render(
                                    conversation.messages(),
                                    conversation.tools(),
                                    conversation.arguments());
            io.print(prompt);
            return 0;
        }
        if (template != null || model.model != null) {
            // A bad template is the caller's mistake, not that of each line.
            template();
        }
        return JsonLines.serve(io, line -> Map.of("text", answer(line)));
    }

    private PromptTemplate template() {
        PromptTemplate known = opened;
        if (known == null) {
            known =
                    template != null
                            ? PromptTemplate.of(template)
                            : ModelText.open(model.folder()).template();
            opened = known;
        }
        return known;
    }

    private String answer(Map<String, @Nullable Object> line) {
        if (line.containsKey("source")) {
            Object context = line.get("context");
            Map<String, @Nullable Object> variables =
                    context == null ? new LinkedHashMap<>() : Json.object("context", context);
            return PromptTemplate.evaluate(Json.string("source", line.get("source")), variables);
        }
        Conversation conversation = Conversation.of("", line);
        Object prompt = line.get("add_generation_prompt");
        return template()
                .render(
                        conversation.messages(),
                        conversation.tools(),
                        conversation.arguments(),
                        prompt != null && Json.bool("add_generation_prompt", prompt),
                        continued(line.get("continue_final_message")));
    }

    private static @Nullable String continued(@Nullable Object value) {
        return switch (value) {
            case null -> null;
            case Boolean b -> b ? "content" : null;
            case String field -> field;
            default ->
                    throw new BrantasException(
                            "continue_final_message is "
                                    + Json.kind(value)
                                    + ": give true, false or the name of a field.");
        };
    }

    /// Messages with what a template needs beside them.
    ///
    /// @param tools null: none
    /// @param arguments template variables
    record Conversation(
            List<Map<String, @Nullable Object>> messages,
            @Nullable List<@Nullable Object> tools,
            Map<String, @Nullable Object> arguments) {
        /// A file with a list of messages, or an object with `messages`, `tools`, `kwargs`.
        static Conversation read(Path file) {
            String where = file + ": ";
            Object value = Json.read(file.toString(), Json.file(file));
            Map<String, @Nullable Object> object = new LinkedHashMap<>();
            if (value instanceof List<?>) {
                object.put("messages", value);
            } else {
                object = Json.object(file.toString(), value);
            }
            return of(where, object);
        }

        static Conversation of(String where, Map<String, @Nullable Object> object) {
            Object tools = object.get("tools");
            Object kwargs = object.get("kwargs");
            return new Conversation(
                    Json.objects(where + "messages", object.get("messages")),
                    tools == null ? null : Json.list(where + "tools", tools),
                    kwargs == null ? new LinkedHashMap<>() : Json.object(where + "kwargs", kwargs));
        }
    }
}
