package brantas.cli;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// The result file of a batch: append-only and in input order, so that a killed run can go on after
/// its last complete line. A line is written in one piece; a torn one at the end is cut off.
final class BatchOutput implements AutoCloseable {
    private final Path file;
    private final FileChannel channel;
    private int ok;
    private int errors;

    private BatchOutput(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /// Opens or creates the file.
    ///
    /// @param fresh whether what is there is thrown away
    static BatchOutput open(Path file, boolean fresh) {
        try {
            FileChannel channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE,
                            StandardOpenOption.CREATE);
            try {
                lock(file, channel);
                if (fresh) {
                    channel.truncate(0);
                }
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
            return new BatchOutput(file, channel);
        } catch (IOException e) {
            throw new BrantasException(
                    file + " cannot be written: check that its folder exists and may be written.",
                    e);
        }
    }

    /// Compares the lines that are there with the input's first ones and cuts off a torn end.
    ///
    /// @param input is left behind the last line that has its result
    /// @return results kept
    /// @throws BrantasException if a result belongs to another input
    int resume(JsonLines input) {
        try (JsonLines results = JsonLines.of(file)) {
            int kept = 0;
            long end = 0;
            byte[] line = results.next();
            while (line != null && results.complete()) {
                keep(++kept, line, input);
                end = results.consumed();
                line = results.next();
            }
            channel.truncate(end);
            channel.position(end);
            return kept;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Adds a result.
    void append(Map<String, @Nullable Object> result) {
        count(result);
        ByteBuffer bytes =
                ByteBuffer.wrap((Json.write(result) + "\n").getBytes(StandardCharsets.UTF_8));
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (IOException e) {
            throw new BrantasException(file + " cannot be written: " + e.getMessage() + ".", e);
        }
    }

    /// Results that are answers.
    int ok() {
        return ok;
    }

    /// Results that are errors.
    int errors() {
        return errors;
    }

    private void keep(int number, byte[] line, JsonLines input) {
        String remedy = ": start over with --fresh, or name another --out.";
        Map<String, @Nullable Object> result;
        try {
            result = JsonLines.parse(line);
        } catch (BrantasException e) {
            throw new BrantasException(
                    file + " has a line " + number + " that is no result" + remedy, e);
        }
        byte[] asked = nextFilled(input);
        if (asked == null) {
            throw new BrantasException(
                    file + " has more results than the input has lines" + remedy);
        }
        Object expected = customId(asked);
        Object found = result.get("custom_id");
        if (!Objects.equals(expected, found)) {
            throw new BrantasException(
                    file
                            + " answers custom_id "
                            + Json.kind(found)
                            + " in line "
                            + number
                            + " where the input asks "
                            + Json.kind(expected)
                            + remedy);
        }
        count(result);
    }

    private void count(Map<String, @Nullable Object> result) {
        if (result.get("error") == null) {
            ok++;
        } else {
            errors++;
        }
    }

    /// The next line with something in it, or null.
    static byte @Nullable [] nextFilled(JsonLines input) {
        byte[] line = input.next();
        while (line != null && JsonLines.blank(line)) {
            line = input.next();
        }
        return line;
    }

    /// What names a line of the input; null where it has no name.
    static @Nullable String customId(byte[] line) {
        try {
            return JsonLines.parse(line).get("custom_id") instanceof String id ? id : null;
        } catch (BrantasException e) {
            return null;
        }
    }

    private static void lock(Path file, FileChannel channel) throws IOException {
        try {
            if (channel.tryLock() != null) {
                return;
            }
        } catch (OverlappingFileLockException e) {
            throw inUse(file, e);
        }
        throw inUse(file, null);
    }

    private static BrantasException inUse(Path file, @Nullable Exception cause) {
        String message =
                file + " is being written by another batch: wait for it, or name another --out.";
        return cause == null ? new BrantasException(message) : new BrantasException(message, cause);
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
