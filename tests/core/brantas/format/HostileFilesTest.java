package brantas.format;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.format.Checkpoint.Load;
import brantas.settings.BrantasException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Thousands of damaged files: each opens or is refused with a `BrantasException`, quickly. Nothing
/// else may come out, whatever the damage.
@Timeout(600)
class HostileFilesTest {
    private static final long SEED = 73_021;
    private static final int ROUNDS = 2_500;
    // Processor time, so that a busy machine does not matter; a hang meets the timeout.
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final List<String> NUMBERS =
            List.of("-1", "0", "1e999", "9223372036854775807", "1.5", "18446744073709551616", "[]");

    @TempDir Path folder;

    private final Random random = new Random(SEED);
    private int refused;

    @BeforeEach
    void writeGoodFiles() throws IOException {
        ObjectNode config = TinyCheckpoint.withExperts(TinyCheckpoint.config());
        TinyCheckpoint.write(folder, config);
    }

    @Test
    void damagedHeaders() throws IOException {
        attack("model.safetensors", true);
    }

    @Test
    void damagedConfigurations() throws IOException {
        attack("config.json", false);
    }

    @Test
    void damagedIndexes() throws IOException {
        Path single = folder.resolve("model.safetensors");
        Files.move(single, folder.resolve("a.safetensors"));
        ObjectNode index = TinyCheckpoint.JSON.createObjectNode();
        ObjectNode map = index.putObject("weight_map");
        try (SafetensorsFile file =
                SafetensorsFile.open(folder.resolve("a.safetensors"), Load.MAP, Progress.NONE)) {
            file.names().forEach(name -> map.put(name, "a.safetensors"));
        }
        Files.writeString(folder.resolve("model.safetensors.index.json"), index.toString());
        attack("model.safetensors.index.json", false);
    }

    private void attack(String name, boolean framed) throws IOException {
        Path file = folder.resolve(name);
        byte[] good = Files.readAllBytes(file);
        open(file, -1);
        assertThat(refused).as("the undamaged file").isZero();
        int reach = framed ? headerEnd(good) : good.length;
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long start = threads.getCurrentThreadCpuTime();
        for (int round = 0; round < ROUNDS; round++) {
            Files.write(file, damaged(good, reach));
            open(file, round);
        }
        assertThat(Duration.ofNanos(threads.getCurrentThreadCpuTime() - start)).isLessThan(LIMIT);
        assertThat(refused).as("most damage is noticed").isGreaterThan(ROUNDS / 4);
    }

    private void open(Path file, int round) {
        Load load = round % 2 == 0 ? Load.MAP : Load.READ;
        try (Checkpoint checkpoint = Checkpoint.open(folder, load, Progress.NONE)) {
            assertThat(checkpoint.tensors()).isNotEmpty();
        } catch (BrantasException e) {
            refused++;
            assertThat(e.getMessage()).as(where(file, round)).doesNotContain("\n").endsWith(".");
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            throw new AssertionError(where(file, round), e);
        }
    }

    private static String where(Path file, int round) {
        return file.getFileName() + ", seed " + SEED + ", round " + round;
    }

    private static int headerEnd(byte[] file) {
        return 8 + (file[0] & 0xff) + ((file[1] & 0xff) << 8) + ((file[2] & 0xff) << 16);
    }

    private byte[] damaged(byte[] good, int reach) {
        return switch (random.nextInt(6)) {
            case 0 -> flipped(good, reach, 1);
            case 1 -> flipped(good, reach, 1 + random.nextInt(20));
            case 2 -> Arrays.copyOf(good, random.nextInt(good.length));
            case 3 -> spliced(good, reach);
            case 4 -> renumbered(good, reach);
            default -> flipped(good, Math.min(reach, 12), 1);
        };
    }

    private byte[] flipped(byte[] good, int reach, int times) {
        byte[] bad = good.clone();
        for (int i = 0; i < times; i++) {
            bad[random.nextInt(reach)] ^= (byte) (1 << random.nextInt(8));
        }
        return bad;
    }

    /// Copies a stretch over another place.
    private byte[] spliced(byte[] good, int reach) {
        byte[] bad = good.clone();
        int length = 1 + random.nextInt(Math.min(200, reach - 1));
        int from = random.nextInt(reach - length);
        System.arraycopy(good, from, bad, random.nextInt(reach - length), length);
        return bad;
    }

    /// Replaces one number by a stranger one; where spaces follow, the length stays.
    private byte[] renumbered(byte[] good, int reach) {
        String text = new String(good, StandardCharsets.ISO_8859_1);
        int at = random.nextInt(reach);
        while (at < reach && !Character.isDigit(text.charAt(at))) {
            at++;
        }
        int end = at;
        while (end < reach && Character.isDigit(text.charAt(end))) {
            end++;
        }
        String number = NUMBERS.get(random.nextInt(NUMBERS.size()));
        return (text.substring(0, at) + number + text.substring(end))
                .getBytes(StandardCharsets.ISO_8859_1);
    }
}
