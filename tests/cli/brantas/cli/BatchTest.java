package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.Reply;
import brantas.Request;
import brantas.Usage;
import brantas.settings.BrantasException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The batch without a model behind it: order, going on after a kill at any byte, bad lines, and
/// thousands of damaged lines.
class BatchTest {
    private static final String GOOD =
            "{\"custom_id\": \"%s\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\","
                    + " \"body\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\","
                    + " \"content\": \"Hello\"}], \"temperature\": 0, \"max_tokens\": 5,"
                    + " \"stop\": [\"x\"], \"seed\": 1, \"tools\": [{\"type\": \"function\","
                    + " \"function\": {\"name\": \"f\", \"parameters\": {}}}],"
                    + " \"chat_template_kwargs\": {\"enable_thinking\": false}}}";

    @TempDir Path folder;

    private static Reply reply(String content) {
        Map<String, @Nullable Object> arguments = new LinkedHashMap<>();
        arguments.put("q", "caf\u00e9 \ud83d\ude00");
        arguments.put("n", 3L);
        return new Reply(
                content,
                content,
                Optional.of("hm"),
                List.of(new Reply.ToolCall("f", arguments)),
                "tool_calls",
                new Usage(3, 2, 1, 0.1, 0.2, 1));
    }

    /// Runs a batch over files and tells how many requests were answered.
    private int batch(Path in, Path out, Function<Request, Reply> answerer) {
        AtomicInteger asked = new AtomicInteger();
        try (BatchOutput output = BatchOutput.open(out, false);
                JsonLines input = JsonLines.of(in)) {
            int kept = output.resume(input);
            BatchRun run =
                    new BatchRun(
                            request -> {
                                asked.incrementAndGet();
                                return answerer.apply(request);
                            },
                            "m",
                            4,
                            0);
            run.run(input, kept, output, done -> {});
        }
        return asked.get();
    }

    private Path input(int lines) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < lines; i++) {
            text.append(String.format(GOOD, "id-" + i)).append(i % 5 == 4 ? "\n\n" : "\n");
        }
        return Door.write(folder, "in.jsonl", text.toString());
    }

    private static List<Object> ids(Path out) throws IOException {
        return Files.readAllLines(out).stream().map(l -> Door.object(l).get("custom_id")).toList();
    }

    @Test
    void resultsComeInOrderWhoeverIsFirst() throws IOException {
        Path out = folder.resolve("out.jsonl");
        SplittableRandom random = new SplittableRandom(1);
        int asked =
                batch(
                        input(60),
                        out,
                        request -> {
                            try {
                                int pause;
                                synchronized (random) {
                                    pause = random.nextInt(5);
                                }
                                Thread.sleep(pause);
                            } catch (InterruptedException e) {
                                throw new IllegalStateException(e);
                            }
                            return reply("hi");
                        });
        assertThat(asked).isEqualTo(60);
        List<Object> ids = ids(out);
        for (int i = 0; i < 60; i++) {
            assertThat(ids.get(i)).isEqualTo("id-" + i);
        }
    }

    @Test
    void goesOnAfterAKillAtAnyByte() throws IOException {
        Path in = input(6);
        Path out = folder.resolve("out.jsonl");
        batch(in, out, r -> reply("hi"));
        byte[] whole = Files.readAllBytes(out);
        List<Object> expected = ids(out);
        for (int cut = 0; cut <= whole.length; cut += cut % 7 + 1) {
            byte[] torn = Arrays.copyOf(whole, cut);
            Files.write(out, torn);
            long complete =
                    new String(torn, StandardCharsets.UTF_8).chars().filter(c -> c == '\n').count();
            int asked = batch(in, out, r -> reply("hi"));
            assertThat(asked).as("cut at %s", cut).isEqualTo(6 - (int) complete);
            assertThat(ids(out)).as("cut at %s", cut).isEqualTo(expected);
        }
    }

    @Test
    void refusesToGoOnWithSomethingElse() throws IOException {
        Path in = input(3);
        Path out = folder.resolve("out.jsonl");
        Files.writeString(out, "{\"custom_id\": \"other\"}\n");
        assertThatThrownBy(() -> batch(in, out, r -> reply("hi")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll("out.jsonl", "other", "id-0", "--fresh");
        Files.writeString(out, "nonsense\n");
        assertThatThrownBy(() -> batch(in, out, r -> reply("hi")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContainingAll("line 1", "--fresh");
        Files.writeString(out, "{\"custom_id\": \"id-0\"}\n".repeat(1));
        Path empty = Door.write(folder, "empty.jsonl", "");
        assertThatThrownBy(() -> batch(empty, out, r -> reply("hi")))
                .isInstanceOf(BrantasException.class)
                .hasMessageContaining("more results");
        assertThat(Files.readString(out)).isEqualTo("{\"custom_id\": \"id-0\"}\n");
    }

    @Test
    void twoWritersOfOneFileAreRefused() {
        Path out = folder.resolve("out.jsonl");
        try (BatchOutput first = BatchOutput.open(out, false)) {
            assertThat(first.ok()).isZero();
            assertThatThrownBy(() -> BatchOutput.open(out, false))
                    .isInstanceOf(BrantasException.class)
                    .hasMessageContaining("another batch");
        }
    }

    @Test
    void resultHasTheShapeOfTheApi() {
        BatchRun run = new BatchRun(r -> reply(""), "pebble", 1, 0);
        String line = String.format(GOOD, "a");
        Map<String, @Nullable Object> result = run.answer(3, line.getBytes(StandardCharsets.UTF_8));
        assertThat(result).containsEntry("custom_id", "a").containsEntry("error", null);
        Map<String, @Nullable Object> response = Json.object("r", result.get("response"));
        assertThat(response).containsEntry("status_code", 200).containsKey("request_id");
        Map<String, @Nullable Object> body = Json.object("b", response.get("body"));
        assertThat(body)
                .containsEntry("object", "chat.completion")
                .containsEntry("model", "pebble")
                .containsKeys("id", "created", "usage");
        Map<String, @Nullable Object> choice =
                Json.objects("choices", body.get("choices")).getFirst();
        assertThat(choice).containsEntry("index", 0).containsEntry("finish_reason", "tool_calls");
        Map<String, @Nullable Object> message = Json.object("m", choice.get("message"));
        assertThat(message)
                .containsEntry("role", "assistant")
                .containsEntry("content", null)
                .containsEntry("reasoning_content", "hm");
        Map<String, @Nullable Object> call =
                Json.objects("calls", message.get("tool_calls")).getFirst();
        Map<String, @Nullable Object> function = Json.object("f", call.get("function"));
        assertThat(Door.object(String.valueOf(function.get("arguments"))))
                .containsEntry("q", "caf\u00e9 \ud83d\ude00")
                .containsEntry("n", 3L);
    }

    @Test
    void failuresOfOneLineStayInIt() throws IOException {
        Path out = folder.resolve("out.jsonl");
        AtomicInteger n = new AtomicInteger();
        batch(
                input(3),
                out,
                r -> {
                    if (n.getAndIncrement() == 1) {
                        throw new IllegalStateException("boom");
                    }
                    return reply("hi");
                });
        assertThat(ids(out)).containsExactly("id-0", "id-1", "id-2");
        assertThat(Files.readString(out)).containsOnlyOnce("internal_error");
    }

    @Test
    void damagedLinesGetAnErrorOrAnAnswer() {
        long seed = 20_261_101;
        SplittableRandom random = new SplittableRandom(seed);
        BatchRun run = new BatchRun(r -> reply("hi"), "m", 1, 0);
        byte[] good = String.format(GOOD, "id").getBytes(StandardCharsets.UTF_8);
        int errors = 0;
        for (int i = 0; i < 2_000; i++) {
            byte[] line = damage(good, random);
            String shown = new String(line, StandardCharsets.ISO_8859_1);
            Map<String, @Nullable Object> result = run.answer(i, line);
            assertThat(result).as("seed %s: %s", seed, shown).containsKeys("id", "custom_id");
            Object error = result.get("error");
            if (error == null) {
                assertThat(result.get("response")).as("seed %s: %s", seed, shown).isNotNull();
            } else {
                errors++;
                assertThat(Json.object("error", error))
                        .as("seed %s: %s", seed, shown)
                        .containsEntry("code", "invalid_request");
            }
            assertThat(Door.object(Json.write(result))).containsKey("id");
        }
        assertThat(errors).isBetween(500, 1_999);
    }

    private static byte[] damage(byte[] good, SplittableRandom random) {
        byte[] line = good.clone();
        String[] swaps = {"null", "[]", "{}", "1e999", "-0", "\"\\ud800\"", "99999999999999999999"};
        for (int k = random.nextInt(3); k >= 0; k--) {
            int at = random.nextInt(line.length);
            switch (random.nextInt(4)) {
                case 0 -> line[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> line = Arrays.copyOf(line, at + 1);
                case 2 -> line[at] = (byte) "{}[]\",:0 \\".charAt(random.nextInt(10));
                default -> {
                    String text = new String(line, StandardCharsets.ISO_8859_1);
                    int colon = text.indexOf(": ", at);
                    int comma = text.indexOf(",", Math.max(colon, 0));
                    String swap = swaps[random.nextInt(swaps.length)];
                    if (colon > 0 && comma > colon) {
                        text = text.substring(0, colon + 2) + swap + text.substring(comma);
                    }
                    line = text.getBytes(StandardCharsets.ISO_8859_1);
                }
            }
        }
        return line;
    }
}
