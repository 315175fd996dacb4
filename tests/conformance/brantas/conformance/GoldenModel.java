package brantas.conformance;

import brantas.format.Checkpoint;
import brantas.format.Checkpoint.Load;
import brantas.format.Progress;
import brantas.format.SafetensorsFile;
import brantas.tensor.HostTensor;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// A small random model with what the reference implementation computed for it: prompts, logits,
/// greedy continuations.
record GoldenModel(Path folder, List<Case> cases) {
    /// One prompt.
    ///
    /// @param first position of the first stored row of logits
    /// @param noise the reference's own spread between two ways of evaluating
    /// @param greedy continuation, perhaps empty
    /// @param gap logit distance between best and second best at each step of it
    record Case(
            String name,
            int[] ids,
            int first,
            double noise,
            int[] greedy,
            double[] gap,
            float[] logits,
            int vocabulary) {
        float logit(int position, int id) {
            return logits[(position - first) * vocabulary + id];
        }

        /// Largest absolute logit.
        double largest() {
            double m = 0;
            for (float v : logits) {
                m = Math.max(m, Math.abs(v));
            }
            return m;
        }

        @Override
        public String toString() {
            return name;
        }
    }

    static Path golden() {
        return Path.of(System.getProperty("brantas.golden"));
    }

    /// A model of `golden/text`; its results may be those of another folder.
    static GoldenModel of(String model, String results) {
        Path text = golden().resolve("text");
        return new GoldenModel(text.resolve(model), cases(text.resolve(results)));
    }

    Checkpoint open() {
        return Checkpoint.open(folder, Load.MAP, Progress.NONE);
    }

    private static List<Case> cases(Path folder) {
        List<Case> cases = new ArrayList<>();
        try (SafetensorsFile expected =
                SafetensorsFile.open(
                        folder.resolve("expected.safetensors"), Load.MAP, Progress.NONE)) {
            JsonNode all =
                    new JsonMapper().readTree(folder.resolve("cases.json").toFile()).get("cases");
            for (JsonNode c : all) {
                String name = c.get("name").asText();
                HostTensor logits = expected.tensor(name + ".logits");
                cases.add(
                        new Case(
                                name,
                                ints(c.get("ids")),
                                c.get("first_position").asInt(),
                                c.path("noise").asDouble(0),
                                ints(c.path("greedy")),
                                doubles(c.path("gap")),
                                logits.toFloats(),
                                logits.dim(1)));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return cases;
    }

    private static int[] ints(JsonNode list) {
        int[] out = new int[list.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = list.get(i).asInt();
        }
        return out;
    }

    private static double[] doubles(JsonNode list) {
        double[] out = new double[list.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = list.get(i).asDouble();
        }
        return out;
    }
}
