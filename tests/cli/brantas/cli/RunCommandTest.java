package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// One answer, in text and as JSON, and a conversation through a pipe; all with the demo model.
class RunCommandTest {
    private static final String[] GREEDY = {"run", "--temperature", "0", "--max-tokens", "40"};

    private static Door run(String... more) {
        String[] all = Arrays.copyOf(GREEDY, GREEDY.length + more.length);
        System.arraycopy(more, 0, all, GREEDY.length, more.length);
        return Door.run(all).fine();
    }

    private static Map<String, @Nullable Object> json(String... more) {
        String[] all = Arrays.copyOf(more, more.length + 1);
        all[more.length] = "--json";
        return run(all).objects().getFirst();
    }

    @Test
    void jsonHasEveryField() {
        Map<String, @Nullable Object> result = json("--mode", "fast", "--seed", "7", "Hello!");
        assertThat(result)
                .containsOnlyKeys(
                        "text",
                        "content",
                        "reasoning",
                        "tool_calls",
                        "finish_reason",
                        "usage",
                        "model",
                        "backend",
                        "seed");
        assertThat(result).containsEntry("seed", 7L).containsEntry("model", "demo-model");
        assertThat(Json.object("usage", result.get("usage")))
                .containsKeys("prompt_tokens", "completion_tokens", "reasoning_tokens")
                .containsKeys("total_tokens", "first_token_seconds", "decode_tokens_per_second");
    }

    @Test
    void aPipeGetsTheAnswerOnly() {
        Map<String, @Nullable Object> result = json("--mode", "thinking", "What is 12 + 30?");
        String content = String.valueOf(result.get("content"));
        Door text = run("--mode", "thinking", "What is 12 + 30?");
        assertThat(text.out()).isEqualTo(content + "\n").doesNotContain("\u001b");
        Door all = run("--mode", "thinking", "--show-reasoning", "What is 12 + 30?");
        assertThat(all.out()).startsWith("<think>\n").contains("</think>").endsWith(text.out());
    }

    @Test
    void standardInputIsAPromptToo() {
        Door given = run("Hello!");
        String[] args = {"run", "--temperature", "0", "--max-tokens", "40", "-"};
        assertThat(Door.feed("Hello!", args).fine().out()).isEqualTo(given.out());
        Door.feed(new byte[] {(byte) 0xff}, args).refused("Standard input", "UTF-8");
    }

    @Test
    void seedsRepeatAndStopsStop() {
        String[] args = {"run", "--mode", "fast", "--raw", "--max-tokens", "12", "--seed", "5"};
        String[] all = Arrays.copyOf(args, 10);
        all[8] = "--temperature=1.5";
        all[9] = "Once";
        assertThat(Door.run(all).fine().out()).isEqualTo(Door.run(all).fine().out());
        String full = String.valueOf(json("--mode", "fast", "Hello!").get("content"));
        String stop = full.substring(full.length() / 2, full.length() / 2 + 2);
        Map<String, @Nullable Object> cut = json("--mode", "fast", "--stop", stop, "Hello!");
        assertThat(cut.get("content")).isEqualTo(full.substring(0, full.indexOf(stop)));
        assertThat(cut).containsEntry("finish_reason", "stop");
    }

    @Test
    void chatThroughAPipe() {
        String input =
                "Hello!\n/help\n/nonsense\n/mode fast\n/system Be brief.\n/clear\nHello!\n/quit\nnever\n";
        Door door = Door.feed(input, "chat", "--temperature", "0", "--max-tokens", "20").fine();
        assertThat(door.out()).contains("/clear").doesNotContain("\u001b").doesNotContain("tok/s");
        assertThat(door.err()).contains("/nonsense");
        assertThat(Door.feed("", "chat").fine().out()).isEmpty();
    }

    @Test
    void aTerminalObeysOnlyUs() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream out = Streams.utf8(bytes);
        Streams terminal = new Streams(InputStream.nullInputStream(), out, out, "io");
        terminal.print("a\u001b[2Jb\u009bc\n\t\u00e9");
        terminal.dim("d\u0007");
        assertThat(bytes.toString(StandardCharsets.UTF_8))
                .isEqualTo("a\ufffd[2Jb\ufffdc\n\t\u00e9\u001b[2md\ufffd\u001b[0m");
    }
}
