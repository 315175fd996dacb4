package brantas.format;

import brantas.settings.BrantasException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// JSON from files that nobody vouches for: strict UTF-8, bounded depth, numbers and names, no
/// duplicate keys, and errors as one sentence that names the file. Small files become a `Section`;
/// large ones (headers, the shard index) are read through `parser` token by token, so that hostile
/// input cannot make a tree out of them.
final class JsonFile {
    /// Configuration files are kilobytes; beyond this a tree would take more than 64 MB of heap.
    private static final int TREE_LIMIT = 2 << 20;

    private static final int QUOTE_LIMIT = 120;

    // Canonical names are off: that symbol table fails with an unchecked exception on collisions.
    private static final JsonFactory FACTORY =
            new JsonFactoryBuilder()
                    .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                    .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                    .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
                    .streamReadConstraints(
                            StreamReadConstraints.builder()
                                    .maxNestingDepth(32)
                                    .maxNumberLength(40)
                                    .maxNameLength(4_096)
                                    .maxStringLength(1 << 20)
                                    .build())
                    .build();

    private static final ObjectMapper TREES =
            new ObjectMapper(
                    FACTORY.rebuild().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build());

    private JsonFile() {}

    /// A token stream over UTF-8 bytes; malformed UTF-8 is an `IOException`.
    static JsonParser parser(InputStream in) throws IOException {
        Reader reader = new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
        return FACTORY.createParser(reader);
    }

    /// The one JSON object that a small file holds.
    static Section object(Path file) {
        requireRegular(file);
        try {
            long size = Files.size(file);
            if (size > TREE_LIMIT) {
                throw new BrantasException(
                        file
                                + ": a configuration file may have "
                                + TREE_LIMIT
                                + " bytes, found "
                                + size
                                + "; this is not one.");
            }
            try (InputStream in = Files.newInputStream(file);
                    JsonParser parser = TREES.getFactory().createParser(strict(in))) {
                JsonNode root = TREES.readTree(parser);
                if (root == null || !root.isObject()) {
                    throw new BrantasException(
                            file
                                    + ": expected one JSON object, found "
                                    + (root == null ? "an empty file" : quote(root))
                                    + "; fetch the file again.");
                }
                if (parser.nextToken() != null) {
                    throw new BrantasException(
                            file
                                    + ": expected the end of the file after the JSON object, found"
                                    + " more; fetch the file again.");
                }
                return new Section(file, "", root);
            }
        } catch (IOException e) {
            throw unreadable(file, "the file", e);
        }
    }

    /// Refuses pipes, devices and folders, which could block or never end.
    static void requireRegular(Path file) {
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new BrantasException(
                    file + " is not a regular file; give the folder of a finished download.");
        }
    }

    private static Reader strict(InputStream in) {
        return new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
    }

    /// The sentence for a failed read of `part` of a file.
    static BrantasException unreadable(Path file, String part, IOException e) {
        String sentence =
                switch (e) {
                    case NoSuchFileException _ ->
                            file + " does not exist; check the folder or finish the download.";
                    case JsonProcessingException json ->
                            file
                                    + ": "
                                    + part
                                    + " is not valid JSON ("
                                    + plain(json.getOriginalMessage())
                                    + "); fetch the file again.";
                    case CharacterCodingException _ ->
                            file + ": " + part + " is not valid UTF-8; fetch the file again.";
                    default ->
                            file
                                    + ": cannot read "
                                    + part
                                    + " ("
                                    + plain(String.valueOf(e.getMessage()))
                                    + "); check the file and its permissions.";
                };
        return new BrantasException(sentence, e);
    }

    /// Text from a file as a message may show it: in quotes, on one line, not too long.
    static String quote(String text) {
        return '"' + plain(text) + '"';
    }

    private static String quote(JsonNode node) {
        return switch (node.getNodeType()) {
            case STRING -> quote(node.textValue());
            case OBJECT -> "an object";
            case ARRAY -> plain(node.toString());
            default -> plain(node.asText());
        };
    }

    private static String plain(String text) {
        String head = text.length() > QUOTE_LIMIT ? text.substring(0, QUOTE_LIMIT) + "…" : text;
        StringBuilder out = new StringBuilder(head.length());
        head.codePoints()
                .forEach(c -> {
                    boolean control =
                            Character.isISOControl(c)
                                    || Character.getType(c) == Character.SURROGATE;
                    out.appendCodePoint(control ? '?' : c);
                });
        return out.toString();
    }

    /// One JSON object inside a file, with reads that know the type they want. A key whose value is
    /// null counts as absent.
    ///
    /// @param file for messages
    /// @param path keys from the root with a dot after each, empty for the root
    /// @param node the object
    record Section(Path file, String path, JsonNode node) {
        boolean has(String key) {
            return node.hasNonNull(key);
        }

        Optional<Section> section(String key) {
            return value(key, JsonNode::isObject, "an object")
                    .map(v -> new Section(file, path + key + ".", v));
        }

        /// A required whole number from 1 to `max`.
        int count(String key, int max) {
            return whole(key, 1, max).orElseThrow(() -> missing(key));
        }

        Optional<Integer> whole(String key, int min, int max) {
            return value(
                            key,
                            v -> v.isInt() && v.intValue() >= min && v.intValue() <= max,
                            "a whole number from " + min + " to " + max)
                    .map(JsonNode::intValue);
        }

        /// A required finite number above 0.
        double positive(String key) {
            return value(key, v -> finite(v) && v.doubleValue() > 0, "a number above 0")
                    .map(JsonNode::doubleValue)
                    .orElseThrow(() -> missing(key));
        }

        /// An optional number from `min` to `max`, both included.
        Optional<Double> number(String key, double min, double max) {
            return value(
                            key,
                            v -> finite(v) && v.doubleValue() >= min && v.doubleValue() <= max,
                            "a number from " + min + " to " + max)
                    .map(JsonNode::doubleValue);
        }

        Optional<Boolean> flag(String key) {
            return value(key, JsonNode::isBoolean, "true or false").map(JsonNode::booleanValue);
        }

        Optional<String> text(String key) {
            return value(key, JsonNode::isTextual, "a text").map(JsonNode::textValue);
        }

        Optional<List<String>> texts(String key) {
            return value(key, v -> v.isArray() && all(v, true), "a list of texts")
                    .map(list -> {
                        List<String> out = new ArrayList<>();
                        list.forEach(v -> out.add(v.textValue()));
                        return List.copyOf(out);
                    });
        }

        /// One whole number or a list of them, none below 0; empty when absent.
        List<Integer> numbers(String key) {
            List<Integer> out = new ArrayList<>();
            value(
                            key,
                            v -> (v.isInt() && v.intValue() >= 0) || (v.isArray() && all(v, false)),
                            "a whole number of at least 0 or a list of them")
                    .ifPresent(v -> {
                        if (v.isInt()) {
                            out.add(v.intValue());
                        }
                        v.forEach(n -> out.add(n.intValue()));
                    });
            return List.copyOf(out);
        }

        /// The sentence for a key that a checkpoint of this family must have.
        BrantasException missing(String key) {
            return new BrantasException(
                    file
                            + ": the key "
                            + path
                            + key
                            + " is missing and has no safe default; use the file that came with"
                            + " the weights.");
        }

        /// The sentence for a value that cannot be used.
        BrantasException wrong(String key, String expected) {
            @Nullable JsonNode found = node.get(key);
            return new BrantasException(
                    file
                            + ": "
                            + path
                            + key
                            + " must be "
                            + expected
                            + ", found "
                            + (found == null ? "nothing" : quote(found))
                            + "; use the file that came with the weights.");
        }

        /// The sentence for a value that is valid elsewhere but not implemented here.
        BrantasException unsupported(String key, String supported) {
            @Nullable JsonNode found = node.get(key);
            return new BrantasException(
                    file
                            + ": "
                            + path
                            + key
                            + " = "
                            + (found == null ? "nothing" : quote(found))
                            + " is not supported in this version, which runs "
                            + supported
                            + "; choose another checkpoint.");
        }

        private static boolean finite(JsonNode v) {
            return v.isNumber() && Double.isFinite(v.doubleValue());
        }

        private static boolean all(JsonNode list, boolean textual) {
            for (JsonNode v : list) {
                if (textual ? !v.isTextual() : !v.isInt() || v.intValue() < 0) {
                    return false;
                }
            }
            return true;
        }

        private Optional<JsonNode> value(String key, Predicate<JsonNode> valid, String expected) {
            @Nullable JsonNode v = node.get(key);
            if (v == null || v.isNull()) {
                return Optional.empty();
            }
            if (!valid.test(v)) {
                throw wrong(key, expected);
            }
            return Optional.of(v);
        }
    }
}
