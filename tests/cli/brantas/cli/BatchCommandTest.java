package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The batch command with the demo model: bad lines among good ones, going on, starting over.
class BatchCommandTest {
    private static final String LINE =
            "{\"custom_id\": \"%s\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\","
                    + " \"body\": {\"messages\": [{\"role\": \"user\", \"content\": \"Hello %s\"}],"
                    + " \"temperature\": 0}}\n";

    @TempDir Path folder;

    private Door batch(Path in, Path out, String... more) {
        String[] args = {
            "batch", "--in", in.toString(), "--out", out.toString(), "--max-tokens", "6"
        };
        String[] all = Arrays.copyOf(args, args.length + more.length);
        System.arraycopy(more, 0, all, args.length, more.length);
        return Door.run(all);
    }

    private Path input() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 10; i++) {
            text.append(String.format(LINE, "id-" + i, i));
        }
        text.append("{\"custom_id\": \"id-1\"}\n\nnonsense\n").append("{\"body\": 1}\n");
        text.append(String.format(LINE, "last", "!").replace("POST", "GET"));
        return Door.write(folder, "in.jsonl", text.toString());
    }

    @Test
    void badLinesAmongGoodOnes() throws IOException {
        Path out = folder.resolve("out.jsonl");
        Door door = batch(input(), out, "--concurrency", "3").fine();
        assertThat(door.out()).isEmpty();
        assertThat(door.err())
                .endsWith(
                        "brantas: 10 ok, 4 errors, 1 with a custom_id that an earlier line has.\n");
        List<Map<String, @Nullable Object>> results =
                Files.readAllLines(out).stream().map(Door::object).toList();
        assertThat(results).hasSize(14);
        assertThat(results.subList(0, 10))
                .allSatisfy(r -> assertThat(r).containsEntry("error", null));
        assertThat(results.subList(10, 14))
                .allSatisfy(r -> assertThat(r).containsEntry("response", null));
        assertThat(results.get(10)).containsEntry("custom_id", "id-1");
        assertThat(results.get(11)).containsEntry("custom_id", null);
    }

    @Test
    void goesOnAndStartsOver() throws IOException {
        Path in = input();
        Path out = folder.resolve("out.jsonl");
        batch(in, out).fine();
        List<String> whole = Files.readAllLines(out);
        byte[] bytes = Files.readAllBytes(out);
        Files.write(out, Arrays.copyOf(bytes, bytes.length / 2));
        Door door = batch(in, out, "--concurrency", "1").fine();
        assertThat(door.err()).contains("10 ok, 4 errors", "of them from before");
        assertThat(Files.readAllLines(out).stream().map(BatchCommandTest::content).toList())
                .isEqualTo(whole.stream().map(BatchCommandTest::content).toList());
        assertThat(batch(in, out).fine().err()).contains("14 of them from before");
        Files.writeString(out, "{\"custom_id\": \"x\"}\n");
        batch(in, out).refused("out.jsonl", "--fresh");
        assertThat(batch(in, out, "--fresh").fine().err()).contains("10 ok, 4 errors");
        batch(in, in).refused("--in", "--out");
    }

    private static String content(String line) {
        return line.replaceAll("\"created\":\\d+", "");
    }
}
