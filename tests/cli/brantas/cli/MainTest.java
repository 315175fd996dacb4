package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Dispatch, help, and the promise about failures: one line that names the thing, the right status,
/// a stack trace only on demand.
class MainTest {
    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"", "--help", "-h", "help"})
    void overviewNamesEveryCommand(String argument) {
        Door door = argument.isEmpty() ? Door.run() : Door.run(argument);
        assertThat(door.fine().out())
                .contains("chat", "run", "batch", "inspect", "tokenize", "detokenize")
                .contains("render", "logits", "bench", "predict", "doctor");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "chat",
                "run",
                "batch",
                "inspect",
                "tokenize",
                "detokenize",
                "render",
                "logits",
                "bench",
                "predict",
                "doctor"
            })
    void everyCommandHasHelp(String command) {
        assertThat(Door.run(command, "--help").fine().out())
                .startsWith("Usage: brantas " + command)
                .contains("--debug");
    }

    static Stream<String> refusals() {
        return Stream.of(
                "frob|frob",
                "run --bogus x|--bogus",
                "run|prompt",
                "run a b|b",
                "run --model /no/such x|/no/such",
                "run --mode slow x|slow|--mode",
                "run --temperature hot x|hot|--temperature",
                "run --temperature -1 x|temperature|-1",
                "run --top-p 2 x|top_p|2",
                "run --top-p 0 x|top_p",
                "run --min-p 3 x|min_p",
                "run --repetition-penalty 0 x|repetition_penalty",
                "run --presence-penalty -3 x|presence_penalty|-3",
                "run --max-tokens 0 x|max_tokens|0",
                "run --backend gpu x|gpu",
                "run --threads -1 x|threads|-1",
                "run --load fast x|fast|--load",
                "run --context 1 x|context",
                "run --system s --raw x|--system",
                "run --raw --max-tokens 1 |prompt",
                "inspect --size 10T|10T",
                "inspect --size 9B --model x|--size",
                "inspect --model /no/such|/no/such",
                "tokenize|--jsonl",
                "tokenize --jsonl x|--jsonl",
                "detokenize 1 x|x",
                "detokenize --stream 1|--stream",
                "detokenize 99999999|99999999",
                "render|--jsonl",
                "render --template /no/such --jsonl|/no/such",
                "batch|--in",
                "batch --in /no/such --out x|/no/such",
                "batch --in x --out y --concurrency 0|--concurrency",
                "bench --generate 1|--generate",
                "bench --random 10T|10T",
                "predict --model 9B|--gpu",
                "predict --gpu h100|--model",
                "predict --model 10T --gpu h100|10T|35B-A3B",
                "predict --model 9B --gpu h900|h900|h100",
                "predict --model 9B --gpu h100 --context 0|--context|0",
                "predict --model 9B --gpu h100 --batch -3|--batch|-3",
                "predict --model 9B --gpu h100 --prompt 0|--prompt",
                "predict --model 9B --gpu h100 --chunk 9999999|--chunk",
                "chat --threads x|x|--threads");
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void refusal(String line) {
        String[] parts = line.split("\\|", -1);
        Door.run(parts[0].split(" ", -1)).refused(Arrays.copyOfRange(parts, 1, parts.length));
    }

    @Test
    void brokenModelsAreNamed() {
        Door.run("run", "--model", folder.toString(), "x").refused(folder.toString());
        Path config = Door.write(folder, "config.json", "{\"architectures\": [\"Nope\"]}");
        Door.run("inspect", "--model", folder.toString()).refused(config.getFileName().toString());
        Path template = Door.write(folder, "t.jinja", "{% if %}\n{{");
        Door.run("render", "--template", template.toString(), "--jsonl").refused("t.jinja");
    }

    @Test
    void debugShowsWhereWhereverItStands() {
        assertThat(Door.run("--debug", "run", "--model", "/no/such", "x").err())
                .contains("BrantasException", "\tat ");
        assertThat(Door.run("run", "x", "--model", "/no/such", "--debug").err()).contains("\tat ");
        assertThat(Door.run("run", "--model", "/no/such", "--", "--debug").err())
                .doesNotContain("\tat ");
    }

    @Test
    void aDefectIsOneLineAndStatus70() {
        InputStream broken =
                new InputStream() {
                    @Override
                    public int read() throws IOException {
                        throw new IOException("cable\nout");
                    }

                    @Override
                    public int read(byte[] bytes, int from, int count) throws IOException {
                        throw new IOException("cable\nout");
                    }
                };
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        String[] args = {"run", "-"};
        int status = Main.run(args, broken, Streams.utf8(out), Streams.utf8(err));
        assertThat(status).isEqualTo(Main.DEFECT);
        assertThat(err.toString(StandardCharsets.UTF_8))
                .startsWith("brantas: internal error: ")
                .contains("cable out")
                .hasLineCount(1);
    }

    @Test
    void doctorAndInspectAsJson() {
        assertThat(Door.run("doctor", "--json").objects().getFirst())
                .containsKeys("java", "backend", "cores", "memory_bytes", "gpu_driver", "ok");
        assertThat(Door.run("inspect", "--json").fine().objects().getFirst())
                .containsKeys("architecture", "parameters", "bytes_per_type", "memory");
        String size = Door.run("inspect", "--json", "--size", "9B").fine().out();
        assertThat(Door.object(size)).containsEntry("layers", 32L);
        assertThat(Door.run("inspect").fine().out()).contains("architecture", "kv_bytes_per_token");
        assertThat(Door.run("doctor").out()).contains("java", "backend");
    }

    @Test
    void benchPrintsEveryFigure() {
        String[] args = {
            "bench", "--prompt-tokens", "8", "--generate", "3", "--repeat", "1", "--json"
        };
        assertThat(Door.run(args).fine().objects().getFirst())
                .containsKeys("prefill_tokens_per_second", "decode_tokens_per_second_min")
                .containsKeys("time_to_first_token_ms_max", "load_seconds", "peak_rss_bytes")
                .containsKeys("read_bandwidth_gb_s", "decode_bandwidth_fraction", "gemm_gflops")
                .containsKeys("prefill_gemm_fraction", "backend", "threads");
    }
}
