package brantas.format;

import brantas.settings.BrantasException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// The JSON header of one safetensors file, read token by token and checked completely: types,
/// shapes, sizes, and offsets that cover the data without overlap, hole or excess. Element types
/// that Brantas cannot compute with are parsed all the same; who wants such a tensor refuses it.
final class SafetensorsHeader {
    static final long MAX_BYTES = 100_000_000;

    private static final int MAX_TENSORS = 120_000;
    private static final int MAX_RANK = 16;
    private static final String AGAIN = "; the file is damaged, fetch it again.";

    /// Bits per element of every type the format knows.
    private static final Map<String, Integer> BITS =
            Map.ofEntries(
                    Map.entry("F4", 4),
                    Map.entry("F6_E2M3", 6),
                    Map.entry("F6_E3M2", 6),
                    Map.entry("BOOL", 8),
                    Map.entry("U8", 8),
                    Map.entry("I8", 8),
                    Map.entry("F8_E5M2", 8),
                    Map.entry("F8_E4M3", 8),
                    Map.entry("F8_E5M2FNUZ", 8),
                    Map.entry("F8_E4M3FNUZ", 8),
                    Map.entry("F8_E8M0", 8),
                    Map.entry("I16", 16),
                    Map.entry("U16", 16),
                    Map.entry("F16", 16),
                    Map.entry("BF16", 16),
                    Map.entry("I32", 32),
                    Map.entry("U32", 32),
                    Map.entry("F32", 32),
                    Map.entry("C64", 64),
                    Map.entry("F64", 64),
                    Map.entry("I64", 64),
                    Map.entry("U64", 64));

    /// One tensor of a file.
    ///
    /// @param name as stored
    /// @param dtype name of the element type, one that the format knows
    /// @param shape sizes, outermost first
    /// @param begin first byte within the data
    /// @param end byte after the last
    record Entry(String name, String dtype, long[] shape, long begin, long end) {}

    private final Path file;
    private final long dataBytes;
    private final long[] scratch = new long[MAX_RANK];
    private final SequencedMap<String, Entry> entries = new LinkedHashMap<>();

    private SafetensorsHeader(Path file, long dataBytes) {
        this.file = file;
        this.dataBytes = dataBytes;
    }

    /// Reads a header.
    ///
    /// @param file for messages
    /// @param json exactly the bytes of the header
    /// @param dataBytes bytes of the file behind the header
    /// @return the tensors in the order of the header
    static SequencedMap<String, Entry> read(Path file, InputStream json, long dataBytes) {
        SafetensorsHeader header = new SafetensorsHeader(file, dataBytes);
        try (JsonParser parser = JsonFile.parser(json)) {
            header.parse(parser);
        } catch (IOException e) {
            throw JsonFile.unreadable(file, "the safetensors header", e);
        }
        header.checkCover();
        return Collections.unmodifiableSequencedMap(header.entries);
    }

    private void parse(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw broken("the header must be a JSON object, found something else");
        }
        boolean metadata = false;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            boolean isMetadata = name.equals("__metadata__");
            if (isMetadata ? metadata : entries.containsKey(name)) {
                throw broken(JsonFile.quote(name) + " appears twice in the header");
            }
            if (isMetadata) {
                metadata = true;
                skipMetadata(parser);
                continue;
            }
            if (entries.size() == MAX_TENSORS) {
                throw broken("the header may list " + MAX_TENSORS + " tensors, found more");
            }
            entries.put(name, entry(parser, name));
        }
        if (parser.nextToken() != null) {
            throw broken("expected the end of the header after the JSON object, found more");
        }
    }

    private void skipMetadata(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw broken("__metadata__ must be an object of texts, found something else");
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw broken("__metadata__ must hold only texts, found something else");
            }
        }
    }

    private Entry entry(JsonParser parser, String name) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw broken(name, "an object with dtype, shape and data_offsets", "something else");
        }
        @Nullable String dtype = null;
        long @Nullable [] shape = null;
        long @Nullable [] offsets = null;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String key = parser.currentName();
            boolean first =
                    switch (key) {
                        case "dtype" -> dtype == null;
                        case "shape" -> shape == null;
                        case "data_offsets" -> offsets == null;
                        default -> false;
                    };
            if (!first) {
                throw broken(
                        name,
                        "dtype, shape and data_offsets once each",
                        "another " + JsonFile.quote(key));
            }
            switch (key) {
                case "dtype" -> dtype = dtype(parser, name);
                case "shape" -> shape = numbers(parser, name, key);
                default -> offsets = numbers(parser, name, key);
            }
        }
        if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
            throw broken(
                    name,
                    "dtype, shape and two data_offsets",
                    offsets != null && offsets.length != 2
                            ? offsets.length + " data_offsets"
                            : "fewer");
        }
        return checked(new Entry(name, dtype, shape, offsets[0], offsets[1]));
    }

    private String dtype(JsonParser parser, String name) throws IOException {
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
            throw broken(name, "a dtype as text", "something else");
        }
        String dtype = parser.getText();
        if (!BITS.containsKey(dtype)) {
            throw broken(name, "a dtype of the safetensors format", JsonFile.quote(dtype));
        }
        return dtype;
    }

    private long[] numbers(JsonParser parser, String name, String key) throws IOException {
        if (parser.nextToken() != JsonToken.START_ARRAY) {
            throw broken(name, "a list as " + key, "something else");
        }
        int n = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            boolean whole =
                    parser.currentToken() == JsonToken.VALUE_NUMBER_INT
                            && parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
            if (!whole || parser.getLongValue() < 0) {
                throw broken(
                        name,
                        "whole numbers from 0 to 2^63 - 1 in " + key,
                        parser.currentToken() == null
                                ? "the end of the header"
                                : JsonFile.quote(parser.getText()));
            }
            if (n == MAX_RANK) {
                throw broken(name, "at most " + MAX_RANK + " numbers in " + key, "more");
            }
            scratch[n++] = parser.getLongValue();
        }
        return Arrays.copyOf(scratch, n);
    }

    private Entry checked(Entry e) {
        if (e.begin > e.end || e.end > dataBytes) {
            throw broken(
                    e.name,
                    "data_offsets in order and within the " + dataBytes + " bytes of data",
                    "[" + e.begin + ", " + e.end + "]");
        }
        long bits = BITS.getOrDefault(e.dtype, 0);
        try {
            for (long size : e.shape) {
                bits = Math.multiplyExact(bits, size);
            }
        } catch (ArithmeticException _) {
            throw broken(e.name, "a shape of fewer than 2^60 elements", Arrays.toString(e.shape));
        }
        if (bits % 8 != 0 || bits / 8 != e.end - e.begin) {
            throw broken(
                    e.name,
                    size(bits) + " bytes for " + e.dtype + " " + Arrays.toString(e.shape),
                    (e.end - e.begin) + " bytes in data_offsets");
        }
        return e;
    }

    private static String size(long bits) {
        return bits % 8 == 0 ? Long.toString(bits / 8) : "a whole number of";
    }

    /// The format asks that the tensors, sorted, follow each other without a gap to the end.
    private void checkCover() {
        List<Entry> sorted = new ArrayList<>(entries.sequencedValues());
        sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long at = 0;
        for (Entry e : sorted) {
            if (e.begin != at) {
                throw broken(
                        e.name,
                        "data_offsets that start at " + at + ", where the tensor before it ends,",
                        e.begin + (e.begin < at ? " (an overlap)" : " (a hole)"));
            }
            at = e.end;
        }
        if (at != dataBytes) {
            throw broken("expected " + at + " bytes of data, found " + dataBytes);
        }
    }

    private BrantasException broken(String name, String expected, String found) {
        return broken(
                "tensor " + JsonFile.quote(name) + " must have " + expected + ", found " + found);
    }

    private BrantasException broken(String what) {
        return new BrantasException(file + ": " + what + AGAIN);
    }
}
