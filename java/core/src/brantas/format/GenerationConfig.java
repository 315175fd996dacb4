package brantas.format;

import brantas.format.JsonFile.Section;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// Sampling defaults that came with a checkpoint, `generation_config.json` (specification §8.4).
/// Everything is optional, and absent values stay absent: what to do then is decided where requests
/// are built. Other keys of the file are not read.
///
/// @param doSample false asks for greedy decoding
/// @param temperature 0 or more
/// @param topK 0 or more, 0 means off
/// @param topP above 0, at most 1
/// @param minP 0 to 1
/// @param repetitionPenalty above 0, 1 means off
/// @param presencePenalty -2 to 2
/// @param frequencyPenalty -2 to 2
/// @param eosIds ids that end a sequence, perhaps none
public record GenerationConfig(
        Optional<Boolean> doSample,
        Optional<Double> temperature,
        Optional<Integer> topK,
        Optional<Double> topP,
        Optional<Double> minP,
        Optional<Double> repetitionPenalty,
        Optional<Double> presencePenalty,
        Optional<Double> frequencyPenalty,
        List<Integer> eosIds) {

    /// Copies the list.
    public GenerationConfig {
        eosIds = List.copyOf(eosIds);
    }

    /// Nothing stated.
    public static GenerationConfig empty() {
        return new GenerationConfig(
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of());
    }

    /// Reads `generation_config.json` in a checkpoint's folder; `empty` if there is none.
    ///
    /// @throws brantas.settings.BrantasException naming the file and the key
    public static GenerationConfig read(Path folder) {
        Path file = folder.resolve("generation_config.json");
        if (!Files.exists(file)) {
            return empty();
        }
        Section root = JsonFile.object(file);
        return new GenerationConfig(
                root.flag("do_sample"),
                root.number("temperature", 0, 100),
                root.whole("top_k", 0, ConfigReader.MAX_VOCABULARY),
                root.number("top_p", Double.MIN_VALUE, 1),
                root.number("min_p", 0, 1),
                root.number("repetition_penalty", 1e-3, 1e3),
                root.number("presence_penalty", -2, 2),
                root.number("frequency_penalty", -2, 2),
                root.numbers("eos_token_id"));
    }
}
