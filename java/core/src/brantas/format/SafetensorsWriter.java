package brantas.format;

import brantas.format.SafetensorsHeader.Entry;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Writes one safetensors file: all tensors are declared first, then their bytes are appended in
/// blocks, in any order of tensors, so that nothing has to be held in memory. The data goes to a
/// temporary file beside the target, which takes the target's place only when `close` finds every
/// tensor complete; otherwise nothing is left behind. For one thread.
public final class SafetensorsWriter implements AutoCloseable {
    private static final int ALIGNMENT = 64;
    private static final long BLOCK = 1 << 30;

    /// A tensor to come.
    ///
    /// @param name any text
    /// @param dtype element type
    /// @param shape sizes, outermost first
    public record Declared(String name, DType dtype, long[] shape) {}

    private final Path target;
    private final Path partial;
    private final FileChannel channel;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, Long> written = new HashMap<>();
    private final long start;
    private boolean failed;
    private boolean closed;

    /// Starts the file.
    ///
    /// @param target where it will be; an existing file is replaced at the end
    /// @param tensors what it will hold, in this order
    /// @param metadata texts for people and tools, may be empty
    /// @throws BrantasException if the folder cannot be written to
    /// @throws IllegalArgumentException if two tensors have one name
    public SafetensorsWriter(Path target, List<Declared> tensors, Map<String, String> metadata) {
        this.target = target;
        this.partial =
                target.resolveSibling(
                        target.getFileName()
                                + "."
                                + ProcessHandle.current().pid()
                                + "-"
                                + Long.toHexString(System.nanoTime())
                                + ".partial");
        layOut(tensors);
        ByteBuffer header = header(metadata);
        this.start = header.remaining();
        try {
            this.channel =
                    FileChannel.open(
                            partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw unwritable(e);
        }
        write(header, 0);
    }

    private void layOut(List<Declared> tensors) {
        long at = 0;
        for (Declared d : tensors) {
            long end = Math.addExact(at, HostTensor.elements(d.shape) * d.dtype.bytes());
            Entry e = new Entry(d.name, d.dtype.name(), d.shape.clone(), at, end);
            if (d.name.equals("__metadata__") || entries.put(d.name, e) != null) {
                throw new IllegalArgumentException("declared twice or reserved: " + d.name);
            }
            at = end;
        }
    }

    /// Length and JSON, padded with spaces so that the data starts aligned.
    private ByteBuffer header(Map<String, String> metadata) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectFieldStart("__metadata__");
                for (Map.Entry<String, String> e : metadata.entrySet()) {
                    json.writeStringField(e.getKey(), e.getValue());
                }
                json.writeEndObject();
            }
            for (Entry e : entries.values()) {
                json.writeObjectFieldStart(e.name());
                json.writeStringField("dtype", e.dtype());
                json.writeFieldName("shape");
                json.writeArray(e.shape(), 0, e.shape().length);
                json.writeFieldName("data_offsets");
                json.writeArray(new long[] {e.begin(), e.end()}, 0, 2);
                json.writeEndObject();
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new IllegalStateException("writing to memory", e);
        }
        int length = Math.ceilDiv(8 + bytes.size(), ALIGNMENT) * ALIGNMENT - 8;
        ByteBuffer header = ByteBuffer.allocate(8 + length).order(ByteOrder.LITTLE_ENDIAN);
        header.putLong(length).put(bytes.toByteArray());
        Arrays.fill(header.array(), header.position(), header.capacity(), (byte) ' ');
        return header.rewind();
    }

    /// Appends bytes to a declared tensor, usually some rows of it.
    ///
    /// @param rows little-endian elements, row-major
    /// @throws BrantasException if the disk is full or the file cannot be written
    /// @throws IllegalArgumentException if the tensor was not declared or would get too long
    public void append(String name, MemorySegment rows) {
        Entry e = entries.get(name);
        long before = written.getOrDefault(name, 0L);
        if (e == null || before + rows.byteSize() > e.end() - e.begin()) {
            failed = true;
            throw new IllegalArgumentException(
                    name + ": " + rows.byteSize() + " bytes after " + before + " for " + e);
        }
        for (long done = 0; done < rows.byteSize(); done += BLOCK) {
            long length = Math.min(BLOCK, rows.byteSize() - done);
            write(rows.asSlice(done, length).asByteBuffer(), start + e.begin() + before + done);
        }
        written.put(name, before + rows.byteSize());
    }

    private void write(ByteBuffer bytes, long position) {
        try {
            long at = position;
            while (bytes.hasRemaining()) {
                at += channel.write(bytes, at);
            }
        } catch (IOException e) {
            failed = true;
            throw unwritable(e);
        }
    }

    /// Completes the file, or removes what was written if a tensor is incomplete.
    ///
    /// @throws BrantasException if the file is not there afterwards
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        try (channel) {
            checkComplete();
            channel.force(true);
            channel.close();
            Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw unwritable(e);
        } finally {
            discard();
        }
    }

    private void checkComplete() {
        for (Entry e : entries.values()) {
            long bytes = written.getOrDefault(e.name(), 0L);
            if (failed || bytes != e.end() - e.begin()) {
                throw new BrantasException(
                        target
                                + " was not written: tensor "
                                + JsonFile.quote(e.name())
                                + " has "
                                + bytes
                                + " of "
                                + (e.end() - e.begin())
                                + " bytes; remove the cause of the interruption and start again.");
            }
        }
    }

    /// Removes the temporary file if it is still there: it is not after a successful `close`.
    private void discard() {
        try {
            Files.deleteIfExists(partial);
        } catch (IOException e) {
            throw unwritable(e);
        }
    }

    private BrantasException unwritable(IOException e) {
        return new BrantasException(
                "cannot write "
                        + target
                        + " ("
                        + e.getMessage()
                        + "); check free space and permissions of the folder.",
                e);
    }
}
