package brantas.cli;

import brantas.LogitsRun;
import brantas.Mode;
import brantas.ModelText;
import brantas.cli.RenderCommand.Conversation;
import brantas.settings.BrantasException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// The logits of given tokens at every position, as a safetensors file: what parity checks compare.
/// The work is [LogitsRun]'s; here is only where the tokens come from.
@Command(description = "Writes logits at every position to a safetensors file.")
final class LogitsCommand implements Callable<Integer> {
    private static final Pattern BETWEEN = Pattern.compile("[\\s,]+");

    private final Streams io;

    @Mixin ModelOptions model = new ModelOptions();

    @ArgGroup(multiplicity = "1")
    Source source = new Source();

    @Option(
            names = "--mode",
            paramLabel = "MODE",
            description = "With --messages: thinking, fast or default.")
    Mode mode = Mode.DEFAULT;

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FILE",
            description = "The safetensors file.")
    Path out = Path.of("");

    @Option(
            names = "--split",
            paramLabel = "LENGTHS",
            description = "Feeds pieces: 7,20 (the rest last) or 1* (one by one).")
    String split = "";

    @Option(names = "--taps", description = "Writes the residual stream after every layer too.")
    boolean taps;

    /// Exactly one of these.
    static final class Source {
        @Option(
                names = "--tokens",
                paramLabel = "IDS",
                description = "Token ids, separated by commas or blanks.")
        @Nullable String tokens;

        @Option(
                names = "--tokens-file",
                paramLabel = "FILE",
                description = "Token ids, one sequence a line.")
        @Nullable Path file;

        @Option(names = "--prompt", paramLabel = "TEXT", description = "Text, encoded as it is.")
        @Nullable String prompt;

        @Option(
                names = "--messages",
                paramLabel = "FILE",
                description = "Messages as JSON, rendered by the template.")
        @Nullable Path messages;
    }

    LogitsCommand(Streams io) {
        this.io = io;
    }

    @Override
    public Integer call() {
        boolean single = split.strip().equals("1*");
        List<Integer> pieces = single || split.isBlank() ? List.of() : lengths(split);
        LogitsRun run = new LogitsRun(sequences(), pieces, single, taps);
        run.write(model.folder(), model.options(io), out);
        return 0;
    }

    private List<int[]> sequences() {
        if (source.tokens != null) {
            return List.of(ids("--tokens", source.tokens));
        }
        if (source.file != null) {
            return file(source.file);
        }
        ModelText text = ModelText.open(model.folder());
        String prompt =
                source.messages != null
                        ? rendered(text, source.messages)
                        : String.valueOf(source.prompt);
        return List.of(text.encode(prompt, true));
    }

    private String rendered(ModelText text, Path messages) {
        Conversation conversation = Conversation.read(messages);
        Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
        if (mode != Mode.DEFAULT) {
            arguments.put("enable_thinking", mode == Mode.THINKING);
        }
        arguments.putAll(conversation.arguments());
        return text.template().render(conversation.messages(), conversation.tools(), arguments);
    }

    /// Blank lines do not count as sequences.
    private static List<int[]> file(Path file) {
        List<int[]> sequences = new ArrayList<>();
        int number = 0;
        for (String line : Json.file(file).split("\n", -1)) {
            number++;
            if (!line.isBlank()) {
                sequences.add(ids(file + " line " + number, line));
            }
        }
        if (sequences.isEmpty()) {
            throw new BrantasException(file + " has no token ids: give one sequence a line.");
        }
        return sequences;
    }

    private static List<Integer> lengths(String text) {
        List<Integer> lengths = new ArrayList<>();
        for (int length : ids("--split", text)) {
            lengths.add(length);
        }
        return lengths;
    }

    private static int[] ids(String what, String text) {
        return BETWEEN.splitAsStream(text.strip())
                .filter(s -> !s.isEmpty())
                .mapToInt(s -> id(what, s))
                .toArray();
    }

    private static int id(String what, String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            String shown = text.length() > 40 ? text.substring(0, 40) + "…" : text;
            throw new BrantasException(
                    what
                            + " has '"
                            + shown
                            + "': give whole numbers separated by commas or blanks.",
                    e);
        }
    }
}
