package brantas.cli;

import brantas.ModelText;
import brantas.settings.BrantasException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Text to token ids and back: for a person with arguments, for a program line by line.
final class TokensCommand {
    private TokensCommand() {}

    /// Ids of a text.
    @Command(description = "Text to token ids.")
    static final class Tokenize implements Callable<Integer> {
        private final Streams io;

        @Mixin ModelOptions model = new ModelOptions();

        @Option(
                names = "--jsonl",
                description = "Answers lines {\"text\", \"control\"} of standard input.")
        boolean jsonl;

        @Option(names = "--no-control", description = "Control strings are plain text.")
        boolean plain;

        @Parameters(arity = "0..1", paramLabel = "TEXT", description = "The text.")
        @Nullable String given;

        Tokenize(Streams io) {
            this.io = io;
        }

        @Override
        public Integer call() {
            checkArguments(jsonl, given != null, "a text");
            ModelText text = ModelText.open(model.folder());
            if (jsonl) {
                return JsonLines.serve(io, line -> answer(text, line, !plain));
            }
            int[] ids = text.encode(String.valueOf(given), !plain);
            io.line(IntStream.of(ids).mapToObj(Integer::toString).collect(Collectors.joining(" ")));
            return 0;
        }

        private static Map<String, ?> answer(
                ModelText text, Map<String, @Nullable Object> line, boolean usual) {
            String given = Json.string("text", line.get("text"));
            boolean control = flag(line, "control", usual);
            return Map.of("ids", text.encode(given, control));
        }
    }

    /// The text of ids.
    @Command(description = "Token ids to text.")
    static final class Detokenize implements Callable<Integer> {
        private final Streams io;

        @Mixin ModelOptions model = new ModelOptions();

        @Option(
                names = "--jsonl",
                description = "Answers lines {\"ids\", \"skip_special\"} of standard input.")
        boolean jsonl;

        @Option(names = "--stream", description = "With --jsonl: what each id makes printable.")
        boolean stream;

        @Option(names = "--skip-special", description = "Drops special tokens.")
        boolean skip;

        @Parameters(arity = "0..*", paramLabel = "ID", description = "The ids.")
        List<Integer> given = new ArrayList<>();

        Detokenize(Streams io) {
            this.io = io;
        }

        @Override
        public Integer call() {
            checkArguments(jsonl, !given.isEmpty(), "ids");
            if (stream && !jsonl) {
                throw new BrantasException("--stream has no meaning without --jsonl: add --jsonl.");
            }
            ModelText text = ModelText.open(model.folder());
            if (jsonl) {
                return JsonLines.serve(io, line -> answer(text, line));
            }
            int[] ids = given.stream().mapToInt(Integer::intValue).toArray();
            io.print(text.decode(ids, skip) + "\n");
            return 0;
        }

        private Map<String, ?> answer(ModelText text, Map<String, @Nullable Object> line) {
            int[] ids = ids(line.get("ids"));
            boolean dropped = flag(line, "skip_special", skip);
            if (!stream) {
                return Map.of("text", text.decode(ids, dropped));
            }
            ModelText.StreamedText streamed = text.decodeStreaming(ids, dropped);
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("pieces", streamed.pieces());
            answer.put("flush", streamed.flush());
            return answer;
        }

        private static int[] ids(@Nullable Object value) {
            List<@Nullable Object> list = Json.list("ids", value);
            int[] ids = new int[list.size()];
            for (int i = 0; i < ids.length; i++) {
                ids[i] = Json.small("ids[" + i + "]", list.get(i));
            }
            return ids;
        }
    }

    private static boolean flag(Map<String, @Nullable Object> line, String name, boolean usual) {
        Object value = line.get(name);
        return value == null ? usual : Json.bool(name, value);
    }

    private static void checkArguments(boolean jsonl, boolean given, String what) {
        if (jsonl == given) {
            throw new BrantasException(
                    jsonl
                            ? "--jsonl reads standard input: leave the argument out."
                            : "There is nothing to do: give "
                                    + what
                                    + ", or --jsonl to read standard input.");
        }
    }
}
