package brantas.format;

import brantas.format.Checkpoint.Load;
import brantas.format.SafetensorsHeader.Entry;
import brantas.format.TensorSource.TensorInfo;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.LongStream;

/// One safetensors file: its checked header and its data, mapped or read into native memory. Knows
/// nothing of models and takes any name and shape; which tensors a model needs is `WeightNames`.
///
/// Layout: 8 bytes little-endian header length, that many bytes of JSON, then the data.
public final class SafetensorsFile implements AutoCloseable {
    private static final long BLOCK = 32 << 20;
    private static final ValueLayout.OfLong LENGTH =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final SequencedMap<String, Entry> entries;
    private final MemorySegment data;

    private SafetensorsFile(
            Path path, FileChannel channel, Header header, Load load, Progress progress)
            throws IOException {
        this.path = path;
        this.entries = header.entries;
        boolean opened = false;
        try {
            data =
                    switch (load) {
                        case MAP -> mapped(channel, header, arena);
                        case READ -> read(channel, header, arena, path, progress);
                    };
            opened = true;
        } finally {
            if (!opened) {
                arena.close();
            }
        }
        progress.at(path.toString(), header.bytes, header.bytes);
    }

    /// What is known before any data is touched.
    ///
    /// @param entries the tensors
    /// @param start where the data begins in the file
    /// @param bytes size of the data
    private record Header(SequencedMap<String, Entry> entries, long start, long bytes) {
        static Header of(Path path, FileChannel channel) throws IOException {
            long size = channel.size();
            try (Arena brief = Arena.ofConfined()) {
                long start = dataStart(path, channel, size, brief);
                MemorySegment json =
                        channel.map(FileChannel.MapMode.READ_ONLY, 8, start - 8, brief);
                Bytes stream = new Bytes(json.asByteBuffer());
                long bytes = size - start;
                return new Header(SafetensorsHeader.read(path, stream, bytes), start, bytes);
            }
        }
    }

    /// Opens a file of any size.
    ///
    /// @param load how the data gets into memory
    /// @param progress told about bytes read; with `MAP` only when done
    /// @throws BrantasException naming the file and what is wrong with it
    public static SafetensorsFile open(Path path, Load load, Progress progress) {
        JsonFile.requireRegular(path);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return new SafetensorsFile(path, channel, Header.of(path, channel), load, progress);
        } catch (UncheckedIOException e) {
            throw JsonFile.unreadable(path, "the data", new IOException(e.getMessage(), e));
        } catch (IOException e) {
            throw JsonFile.unreadable(path, "the file", e);
        }
    }

    private static long dataStart(Path path, FileChannel channel, long size, Arena brief)
            throws IOException {
        if (size < 10) {
            throw new BrantasException(
                    path
                            + ": a safetensors file has at least 10 bytes, found "
                            + size
                            + "; fetch it again.");
        }
        long length = channel.map(FileChannel.MapMode.READ_ONLY, 0, 8, brief).get(LENGTH, 0);
        if (length < 2 || length > Math.min(size - 8, SafetensorsHeader.MAX_BYTES)) {
            throw new BrantasException(
                    path
                            + ": the length of the safetensors header must be from 2 to "
                            + Math.min(size - 8, SafetensorsHeader.MAX_BYTES)
                            + " here, found "
                            + Long.toUnsignedString(length)
                            + "; the file is truncated or of another format, fetch it again.");
        }
        return 8 + length;
    }

    private static MemorySegment mapped(FileChannel channel, Header header, Arena arena)
            throws IOException {
        return header.bytes == 0
                ? MemorySegment.NULL
                : channel.map(FileChannel.MapMode.READ_ONLY, header.start, header.bytes, arena);
    }

    private static MemorySegment read(
            FileChannel channel, Header header, Arena arena, Path path, Progress progress) {
        long start = header.start;
        long bytes = header.bytes;
        MemorySegment data = allocate(arena, bytes, path);
        long[] done = new long[1];
        LongStream.range(0, (bytes + BLOCK - 1) / BLOCK)
                .parallel()
                .forEach(block -> {
                    long from = block * BLOCK;
                    long length = Math.min(BLOCK, bytes - from);
                    fill(channel, data.asSlice(from, length).asByteBuffer(), start + from);
                    synchronized (done) {
                        done[0] += length;
                        if (done[0] < bytes) {
                            progress.at(path.toString(), done[0], bytes);
                        }
                    }
                });
        return data;
    }

    private static MemorySegment allocate(Arena arena, long bytes, Path path) {
        try {
            return arena.allocate(Math.max(1, bytes), 64).asSlice(0, bytes);
        } catch (OutOfMemoryError e) {
            throw new BrantasException(
                    path
                            + ": no native memory for "
                            + bytes
                            + " bytes of tensors; map the file instead of reading it.",
                    e);
        }
    }

    private static void fill(FileChannel channel, ByteBuffer target, long from) {
        try {
            long at = from;
            while (target.hasRemaining()) {
                int n = channel.read(target, at);
                if (n < 0) {
                    throw new IOException("the file became shorter while it was read");
                }
                at += n;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// The file.
    public Path path() {
        return path;
    }

    /// Bytes of all tensors.
    public long bytes() {
        return data.byteSize();
    }

    /// Names of the tensors in the order of the header.
    public Iterable<String> names() {
        return entries.sequencedKeySet();
    }

    /// Whether there is a tensor of that name.
    public boolean has(String name) {
        return entries.containsKey(name);
    }

    /// What is known of a tensor without touching its data.
    ///
    /// @throws BrantasException if there is none, or its element type is not supported
    public TensorInfo info(String name) {
        Entry e = entry(name);
        return new TensorInfo(name, dtype(e), e.shape().clone(), path, e.end() - e.begin());
    }

    /// The tensor of that name; its memory belongs to this file.
    ///
    /// @throws BrantasException if there is none, or its element type is not supported
    public HostTensor tensor(String name) {
        Entry e = entry(name);
        return new HostTensor(
                name, dtype(e), e.shape().clone(), data.asSlice(e.begin(), e.end() - e.begin()));
    }

    @Override
    public void close() {
        arena.close();
    }

    private Entry entry(String name) {
        return Optional.ofNullable(entries.get(name))
                .orElseThrow(() ->
                        new BrantasException(
                                path
                                        + ": there is no tensor "
                                        + JsonFile.quote(name)
                                        + "; the file belongs to another model."));
    }

    private DType dtype(Entry e) {
        for (DType dtype : DType.values()) {
            if (dtype.name().equals(e.dtype())) {
                return dtype;
            }
        }
        throw new BrantasException(
                path
                        + ": tensor "
                        + JsonFile.quote(e.name())
                        + " is stored as "
                        + e.dtype()
                        + ", but quantised checkpoints are not supported in this version; use one"
                        + " in bf16, f16 or f32.");
    }

    /// A buffer as a stream, so that a header is decoded straight from the mapping.
    private static final class Bytes extends InputStream {
        private final ByteBuffer buffer;

        Bytes(ByteBuffer buffer) {
            this.buffer = buffer;
        }

        @Override
        public int read() {
            return buffer.hasRemaining() ? buffer.get() & 0xff : -1;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            if (!buffer.hasRemaining()) {
                return length == 0 ? 0 : -1;
            }
            int n = Math.min(length, buffer.remaining());
            buffer.get(target, offset, n);
            return n;
        }
    }
}
