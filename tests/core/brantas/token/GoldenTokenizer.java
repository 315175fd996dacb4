package brantas.token;

import brantas.vocabulary.TokenizerFile;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.zip.GZIPInputStream;

/// The real vocabulary of the golden data, unpacked and loaded once for all tests of this package.
final class GoldenTokenizer {
    private static final Path GOLDEN = Path.of(System.getProperty("brantas.golden"), "tokenizer");
    private static final Tokenizer TOKENIZER = load();

    private GoldenTokenizer() {}

    static Tokenizer tokenizer() {
        return TOKENIZER;
    }

    /// The content of a golden file.
    static JsonNode read(String name) {
        try {
            return new ObjectMapper().readTree(GOLDEN.resolve(name).toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Tokenizer load() {
        try {
            Path folder = Files.createTempDirectory("golden-tokenizer");
            Path json = folder.resolve("tokenizer.json");
            Path config = folder.resolve("tokenizer_config.json");
            try (var in = Files.newInputStream(GOLDEN.resolve("tokenizer.json.gz"));
                    var unpacked = new GZIPInputStream(in)) {
                Files.copy(unpacked, json);
                Files.copy(
                        GOLDEN.resolve("tokenizer_config.json"),
                        config,
                        StandardCopyOption.REPLACE_EXISTING);
                return new Tokenizer(TokenizerFile.read(folder));
            } finally {
                Files.deleteIfExists(json);
                Files.deleteIfExists(config);
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
