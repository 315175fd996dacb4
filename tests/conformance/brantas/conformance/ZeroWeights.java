package brantas.conformance;

import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.TensorSource;
import brantas.format.WeightNames;
import brantas.format.WeightNames.Expected;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/// The text model of a published size with nothing but zeros, which all lie in one hole of a file:
/// for what depends on shapes alone, where the weights would not fit the machine.
final class ZeroWeights implements TensorSource {
    private final String size;
    private final ModelConfig config;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment zeros;
    private final SequencedMap<String, TensorInfo> infos = new LinkedHashMap<>();

    /// @param size a known size such as 35B-A3B
    /// @param folder for the file
    ZeroWeights(String size, Path folder) {
        this.size = size;
        config = KnownSizes.config(size);
        List<Expected> table = WeightNames.text(config);
        long most = 0;
        Path file = folder.resolve("zeros");
        for (Expected e : table) {
            DType type = e.name().endsWith("A_log") ? DType.F32 : DType.BF16;
            long bytes = e.elements() * type.bytes();
            most = Math.max(most, bytes);
            infos.put(e.name(), new TensorInfo(e.name(), type, e.shape(), file, bytes));
        }
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.READ)) {
            zeros = channel.map(MapMode.READ_WRITE, 0, most, arena);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public String name() {
        return size;
    }

    @Override
    public SequencedMap<String, TensorInfo> tensors() {
        return infos;
    }

    @Override
    public HostTensor tensor(String name) {
        TensorInfo info = infos.get(name);
        if (info == null) {
            throw new IllegalArgumentException(size + " has no tensor " + name);
        }
        return new HostTensor(name, info.dtype(), info.shape(), zeros.asSlice(0, info.bytes()));
    }

    @Override
    public void close() {
        arena.close();
        try {
            Files.delete(infos.firstEntry().getValue().file());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
