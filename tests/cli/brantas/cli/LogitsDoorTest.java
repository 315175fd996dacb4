package brantas.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The logits door against the golden models: both backends, every way of giving and cutting
/// tokens.
class LogitsDoorTest {
    @TempDir Path folder;

    private record Case(String name, List<Object> ids, int first, double noise) {
        static Case of(String model, String name) {
            Path file = Door.golden("text/" + model + "/cases.json");
            Map<String, @Nullable Object> all = Door.object(Json.file(file));
            return Json.objects("cases", all.get("cases")).stream()
                    .filter(c -> name.equals(c.get("name")))
                    .map(c ->
                            new Case(
                                    name,
                                    Json.list("ids", c.get("ids")),
                                    Json.small("first", c.get("first_position")),
                                    c.get("noise") == null
                                            ? 0
                                            : Json.number("noise", c.get("noise"))))
                    .findFirst()
                    .orElseThrow();
        }

        String text(String between) {
            return ids.stream().map(String::valueOf).collect(Collectors.joining(between));
        }
    }

    private Tensors logits(String model, String... args) throws IOException {
        Path out = folder.resolve("out.safetensors");
        String[] fixed = {
            "logits", "--model", Door.golden("text/" + model).toString(), "--out", out.toString()
        };
        String[] all = Arrays.copyOf(fixed, fixed.length + args.length);
        System.arraycopy(args, 0, all, fixed.length, args.length);
        assertThat(Door.run(all).fine().out()).isEmpty();
        return new Tensors(out);
    }

    private static void compare(String model, Case c, float[] found, double fixed, double relative)
            throws IOException {
        float[] expected =
                new Tensors(Door.golden("text/" + model + "/expected.safetensors"))
                        .floats(c.name() + ".logits");
        int vocabulary = found.length / c.ids().size();
        int begin = c.first() * vocabulary;
        assertThat(found.length - begin).isEqualTo(expected.length);
        double largest = 0;
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
            worst = Math.max(worst, Math.abs((double) expected[i] - found[begin + i]));
        }
        double allowed = Math.max(fixed + relative * largest, 2 * c.noise());
        assertThat(worst).as("%s %s", model, c.name()).isLessThanOrEqualTo(allowed);
    }

    @ParameterizedTest
    @CsvSource({
        "dense-tied, plain, 1e-4, 2e-5",
        "dense-r3, plain, 1e-4, 2e-5",
        "moe, plain, 1e-4, 2e-5",
        "moe-per-expert-sharded, plain, 1e-4, 2e-5",
        "yarn, plain, 1e-4, 2e-5",
        "dense-tied, simd, 5e-4, 1e-4",
        "dense-r3, simd, 5e-4, 1e-4",
        "moe, simd, 5e-4, 1e-4",
        "yarn, simd, 5e-4, 1e-4",
    })
    void oneSequence(String model, String backend, double fixed, double relative)
            throws IOException {
        String results = model.equals("moe-per-expert-sharded") ? "moe" : model;
        Case c = Case.of(results, "prompt3");
        Tensors t = logits(model, "--backend", backend, "--tokens", c.text(","));
        assertThat(t.names()).containsExactlyInAnyOrder("input_ids", "logits");
        assertThat(t.shape("logits")).containsExactly(3L, 512L);
        compare(results, c, t.floats("logits"), fixed, relative);
    }

    @ParameterizedTest
    @CsvSource({"''", "7", "'1,2'", "1*"})
    void everySplit(String split) throws IOException {
        Case c = Case.of("dense-r3", "prompt3");
        Tensors t = logits("dense-r3", "--tokens", c.text(" "), "--split", split);
        compare("dense-r3", c, t.floats("logits"), 5e-4, 1e-4);
    }

    @Test
    void fileOfSequences() throws IOException {
        List<Case> cases =
                List.of(
                        Case.of("moe", "prompt1"),
                        Case.of("moe", "prompt3"),
                        Case.of("moe", "prompt2"));
        Path file =
                Door.write(
                        folder,
                        "ids.txt",
                        cases.get(0).text(" ")
                                + "\n\n"
                                + cases.get(1).text(", ")
                                + "\r\n"
                                + cases.get(2).text("\t"));
        Tensors t = logits("moe", "--tokens-file", file.toString());
        for (int k = 0; k < 3; k++) {
            assertThat(t.names()).contains("input_ids." + k);
            compare("moe", cases.get(k), t.floats("logits." + k), 5e-4, 1e-4);
        }
    }

    @Test
    void taps() throws IOException {
        Tensors t = logits("dense-r3", "--tokens", "1,2", "--taps");
        assertThat(t.names())
                .contains("hidden.0", "hidden.1", "hidden.2", "hidden.3")
                .doesNotContain("hidden.4");
        assertThat(t.shape("hidden.3")).containsExactly(2L, 128L);
    }

    @Test
    void promptAndMessagesOfTheDemoModel() throws IOException {
        Path out = folder.resolve("p.safetensors");
        Door.run("logits", "--prompt", "<|im_end|>Hello", "--out", out.toString()).fine();
        int ids = Door.run("tokenize", "<|im_end|>Hello").fine().out().split(" ", -1).length;
        assertThat(new Tensors(out).shape("input_ids")).containsExactly((long) ids);
        String message = "{\"role\": \"user\", \"content\": \"Hi\"}";
        Path list = Door.write(folder, "list.json", "[" + message + "]");
        Path object = Door.write(folder, "object.json", "{\"messages\": [" + message + "]}");
        Path other = folder.resolve("m.safetensors");
        String[] args = {"logits", "--messages", list.toString(), "--out", out.toString()};
        Door.run(args).fine();
        Door.run("logits", "--messages", object.toString(), "--out", other.toString()).fine();
        assertThat(Files.mismatch(out, other)).isEqualTo(-1);
    }

    @Test
    void refusals() {
        String out = folder.resolve("x.safetensors").toString();
        String model = Door.golden("text/moe").toString();
        String[] start = {"logits", "--model", model, "--out", out};
        Door.run(with(start, "--tokens", "1,x")).refused("--tokens", "'x'");
        Door.run(with(start, "--tokens", "1,512")).refused("512");
        Door.run(with(start, "--tokens", "-1")).refused("-1");
        Door.run(with(start, "--tokens", "")).refused("empty");
        Door.run(with(start, "--tokens", "1", "--split", "0")).refused("--split", "0");
        Door.run(with(start, "--tokens", "1", "--split", "a")).refused("--split", "'a'");
        Door.run(with(start, "--tokens", "1", "--backend", "gpu")).refused("gpu");
        Door.run(with(start, "--tokens", "1", "--prompt", "x")).refused("--tokens");
        Door.run(start).refused("--tokens");
        Path bad = Door.write(folder, "bad.txt", "1 2\n\n3 4.5\n");
        Door.run(with(start, "--tokens-file", bad.toString())).refused("bad.txt", "line 3", "4.5");
        Path empty = Door.write(folder, "none.txt", "\n \n");
        Door.run(with(start, "--tokens-file", empty.toString())).refused("none.txt");
        Door.run("logits", "--out", out, "--messages", bad.toString()).refused("bad.txt");
        Door.run(with(start, "--tokens-file", "/no/such/file")).refused("/no/such/file");
        assertThat(Files.exists(Path.of(out))).isFalse();
    }

    private static String[] with(String[] start, String... more) {
        String[] all = Arrays.copyOf(start, start.length + more.length);
        System.arraycopy(more, 0, all, start.length, more.length);
        return all;
    }
}
