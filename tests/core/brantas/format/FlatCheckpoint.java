package brantas.format;

import brantas.tensor.HostTensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/// The golden checkpoint `dense-r3-flat-text-only`, made from `dense-r3`: its weights are the same
/// under the names of a text-only release and without the vision tower, so that six megabytes need
/// not be stored twice.
public final class FlatCheckpoint {
    private FlatCheckpoint() {}

    /// Writes the checkpoint.
    ///
    /// @param golden the folder `tests/golden`
    /// @param target an existing folder
    /// @return `target`
    public static Path write(Path golden, Path target) {
        Path source = golden.resolve("text/dense-r3");
        Path flat = golden.resolve("text/dense-r3-flat-text-only");
        try (Checkpoint checkpoint = Checkpoint.open(source, Checkpoint.Load.MAP, Progress.NONE)) {
            Files.copy(
                    flat.resolve("config.json"),
                    target.resolve("config.json"),
                    StandardCopyOption.REPLACE_EXISTING);
            List<HostTensor> tensors = new ArrayList<>();
            for (String name : checkpoint.tensors().sequencedKeySet()) {
                if (!name.startsWith(WeightNames.VISION)) {
                    HostTensor t = checkpoint.tensor(name);
                    String renamed = name.replace("model.language_model.", "model.");
                    tensors.add(new HostTensor(renamed, t.dtype(), t.shape(), t.data()));
                }
            }
            TinyCheckpoint.writeTensors(target.resolve("model.safetensors"), tensors);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return target;
    }
}
