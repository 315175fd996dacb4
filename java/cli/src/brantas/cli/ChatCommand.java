package brantas.cli;

import brantas.Brantas;
import brantas.Mode;
import brantas.Session;
import brantas.TokenStream;
import brantas.Usage;
import brantas.settings.BrantasException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// A conversation. On a terminal with line editing, history and pasting of several lines; in a pipe
/// plain lines and no control sequences. Ctrl-C stops an answer, Ctrl-D leaves.
@Command(description = "Chats with a model.")
final class ChatCommand implements Callable<Integer> {
    private static final String HELP =
            """
            /help                         this text
            /clear                        forgets the conversation, keeps the system message
            /system TEXT                  sets the system message
            /mode thinking|fast|default   with or without reasoning
            /quit                         leaves, as Ctrl-D does
            Ctrl-C stops an answer. Anything else goes to the model.
            """;

    private final Streams io;
    private final AtomicReference<@Nullable TokenStream> running = new AtomicReference<>();

    @Mixin ModelOptions model = new ModelOptions();
    @Mixin SamplingOptions sampling = new SamplingOptions();

    @Option(names = "--show-reasoning", description = "Prints the reasoning in a pipe too.")
    boolean showReasoning;

    ChatCommand(Streams io) {
        this.io = io;
    }

    /// Where lines come from.
    private interface Input extends AutoCloseable {
        /// The next message, or nothing when the user leaves.
        Optional<String> next();

        @Override
        void close();
    }

    @Override
    public Integer call() {
        try (Brantas open = Brantas.open(model.folder(), model.options(io).withSequences(1));
                Input input = io.interactive() ? new EditedLines() : new PlainLines()) {
            Session session = open.session().with(sampling::apply);
            if (sampling.system != null) {
                session.system(sampling.system);
            }
            if (io.interactive()) {
                io.dim(model.name() + " on " + open.backend() + ". /help shows the commands.\n");
            }
            boolean more = true;
            while (more && !io.out().checkError()) {
                Optional<String> line = input.next();
                more = line.isPresent() && turn(session, line.get());
            }
        }
        return 0;
    }

    /// Handles one line; false leaves.
    private boolean turn(Session session, String line) {
        if (line.isBlank()) {
            return true;
        }
        if (line.startsWith("/")) {
            return command(session, line.strip());
        }
        try {
            answer(session, line);
        } catch (BrantasException e) {
            io.note(String.valueOf(e.getMessage()));
        }
        return true;
    }

    private void answer(Session session, String line) {
        try (TokenStream stream = session.send(line)) {
            running.set(stream);
            new RunCommand.AnswerPrinter(io, io.shown() || showReasoning).print(stream);
            if (io.interactive()) {
                Usage usage = stream.usage();
                io.dim(
                        String.format(
                                Locale.ROOT,
                                "%d tokens, %.1f tok/s%n",
                                usage.completionTokens(),
                                usage.decodeTokensPerSecond()));
            }
        } finally {
            running.set(null);
        }
    }

    private boolean command(Session session, String line) {
        String[] words = line.split("\\s+", 2);
        String rest = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "/quit", "/exit" -> {
                return false;
            }
            case "/help" -> io.print(HELP);
            case "/clear" -> session.clear();
            case "/system" -> {
                sampling.system = rest;
                session.system(rest);
            }
            case "/mode" -> mode(rest);
            default -> io.note("There is no command " + words[0] + ": /help shows what there is.");
        }
        return true;
    }

    private void mode(String name) {
        switch (name.toLowerCase(Locale.ROOT)) {
            case "thinking" -> sampling.mode = Mode.THINKING;
            case "fast" -> sampling.mode = Mode.FAST;
            case "default" -> sampling.mode = Mode.DEFAULT;
            default -> io.note("/mode is '" + name + "': use thinking, fast or default.");
        }
    }

    private void stopAnswer() {
        TokenStream stream = running.get();
        if (stream != null) {
            stream.close();
        }
    }

    /// A pipe.
    private final class PlainLines implements Input {
        private final BufferedReader reader =
                new BufferedReader(new InputStreamReader(io.in(), StandardCharsets.UTF_8));

        @Override
        public Optional<String> next() {
            try {
                return Optional.ofNullable(reader.readLine());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public void close() {}
    }

    /// A terminal with a person.
    private final class EditedLines implements Input {
        private final Terminal terminal;
        private final LineReader reader;

        EditedLines() {
            try {
                terminal = TerminalBuilder.builder().system(true).dumb(true).build();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            terminal.handle(Terminal.Signal.INT, signal -> stopAnswer());
            reader =
                    LineReaderBuilder.builder()
                            .terminal(terminal)
                            .option(LineReader.Option.BRACKETED_PASTE, true)
                            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
                            .build();
        }

        @Override
        public Optional<String> next() {
            while (true) {
                try {
                    return Optional.of(reader.readLine("> "));
                } catch (UserInterruptException e) {
                    // Ctrl-C while typing throws the line away.
                } catch (EndOfFileException e) {
                    return Optional.empty();
                }
            }
        }

        @Override
        public void close() {
            try {
                terminal.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
