package brantas.vocabulary;

import brantas.settings.BrantasException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/// A JSON file read once from front to back, where every value must have the type asked for. It
/// keeps nothing it has read, so a file's size does not matter; each complaint names the file and
/// the place in it. Not a tree and not a binding.
final class StrictJson {
    /// Larger files are refused before they are opened.
    static final long SIZE_LIMIT = 1L << 28;

    private static final int KEY_LIMIT = 4096;
    private static final JsonFactory FACTORY = factory();

    private final Path file;
    private final JsonParser json;

    private StrictJson(Path file, JsonParser json) {
        this.file = file;
        this.json = json;
    }

    /// What to do with one value.
    @FunctionalInterface
    interface Value {
        /// The current token is the value's first.
        void read() throws IOException;
    }

    /// What to do with the value of one key of an object.
    @FunctionalInterface
    interface Field {
        /// The current token is the value's first.
        void read(String key) throws IOException;
    }

    /// What to do with a file.
    @FunctionalInterface
    interface Document {
        /// The current token is the document's first.
        void read(StrictJson json) throws IOException;
    }

    /// Hands the one value of `file` to `document`.
    static void read(Path file, Document document) {
        try {
            long size = Files.size(file);
            if (size > SIZE_LIMIT) {
                throw new BrantasException(
                        file
                                + " has "
                                + size
                                + " bytes where at most "
                                + SIZE_LIMIT
                                + " are expected; download it again.");
            }
            var decoder = StandardCharsets.UTF_8.newDecoder();
            try (var reader = new InputStreamReader(Files.newInputStream(file), decoder);
                    JsonParser parser = FACTORY.createParser(reader)) {
                StrictJson json = new StrictJson(file, parser);
                parser.nextToken();
                document.read(json);
                if (parser.nextToken() != null) {
                    throw json.wrong("something follows the end of the document");
                }
            }
        } catch (NoSuchFileException e) {
            throw new BrantasException(
                    file + " does not exist; download the whole model folder.", e);
        } catch (CharacterCodingException e) {
            throw new BrantasException(file + " is not valid UTF-8; download it again.", e);
        } catch (JsonProcessingException e) {
            throw new BrantasException(
                    file + " is not valid JSON" + place(e) + "; get it again.", e);
        } catch (IOException e) {
            throw new BrantasException(
                    file
                            + " cannot be read ("
                            + quote(String.valueOf(e.getMessage()))
                            + "); check the file and its permissions.",
                    e);
        }
    }

    /// Reads the object at hand; keys must differ.
    void object(Field field) throws IOException {
        expect(JsonToken.START_OBJECT, "an object");
        Set<String> seen = new HashSet<>();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = json.currentName();
            if (!seen.add(key)) {
                throw wrong("the key appears twice");
            }
            if (seen.size() > KEY_LIMIT) {
                throw wrong("the object has more than " + KEY_LIMIT + " keys");
            }
            json.nextToken();
            field.read(key);
        }
    }

    /// Reads the object at hand without limit and without comparing its keys.
    void wideObject(Field field) throws IOException {
        expect(JsonToken.START_OBJECT, "an object");
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = json.currentName();
            json.nextToken();
            field.read(key);
        }
    }

    /// Reads the array at hand.
    void array(Value value) throws IOException {
        expect(JsonToken.START_ARRAY, "an array");
        while (json.nextToken() != JsonToken.END_ARRAY) {
            value.read();
        }
    }

    /// Moves to the next token within an array and demands that it ends there.
    void endArray() throws IOException {
        if (json.nextToken() != JsonToken.END_ARRAY) {
            throw wrong("the array is longer than expected");
        }
    }

    /// Moves to the next element of an array entered by [#isArray].
    void next() throws IOException {
        json.nextToken();
    }

    boolean isArray() {
        return json.currentToken() == JsonToken.START_ARRAY;
    }

    boolean isNull() {
        return json.currentToken() == JsonToken.VALUE_NULL;
    }

    String text() throws IOException {
        expect(JsonToken.VALUE_STRING, "a string");
        return json.getText();
    }

    boolean flag() throws IOException {
        JsonToken token = json.currentToken();
        if (token != JsonToken.VALUE_TRUE && token != JsonToken.VALUE_FALSE) {
            expect(JsonToken.VALUE_TRUE, "true or false");
        }
        return token == JsonToken.VALUE_TRUE;
    }

    /// A whole number from 0 to below `limit`.
    int index(int limit) throws IOException {
        expect(JsonToken.VALUE_NUMBER_INT, "a whole number");
        String digits = json.getText();
        int value = index(digits, limit);
        if (value < 0) {
            throw wrong(quote(digits) + " is not a number from 0 to " + (limit - 1));
        }
        return value;
    }

    /// The number that `digits` writes without sign, or -1 if it is none below `limit`.
    static int index(String digits, int limit) {
        if (digits.isEmpty() || digits.length() > 9) {
            return -1;
        }
        int value = 0;
        for (int i = 0; i < digits.length(); i++) {
            char c = digits.charAt(i);
            if (c < '0' || c > '9') {
                return -1;
            }
            value = 10 * value + (c - '0');
        }
        return value < limit ? value : -1;
    }

    /// Passes over the value at hand, however deep.
    void skip() throws IOException {
        json.skipChildren();
    }

    /// The complaint about the value at hand, naming file and key.
    BrantasException wrong(String what) {
        String key = quote(json.getParsingContext().pathAsPointer().toString());
        return new BrantasException(
                file + ": at " + key + " " + what + "; download the file again.");
    }

    /// A value as it may appear in a message: short, in quotes, without control characters.
    static String quote(String value) {
        StringBuilder shown = new StringBuilder("'");
        value.codePoints()
                .limit(60)
                .map(c -> Character.isISOControl(c) || Character.getType(c) == 0 ? '?' : c)
                .forEach(shown::appendCodePoint);
        return shown.append(value.length() > 60 ? "…'" : "'").toString();
    }

    private void expect(JsonToken wanted, String name) {
        JsonToken token = json.currentToken();
        if (token != wanted) {
            String found = token == null ? "nothing" : named(token);
            throw wrong("there is " + found + " where " + name + " is expected");
        }
    }

    private static String named(JsonToken token) {
        return switch (token) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "an array";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT -> "a whole number";
            case VALUE_NUMBER_FLOAT -> "a fraction";
            case VALUE_TRUE, VALUE_FALSE -> "a truth value";
            case VALUE_NULL -> "null";
            default -> "the end";
        };
    }

    private static String place(JsonProcessingException e) {
        var at = e.getLocation();
        return at == null ? "" : " at line " + at.getLineNr() + ", column " + at.getColumnNr();
    }

    private static JsonFactory factory() {
        // A vocabulary's keys are all different: a table of names seen would only grow.
        return JsonFactory.builder()
                .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                .build();
    }
}
