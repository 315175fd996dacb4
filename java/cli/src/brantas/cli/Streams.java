package brantas.cli;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/// The three standard streams of a command and which of them are terminals. Commands use these and
/// never the ones of `System`, so that tests can drive them. Text is UTF-8 whatever the locale
/// says.
///
/// @param in standard input
/// @param out standard output
/// @param err standard error
/// @param terminals letters of the streams that are terminals: `i`, `o`, `e`
public record Streams(InputStream in, PrintStream out, PrintStream err, String terminals) {
    /// What a terminal would obey instead of showing.
    private static final Pattern CONTROL = Pattern.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]");

    private static final String DIM = "\u001b[2m";
    private static final String PLAIN = "\u001b[0m";

    static PrintStream utf8(OutputStream stream) {
        return new PrintStream(stream, false, StandardCharsets.UTF_8);
    }

    /// Whether a person reads what is printed.
    boolean shown() {
        return terminals.contains("o");
    }

    /// Whether a person types and reads.
    boolean interactive() {
        return shown() && terminals.contains("i");
    }

    /// Whether a person sees standard error: progress bars may be drawn there.
    boolean bars() {
        return terminals.contains("e");
    }

    /// Prints part of a text at once; on a terminal without control sequences of the model's
    /// making.
    void print(String text) {
        out.print(shown() ? CONTROL.matcher(text).replaceAll("\ufffd") : text);
        out.flush();
    }

    /// Prints text that matters less: dim on a terminal.
    void dim(String text) {
        if (shown()) {
            out.print(DIM + CONTROL.matcher(text).replaceAll("\ufffd") + PLAIN);
            out.flush();
        } else {
            print(text);
        }
    }

    /// Prints one line of data and flushes it, so that a program on the other side of a pipe need
    /// not wait.
    public void line(String text) {
        out.print(text + "\n");
        out.flush();
    }

    /// Says something to the person beside the data.
    public void note(String text) {
        err.print(Main.oneLine("brantas: " + text) + "\n");
        err.flush();
    }
}
