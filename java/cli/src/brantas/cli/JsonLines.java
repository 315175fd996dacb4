package brantas.cli;

import brantas.settings.BrantasException;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Lines of bytes, one JSON object each: the shape of every data door. A line has a largest length,
/// so that a hostile stream cannot take all memory.
final class JsonLines implements AutoCloseable {
    /// Bytes in the longest line that is read.
    static final int LONGEST = 32 << 20;

    private final InputStream in;
    private long consumed;
    private boolean complete;

    JsonLines(InputStream in) {
        this.in = new BufferedInputStream(in, 1 << 16);
    }

    static JsonLines of(Path file) {
        try {
            if (Files.isDirectory(file)) {
                throw new BrantasException(file + " is a folder: name a file.");
            }
            return new JsonLines(Files.newInputStream(file));
        } catch (IOException e) {
            throw new BrantasException(
                    file + " cannot be read: check that it exists and may be read.", e);
        }
    }

    /// The next line without its end, or null. A line that is too long comes cut to one byte more
    /// than [#LONGEST].
    byte @Nullable [] next() {
        ByteArrayOutputStream line = new ByteArrayOutputStream(256);
        complete = false;
        try {
            int c = in.read();
            if (c < 0) {
                return null;
            }
            for (; c >= 0; c = in.read()) {
                consumed++;
                if (c == '\n') {
                    complete = true;
                    break;
                }
                if (line.size() <= LONGEST) {
                    line.write(c);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return line.toByteArray();
    }

    /// Bytes read so far, line ends included.
    long consumed() {
        return consumed;
    }

    /// Whether the line last read had its end.
    boolean complete() {
        return complete;
    }

    /// Whether there is nothing but white space in a line.
    static boolean blank(byte[] line) {
        for (byte b : line) {
            if (b != ' ' && b != '\t' && b != '\r') {
                return false;
            }
        }
        return true;
    }

    /// A line as a JSON object.
    static Map<String, @Nullable Object> parse(byte[] line) {
        if (line.length > LONGEST) {
            throw new BrantasException("The line is longer than " + LONGEST + " bytes: split it.");
        }
        if (blank(line)) {
            throw new BrantasException("The line is empty: give a JSON object.");
        }
        String text = Json.text("The line", line);
        return Json.object("The line", Json.read("The line", text));
    }

    /// Answers every line of standard input with one line, `{"error": …}` where it cannot.
    static int serve(Streams io, Function<Map<String, @Nullable Object>, Map<String, ?>> answer) {
        JsonLines lines = new JsonLines(io.in());
        byte[] line = lines.next();
        while (line != null && !io.out().checkError()) {
            io.line(answer(line, answer));
            line = lines.next();
        }
        return 0;
    }

    private static String answer(
            byte[] line, Function<Map<String, @Nullable Object>, Map<String, ?>> answer) {
        try {
            return Json.write(answer.apply(parse(line)));
        } catch (BrantasException e) {
            return Json.write(Map.of("error", String.valueOf(e.getMessage())));
        } catch (RuntimeException | StackOverflowError e) {
            return Json.write(Map.of("error", "internal error: " + e));
        }
    }

    @Override
    public void close() {
        try {
            in.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
