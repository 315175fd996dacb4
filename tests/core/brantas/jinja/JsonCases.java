package brantas.jinja;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// Golden cases of the template folder, as plain Java values: order kept, integers without loss.
public final class JsonCases {
    private static final ObjectMapper JSON =
            new ObjectMapper().enable(DeserializationFeature.USE_BIG_INTEGER_FOR_INTS);

    private JsonCases() {}

    /// The file's list of cases.
    public static List<Map<String, Object>> read(String file) throws IOException {
        return JSON.readValue(path(file).toFile(), new TypeReference<>() {});
    }

    /// The text of a golden file.
    public static String text(String file) throws IOException {
        return Files.readString(path(file));
    }

    private static Path path(String file) {
        return Path.of(System.getProperty("brantas.golden"), "template", file);
    }
}
