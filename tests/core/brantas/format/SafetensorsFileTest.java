package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.format.Checkpoint.Load;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// One file: good ones of every kind, and one case per way in which a header can be wrong.
class SafetensorsFileTest {
    private static final long ALLOWANCE = 64L << 20;

    @TempDir Path folder;

    private Path write(String header, int dataBytes) throws IOException {
        return write(header.getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    private Path write(byte[] header, int dataBytes) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(header.length).put(header);
        for (int i = 0; i < dataBytes; i++) {
            bytes.put((byte) i);
        }
        return Files.write(folder.resolve("x.safetensors"), bytes.array());
    }

    private static void refused(Path file, String... words) {
        for (Load load : Load.values()) {
            assertThatThrownBy(() -> SafetensorsFile.open(file, load, Progress.NONE).close())
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContaining(file.toString())
                    .hasMessageContainingAll(words)
                    .hasMessageEndingWith(".")
                    .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(800));
        }
    }

    @ParameterizedTest
    @EnumSource
    void allPartsAreFound(Load load) throws IOException {
        Path path =
                write(
                        """
                        {"__metadata__": {"format": "pt"},
                         "b": {"dtype": "F32", "shape": [], "data_offsets": [8, 12]},
                         "none": {"dtype": "BF16", "shape": [3, 0], "data_offsets": [8, 8]},
                         "a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
                         "q": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [12, 13]}}\
                             \
                        """,
                        13);
        try (SafetensorsFile file = SafetensorsFile.open(path, load, Progress.NONE)) {
            assertThat(file.names()).containsExactly("b", "none", "a", "q");
            assertThat(file.bytes()).isEqualTo(13);
            HostTensor a = file.tensor("a");
            assertThat(a.dtype()).isEqualTo(DType.BF16);
            assertThat(a.shape()).containsExactly(2, 2);
            assertThat(a.at(1)).isEqualTo(Float.intBitsToFloat(0x03020000));
            assertThat(file.tensor("b").at(0)).isEqualTo(Float.intBitsToFloat(0x0b0a0908));
            assertThat(file.tensor("none").elements()).isZero();
            assertThat(file.info("a").bytes()).isEqualTo(8);
            assertThatThrownBy(() -> file.tensor("q"))
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContainingAll(path.toString(), "\"q\"", "F8_E4M3", "quantised");
            assertThatThrownBy(() -> file.tensor("z"))
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContainingAll(path.toString(), "no tensor \"z\"");
        }
    }

    @Test
    void fileWithoutTensorsIsAFile() throws IOException {
        try (SafetensorsFile file =
                SafetensorsFile.open(write("{}", 0), Load.READ, Progress.NONE)) {
            assertThat(file.names()).isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,4]} | \"a\" | 8 bytes | 4 bytes",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,16]} | \"a\" | within the 8 bytes | [0, 16]",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]} | \"a\" | in order | [8, 0]",
                "'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]} | \"a\" | from 0 | -2",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[-1,8]} | \"a\" | from 0 | -1",
                "'a':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]} | \"a\" | whole numbers | 2.0",
                "'a':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,8]} | \"a\" | 2^63 | 9999",
                "'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,8]} | \"a\" | 2^60 | 4294967296",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0]} | \"a\" | two data_offsets | 1 data_offsets",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,4,8]} | \"a\" | two data_offsets | 3",
                "'a':{'dtype':'F32','shape':[2]} | \"a\" | data_offsets | fewer",
                "'a':{'dtype':'F33','shape':[2],'data_offsets':[0,8]} | \"a\" | dtype | F33",
                "'a':{'dtype':7,'shape':[2],'data_offsets':[0,8]} | \"a\" | dtype | something else",
                "'a':{'dtype':'F32','shape':2,'data_offsets':[0,8]} | \"a\" | shape | something else",
                "'a':{'dtype':'F32','shape':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],'data_offsets':[0,8]} | \"a\" | at most 16 | more",
                "'a':{'dtype':'F32','shape':[2],'shape':[2],'data_offsets':[0,8]} | \"a\" | once | shape",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8],'x':1} | \"a\" | dtype | \"x\"",
                "'a':{'dtype':'F4','shape':[3],'data_offsets':[0,8]} | \"a\" | whole number | 8 bytes",
                "'a':[1] | \"a\" | an object | something else",
                "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'a':{'dtype':'F32','shape':[0],'data_offsets':[8,8]} | \"a\" | twice | header",
                "'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'b':{'dtype':'F32','shape':[2],'data_offsets':[0,8]} | \"b\" | start at 4 | 0 (an overlap)",
                "'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'b':{'dtype':'I8','shape':[2],'data_offsets':[6,8]} | \"b\" | start at 4 | 6 (a hole)",
                "'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]} | expected 4 bytes | found 8 | fetch",
                "'__metadata__':{'a':1} | __metadata__ | texts | fetch",
                "'__metadata__':[] | __metadata__ | object | fetch",
                "'__metadata__':{},'__metadata__':{} | __metadata__ | twice | fetch",
            })
    void faultyEntriesAreNamed(String members, String a, String b, String c) throws IOException {
        refused(write('{' + members.replace('\'', '"') + '}', 8), a, b, c);
    }

    @Test
    void faultyFramesAreNamed() throws IOException {
        refused(Files.write(folder.resolve("a.safetensors"), new byte[0]), "10 bytes, found 0");
        refused(Files.write(folder.resolve("b.safetensors"), new byte[9]), "10 bytes, found 9");
        byte[] bytes = new byte[100];
        ByteBuffer frame = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (long length : new long[] {0, 1, 93, Integer.MAX_VALUE, Long.MAX_VALUE, -1}) {
            frame.putLong(0, length);
            refused(
                    Files.write(folder.resolve("c.safetensors"), bytes),
                    "from 2 to 92",
                    "found " + Long.toUnsignedString(length));
        }
        refused(folder.resolve("absent.safetensors"), "does not exist");
        refused(folder, "not a regular file");
    }

    @Test
    void headersThatAreNoJsonObjectAreNamed() throws IOException {
        for (String header : List.of("[]", "  ", "{\"a\"", "nonsense", "{}{}", "{} x", "12")) {
            refused(write(header, 0), "header");
        }
        refused(write("[".repeat(1_000_000), 0), "header");
        refused(write("{\"a\":".repeat(100_000), 0), "\"a\"");
        refused(write("{\"__metadata__\":{\"a\":" + "[".repeat(100_000), 0), "__metadata__");
        refused(write("{\"" + "n".repeat(100_000) + "\":1}", 0), "header");
        refused(write(new byte[] {'{', '"', (byte) 0xc3, '"', ':', '1', '}'}, 0), "UTF-8");
    }

    @Test
    void controlCharactersDoNotReachTheMessage() throws IOException {
        Path file = write("{\"a\\n\\u001b[31m\":1}", 0);
        assertThatThrownBy(() -> SafetensorsFile.open(file, Load.MAP, Progress.NONE).close())
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("\"a??[31m\"")
                .hasMessageNotContaining("\n");
    }

    @Test
    void headersBeyondTheLimitAreRefusedUnread() throws IOException {
        Path path = folder.resolve("long.safetensors");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(frame(100_000_001));
            file.setLength(200_000_000);
        }
        refused(path, "2 to 100000000", "found 100000001");
    }

    @Test
    void memoryIsBoundedByTheFile() throws IOException {
        StringBuilder header = new StringBuilder("{\"first\":");
        String entry = "{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}";
        header.append(entry);
        for (int i = 0; i < 121_000; i++) {
            header.append(",\"").append(Integer.toString(i, 36)).append("\":").append(entry);
        }
        Path file = write(header.append('}').toString(), 0);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        assertThatThrownBy(() -> SafetensorsFile.open(file, Load.MAP, Progress.NONE).close())
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("120000 tensors");
        assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                .isLessThan(ALLOWANCE + Files.size(file));
    }

    @Test
    void filesAboveTwoGigabytesAreMapped() throws IOException {
        long elements = 1_500_000_000L;
        Path path = folder.resolve("large.safetensors");
        String header =
                "{\"w\":{\"dtype\":\"BF16\",\"shape\":["
                        + elements
                        + "],\"data_offsets\":[0,"
                        + 2 * elements
                        + "]}}";
        try (RandomAccessFile raw = new RandomAccessFile(path.toFile(), "rw")) {
            raw.write(frame(header.length()));
            raw.write(header.getBytes(StandardCharsets.UTF_8));
            raw.setLength(8 + header.length() + 2 * elements);
            raw.seek(raw.length() - 2);
            raw.write(new byte[] {(byte) 0x80, 0x3f});
        }
        try (SafetensorsFile file = SafetensorsFile.open(path, Load.MAP, Progress.NONE)) {
            assertThat(file.tensor("w").at(elements - 1)).isEqualTo(1f);
            assertThat(file.tensor("w").at(elements - 2)).isZero();
        } finally {
            Files.delete(path);
        }
    }

    @Test
    void readingReportsEveryBlockOnce() throws IOException {
        int bytes = 70_000_000;
        Path path =
                write(
                        "{\"w\":{\"dtype\":\"I8\",\"shape\":[70000000],\"data_offsets\":[0,70000000]}}",
                        bytes);
        List<Long> seen = new ArrayList<>();
        try (SafetensorsFile file =
                SafetensorsFile.open(
                        path,
                        Load.READ,
                        (what, done, total) -> {
                            assertThat(what).isEqualTo(path.toString());
                            assertThat(total).isEqualTo(bytes);
                            seen.add(done);
                        })) {
            assertThat(file.bytes()).isEqualTo(bytes);
        }
        assertThat(seen).isSorted().doesNotHaveDuplicates().hasSize(3);
        assertThat(seen.getLast()).isEqualTo(bytes);
    }

    private static byte[] frame(long length) {
        return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
    }
}
