package brantas.cli;

import brantas.settings.BrantasException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamWriteConstraints;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// JSON as plain values: ordered maps, lists, strings, `Long` or `BigInteger`, `Double`, `Boolean`,
/// null. Reads strict UTF-8 with bounded depth; writes compact text in which a lone surrogate stays
/// an escape, so that any string can go out as UTF-8.
public final class Json {
    private static final int DEPTH = 500;
    private static final JsonFactory FACTORY =
            JsonFactory.builder()
                    .streamReadConstraints(
                            StreamReadConstraints.builder()
                                    .maxNestingDepth(DEPTH)
                                    .maxStringLength(JsonLines.LONGEST)
                                    .maxNameLength(JsonLines.LONGEST)
                                    .build())
                    .streamWriteConstraints(
                            StreamWriteConstraints.builder().maxNestingDepth(4 * DEPTH).build())
                    .build();

    private Json() {}

    /// Strict UTF-8.
    ///
    /// @param what names the bytes in the error
    static String text(String what, byte[] bytes) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            throw new BrantasException(what + " is not UTF-8 text: convert it to UTF-8.", e);
        }
    }

    /// A file of strict UTF-8.
    public static String file(Path file) {
        try {
            return text(file.toString(), Files.readAllBytes(file));
        } catch (IOException e) {
            throw new BrantasException(
                    file + " cannot be read: check that it exists and may be read.", e);
        } catch (OutOfMemoryError e) {
            throw new BrantasException(file + " does not fit into memory: give a smaller file.", e);
        }
    }

    /// One JSON value and nothing after it.
    ///
    /// @param what names the text in the error
    public static @Nullable Object read(String what, String text) {
        try (JsonParser parser = FACTORY.createParser(text)) {
            parser.nextToken();
            Object value = value(parser);
            if (parser.nextToken() != null) {
                throw new BrantasException(
                        what + " has something after its JSON value: remove it.");
            }
            return value;
        } catch (JsonProcessingException e) {
            String where =
                    e.getLocation() == null
                            ? ""
                            : " (column " + e.getLocation().getColumnNr() + ")";
            throw new BrantasException(
                    Main.oneLine(
                            what + " is not valid JSON: " + e.getOriginalMessage() + where + "."),
                    e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// A JSON object.
    public static Map<String, @Nullable Object> object(String what, @Nullable Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<String, @Nullable Object> object = new LinkedHashMap<>();
            map.forEach((key, item) -> object.put(String.valueOf(key), item));
            return object;
        }
        throw new BrantasException(what + " is " + kind(value) + ": give a JSON object.");
    }

    /// A JSON list.
    static List<@Nullable Object> list(String what, @Nullable Object value) {
        if (value instanceof List<?> list) {
            return new ArrayList<>(list);
        }
        throw new BrantasException(what + " is " + kind(value) + ": give a list.");
    }

    /// A list of JSON objects.
    public static List<Map<String, @Nullable Object>> objects(String what, @Nullable Object value) {
        List<Map<String, @Nullable Object>> all = new ArrayList<>();
        for (Object item : list(what, value)) {
            all.add(object(what + "[" + all.size() + "]", item));
        }
        return all;
    }

    static String string(String what, @Nullable Object value) {
        if (value instanceof String string) {
            return string;
        }
        throw new BrantasException(what + " is " + kind(value) + ": give a string.");
    }

    static boolean bool(String what, @Nullable Object value) {
        if (value instanceof Boolean bool) {
            return bool;
        }
        throw new BrantasException(what + " is " + kind(value) + ": give true or false.");
    }

    static double number(String what, @Nullable Object value) {
        if (value instanceof Number number) {
            return number.doubleValue();
        }
        throw new BrantasException(what + " is " + kind(value) + ": give a number.");
    }

    /// An integer of 64 bits; `3.0` is one too.
    static long integer(String what, @Nullable Object value) {
        return switch (value) {
            case Long n -> n;
            case Double d when d == Math.rint(d) && Math.abs(d) < 0x1p53 -> d.longValue();
            case null, default ->
                    throw new BrantasException(what + " is " + kind(value) + ": give an integer.");
        };
    }

    /// An integer of 32 bits.
    static int small(String what, @Nullable Object value) {
        long n = integer(what, value);
        if (n != (int) n) {
            throw new BrantasException(what + " is " + n + ": give an integer of 32 bits.");
        }
        return (int) n;
    }

    /// A value in words, short.
    static String kind(@Nullable Object value) {
        return switch (value) {
            case null -> "null";
            case String s when s.length() <= 40 -> "the string " + write(s);
            case String s -> "a string";
            case Map<?, ?> m -> "an object";
            case List<?> l -> "a list";
            case BigInteger b -> "an integer beyond 64 bits";
            default -> value.toString();
        };
    }

    /// Compact JSON.
    public static String write(@Nullable Object value) {
        StringWriter text = new StringWriter();
        try (JsonGenerator generator = FACTORY.createGenerator(text)) {
            write(generator, value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return escapeLoneSurrogates(text.toString());
    }

    /// Compact JSON and a line's end into a file, whole or not at all.
    public static void write(Path file, @Nullable Object value) {
        text(file, write(value) + "\n");
    }

    /// A text into a file, whole or not at all.
    public static void text(Path file, String text) {
        Path part = file.resolveSibling(file.getFileName() + ".part");
        try {
            Files.writeString(part, text);
            Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new BrantasException(
                    file + " cannot be written: check that its folder exists and may be written.",
                    e);
        }
    }

    private static @Nullable Object value(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        return switch (token) {
            case null ->
                    throw new com.fasterxml.jackson.core.JsonParseException(parser, "it is empty");
            case START_OBJECT -> {
                Map<String, @Nullable Object> map = new LinkedHashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String key = parser.currentName();
                    parser.nextToken();
                    map.put(key, value(parser));
                }
                yield map;
            }
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(parser));
                }
                yield list;
            }
            case VALUE_STRING -> parser.getText();
            case VALUE_NUMBER_INT ->
                    parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
                            ? parser.getBigIntegerValue()
                            : (Object) parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> null;
        };
    }

    private static void write(JsonGenerator g, @Nullable Object value) throws IOException {
        switch (value) {
            case null -> g.writeNull();
            case Map<?, ?> map -> {
                g.writeStartObject();
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    g.writeFieldName(String.valueOf(entry.getKey()));
                    write(g, entry.getValue());
                }
                g.writeEndObject();
            }
            case Iterable<?> list -> {
                g.writeStartArray();
                for (Object item : list) {
                    write(g, item);
                }
                g.writeEndArray();
            }
            case int[] ids -> g.writeArray(ids, 0, ids.length);
            case Boolean b -> g.writeBoolean(b);
            case Integer n -> g.writeNumber(n);
            case Long n -> g.writeNumber(n);
            case BigInteger n -> g.writeNumber(n);
            case Double d when Double.isFinite(d) -> g.writeNumber(d);
            case Double d -> g.writeNull();
            default -> g.writeString(value.toString());
        }
    }

    /// They can stand only inside strings, where an escape says the same.
    private static String escapeLoneSurrogates(String json) {
        StringBuilder out = null;
        int done = 0;
        for (int i = 0; i < json.length(); i++) {
            char c = json.charAt(i);
            if (!Character.isSurrogate(c)) {
                continue;
            }
            if (Character.isHighSurrogate(c)
                    && i + 1 < json.length()
                    && Character.isLowSurrogate(json.charAt(i + 1))) {
                i++;
                continue;
            }
            out = out == null ? new StringBuilder(json.length() + 16) : out;
            out.append(json, done, i).append("\\u").append(Integer.toHexString(c));
            done = i + 1;
        }
        return out == null ? json : out.append(json, done, json.length()).toString();
    }
}
