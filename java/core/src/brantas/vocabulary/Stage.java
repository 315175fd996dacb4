package brantas.vocabulary;

import brantas.settings.BrantasException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/// One entry of the `normalizer`, `pre_tokenizer`, `post_processor` or `decoder` of a
/// `tokenizer.json`, as written; a `Sequence` holds others. Only the fields that change ids or text
/// are kept. What a stage means, and whether it is supported, is decided by its reader.
///
/// @param type the stage's type name, empty if it names none
/// @param regex the pattern of a `Split`, empty if it has none or is not a regular expression
/// @param behavior what a `Split` does with matches, and `, inverted` if it swaps them with the
///   gaps
/// @param prefixSpace whether a space is put before the text
/// @param useRegex whether a `ByteLevel` cuts by a pattern of its own
/// @param parts the stages of a `Sequence`
record Stage(
        String type,
        String regex,
        String behavior,
        boolean prefixSpace,
        boolean useRegex,
        List<Stage> parts) {

    private static final int DEPTH_LIMIT = 4;
    private static final int PART_LIMIT = 16;

    /// The stages at hand in order, a `Sequence` replaced by its parts; none if the value is null.
    static List<Stage> read(StrictJson json) throws IOException {
        if (json.isNull()) {
            return List.of();
        }
        List<Stage> flat = new ArrayList<>();
        read(json, 0).flatten(flat, json);
        return flat;
    }

    private void flatten(List<Stage> flat, StrictJson json) {
        if (!type.equals("Sequence")) {
            flat.add(this);
        }
        for (Stage part : parts) {
            if (flat.size() >= PART_LIMIT) {
                throw json.wrong("there are more than " + PART_LIMIT + " stages");
            }
            part.flatten(flat, json);
        }
    }

    private static Stage read(StrictJson json, int depth) throws IOException {
        if (depth > DEPTH_LIMIT) {
            throw json.wrong("sequences lie more than " + DEPTH_LIMIT + " deep");
        }
        Draft draft = new Draft();
        json.object(key -> {
            switch (key) {
                case "type" -> draft.type = json.text();
                case "pattern" -> draft.regex = regex(json);
                case "behavior" -> draft.behavior = json.text();
                case "invert" -> draft.invert = json.flag();
                case "add_prefix_space" -> draft.prefixSpace = json.flag();
                case "use_regex" -> draft.useRegex = json.flag();
                case "normalizers", "pretokenizers", "processors", "decoders" ->
                        draft.readParts(json, depth);
                default -> json.skip();
            }
        });
        return draft.stage();
    }

    private static String regex(StrictJson json) throws IOException {
        StringBuilder regex = new StringBuilder();
        json.object(key -> {
            if (!key.equals("Regex")) {
                throw unsupported(json, "pattern", key);
            }
            regex.append(json.text());
        });
        return regex.toString();
    }

    /// The complaint that `what` is `found`, which this tokenizer cannot do.
    static BrantasException unsupported(StrictJson json, String what, String found) {
        return json.wrong(
                "the " + what + " is " + StrictJson.quote(found) + ", which is not supported");
    }

    /// Collects the fields, which come in any order; the defaults are those of the file format.
    private static final class Draft {
        private String type = "";
        private String regex = "";
        private String behavior = "";
        private boolean invert;
        private boolean prefixSpace = true;
        private boolean useRegex = true;
        private final List<Stage> parts = new ArrayList<>();

        private void readParts(StrictJson json, int depth) throws IOException {
            json.array(() -> {
                if (parts.size() >= PART_LIMIT) {
                    throw json.wrong("there are more than " + PART_LIMIT + " stages");
                }
                parts.add(Stage.read(json, depth + 1));
            });
        }

        private Stage stage() {
            String does = invert ? behavior + ", inverted" : behavior;
            return new Stage(type, regex, does, prefixSpace, useRegex, List.copyOf(parts));
        }
    }
}
