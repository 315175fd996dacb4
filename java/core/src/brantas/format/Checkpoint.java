package brantas.format;

import brantas.settings.BrantasException;
import brantas.tensor.HostTensor;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// A folder as it is downloaded: `config.json` with `model.safetensors`, or with several files and
/// `model.safetensors.index.json`. Once open, every tensor of the model is known to be there with
/// the right shape and a type that can be computed with. The tokenizer's files are not read here.
public final class Checkpoint implements TensorSource {
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final int MAX_INDEXED = 350_000;

    /// How the weights get into memory.
    public enum Load {
        /// The file is mapped: no copy, pages come when touched.
        MAP,
        /// The file is read into native memory at once, by several threads.
        READ
    }

    private final Path folder;
    private final ModelConfig config;
    private final SequencedMap<String, SafetensorsFile> files;
    private final SequencedMap<String, TensorInfo> tensors;

    private Checkpoint(
            Path folder, ModelConfig config, SequencedMap<String, SafetensorsFile> files) {
        this.folder = folder;
        this.files = files;
        this.tensors = Collections.unmodifiableSequencedMap(infos(files));
        this.config = config.resolved(tensors.containsKey(WeightNames.HEAD));
        WeightNames.check(this);
    }

    /// Opens and checks a checkpoint.
    ///
    /// @param folder with `config.json` and the weights
    /// @throws BrantasException one sentence naming the file and the key or tensor at fault
    public static Checkpoint open(Path folder, Load load, Progress progress) {
        if (!Files.isDirectory(folder)) {
            throw new BrantasException(
                    folder + " is not a folder; give the folder that holds config.json.");
        }
        ModelConfig config = ModelConfig.read(folder.resolve("config.json"));
        SequencedMap<String, SafetensorsFile> files = new LinkedHashMap<>();
        boolean opened = false;
        try {
            openFiles(folder, load, progress, files);
            Checkpoint checkpoint = new Checkpoint(folder, config, files);
            opened = true;
            return checkpoint;
        } finally {
            if (!opened) {
                files.values().forEach(SafetensorsFile::close);
            }
        }
    }

    private static void openFiles(
            Path folder, Load load, Progress progress, Map<String, SafetensorsFile> files) {
        Path single = folder.resolve(SINGLE);
        if (Files.exists(single)) {
            files.put(SINGLE, SafetensorsFile.open(single, load, progress));
            return;
        }
        Path index = folder.resolve(INDEX);
        if (!Files.exists(index)) {
            throw new BrantasException(
                    folder
                            + " has neither "
                            + SINGLE
                            + " nor "
                            + INDEX
                            + "; finish the download or choose a checkpoint in safetensors.");
        }
        Map<String, String> places = readIndex(index);
        for (String shard : places.values()) {
            if (!files.containsKey(shard)) {
                if (!Files.exists(folder.resolve(shard))) {
                    throw new BrantasException(
                            index
                                    + ": weight_map names the shard "
                                    + JsonFile.quote(shard)
                                    + ", which is not in the folder; finish the download.");
                }
                files.put(shard, SafetensorsFile.open(folder.resolve(shard), load, progress));
            }
        }
        checkPlaces(index, places, files);
    }

    private static void checkPlaces(
            Path index, Map<String, String> places, Map<String, SafetensorsFile> files) {
        places.forEach((name, shard) -> {
            SafetensorsFile file = files.get(shard);
            if (file == null || !file.has(name)) {
                throw new BrantasException(
                        index
                                + ": weight_map places tensor "
                                + JsonFile.quote(name)
                                + " in "
                                + JsonFile.quote(shard)
                                + ", which does not hold it; fetch both files again.");
            }
        });
        files.forEach((shard, file) -> {
            for (String name : file.names()) {
                if (!shard.equals(places.get(name))) {
                    throw new BrantasException(
                            index
                                    + ": weight_map does not place tensor "
                                    + JsonFile.quote(name)
                                    + " in "
                                    + JsonFile.quote(shard)
                                    + ", which holds it; fetch both files again.");
                }
            }
        });
    }

    /// Tensor name → shard, in the order of the file.
    private static Map<String, String> readIndex(Path index) {
        JsonFile.requireRegular(index);
        Map<String, String> places = new LinkedHashMap<>();
        try (InputStream in = Files.newInputStream(index);
                JsonParser parser = JsonFile.parser(in)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw badIndex(index, "a JSON object with weight_map", "something else");
            }
            boolean seen = false;
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                if (!parser.currentName().equals("weight_map")) {
                    parser.nextToken();
                    parser.skipChildren();
                    continue;
                }
                if (seen) {
                    throw badIndex(index, "one weight_map", "two");
                }
                seen = true;
                readMap(index, parser, places);
            }
            if (parser.nextToken() != null) {
                throw badIndex(index, "nothing after the JSON object", "more");
            }
        } catch (IOException e) {
            throw JsonFile.unreadable(index, "the file", e);
        }
        if (places.isEmpty()) {
            throw badIndex(index, "a weight_map with tensors", "none");
        }
        return places;
    }

    private static void readMap(Path index, JsonParser parser, Map<String, String> places)
            throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw badIndex(index, "an object as weight_map", "something else");
        }
        Map<String, String> shards = new HashMap<>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw badIndex(index, "file names as values of weight_map", "something else");
            }
            if (places.size() == MAX_INDEXED) {
                throw badIndex(index, "at most " + MAX_INDEXED + " tensors", "more");
            }
            String shard = shards.computeIfAbsent(parser.getText(), s -> fileName(index, s));
            if (places.put(name, shard) != null) {
                throw badIndex(index, "each tensor once", JsonFile.quote(name) + " twice");
            }
        }
    }

    private static String fileName(Path index, String shard) {
        boolean plain =
                shard.endsWith(".safetensors")
                        && shard.chars().noneMatch(c -> c == '/' || c == '\\' || c < ' ');
        if (!plain) {
            throw badIndex(
                    index,
                    "names of safetensors files in the same folder in weight_map",
                    JsonFile.quote(shard));
        }
        return shard;
    }

    private static BrantasException badIndex(Path index, String expected, String found) {
        return new BrantasException(
                index + ": expected " + expected + ", found " + found + "; fetch the index again.");
    }

    private static SequencedMap<String, TensorInfo> infos(
            SequencedMap<String, SafetensorsFile> files) {
        SequencedMap<String, TensorInfo> infos = new LinkedHashMap<>();
        for (SafetensorsFile file : files.sequencedValues()) {
            for (String name : file.names()) {
                infos.put(name, file.info(name));
            }
        }
        return infos;
    }

    /// The folder.
    public Path folder() {
        return folder;
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public String name() {
        Path last = folder.toAbsolutePath().normalize().getFileName();
        return last == null ? folder.toString() : last.toString();
    }

    @Override
    public SequencedMap<String, TensorInfo> tensors() {
        return tensors;
    }

    @Override
    public HostTensor tensor(String name) {
        for (SafetensorsFile file : files.sequencedValues()) {
            if (file.has(name)) {
                return file.tensor(name);
            }
        }
        throw new BrantasException(
                folder
                        + ": there is no tensor "
                        + JsonFile.quote(name)
                        + "; finish the download or check config.json.");
    }

    @Override
    public void close() {
        files.values().forEach(SafetensorsFile::close);
    }
}
