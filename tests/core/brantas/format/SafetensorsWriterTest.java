package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.format.Checkpoint.Load;
import brantas.format.SafetensorsWriter.Declared;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
    private static final List<Declared> TWO =
            List.of(
                    new Declared("odd \"name\" é", DType.F32, new long[] {3, 5}),
                    new Declared("empty", DType.I64, new long[] {0}),
                    new Declared("bits", DType.BF16, new long[] {7}));

    @TempDir Path folder;

    @Test
    void whatWasWrittenInBlocksIsReadBack() throws IOException {
        long seed = 20_251;
        Random random = new Random(seed);
        MemorySegment floats = MemorySegment.ofArray(new byte[60]);
        MemorySegment bits = MemorySegment.ofArray(new byte[14]);
        random.nextBytes((byte[]) floats.heapBase().orElseThrow());
        random.nextBytes((byte[]) bits.heapBase().orElseThrow());
        Path target = folder.resolve("out.safetensors");
        Files.writeString(target, "an older file");
        try (SafetensorsWriter writer = new SafetensorsWriter(target, TWO, Map.of("k", "v"))) {
            writer.append("bits", bits.asSlice(0, 4));
            for (int row = 0; row < 3; row++) {
                writer.append("odd \"name\" é", floats.asSlice(20L * row, 20));
            }
            writer.append("bits", bits.asSlice(4));
        }
        try (SafetensorsFile file = SafetensorsFile.open(target, Load.MAP, Progress.NONE)) {
            assertThat(file.names()).containsExactly("odd \"name\" é", "empty", "bits");
            HostTensor wide = file.tensor("odd \"name\" é");
            assertThat(wide.shape()).containsExactly(3, 5);
            assertThat(wide.data().mismatch(floats)).as("seed " + seed).isEqualTo(-1);
            assertThat(file.tensor("bits").data().mismatch(bits)).as("seed " + seed).isEqualTo(-1);
        }
        byte[] raw = Files.readAllBytes(target);
        long header = MemorySegment.ofArray(raw).get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
        assertThat((8 + header) % 64).isZero();
        assertThat(files()).containsExactly("out.safetensors");
    }

    @Test
    void incompleteFilesLeaveNothing() throws IOException {
        Path target = folder.resolve("out.safetensors");
        SafetensorsWriter writer = new SafetensorsWriter(target, TWO, Map.of());
        writer.append("bits", MemorySegment.ofArray(new byte[14]));
        assertThat(files()).hasSize(1);
        assertThatThrownBy(writer::close)
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll(target.toString(), "odd", "0 of 60 bytes");
        assertThat(files()).isEmpty();
        writer.close();
    }

    @Test
    void interruptedWritersKeepTheOlderFile() throws IOException {
        Path target = folder.resolve("out.safetensors");
        Files.writeString(target, "older");
        assertThatThrownBy(
                        () -> {
                            try (SafetensorsWriter writer =
                                    new SafetensorsWriter(target, TWO, Map.of())) {
                                writer.append("bits", MemorySegment.ofArray(new byte[16]));
                            }
                        })
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("16 bytes after 0");
        assertThat(Files.readString(target)).isEqualTo("older");
        assertThat(files()).containsExactly("out.safetensors");
    }

    @Test
    void undeclaredAndDoublyDeclaredTensorsAreErrors() throws IOException {
        Path target = folder.resolve("out.safetensors");
        Declared one = new Declared("a", DType.F32, new long[] {1});
        assertThatThrownBy(() -> new SafetensorsWriter(target, List.of(one, one), Map.of()).close())
                .isInstanceOf(IllegalArgumentException.class);
        SafetensorsWriter writer = new SafetensorsWriter(target, List.of(one), Map.of());
        assertThatThrownBy(() -> writer.append("b", MemorySegment.ofArray(new byte[4])))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(writer::close).isInstanceOf(BrantasException.class);
        assertThat(files()).isEmpty();
    }

    @Test
    void folderThatIsNotThereIsNamed() {
        Path target = folder.resolve("no/such/out.safetensors");
        assertThatThrownBy(() -> new SafetensorsWriter(target, TWO, Map.of()).close())
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("cannot write " + target);
    }

    private List<String> files() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(p -> p.getFileName().toString()).sorted().toList();
        }
    }
}
