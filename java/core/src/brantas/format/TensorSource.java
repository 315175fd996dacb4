package brantas.format;

import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SequencedMap;

/// Where a model's weights come from: a configuration and named tensors that fit it. The source
/// owns the tensors' memory until it is closed; nothing is converted here. Whoever makes one has
/// checked its names and shapes against [WeightNames].
public interface TensorSource extends AutoCloseable {

    /// What is known of a tensor without touching its data.
    ///
    /// @param name as in the checkpoint
    /// @param dtype element type
    /// @param shape sizes, outermost first
    /// @param file where it lies, for messages
    /// @param bytes size of its data
    record TensorInfo(String name, DType dtype, long[] shape, Path file, long bytes) {
        @Override
        public boolean equals(Object other) {
            return other instanceof TensorInfo that
                    && name.equals(that.name)
                    && dtype == that.dtype
                    && Arrays.equals(shape, that.shape)
                    && file.equals(that.file)
                    && bytes == that.bytes;
        }

        @Override
        public int hashCode() {
            return name.hashCode();
        }

        @Override
        public String toString() {
            return name + " " + dtype + " " + Arrays.toString(shape) + " in " + file;
        }
    }

    /// The model's shape; whether the head is tied is settled.
    ModelConfig config();

    /// A short name for people, such as the folder's.
    String name();

    /// All tensors in stored order, unmodifiable.
    SequencedMap<String, TensorInfo> tensors();

    /// The tensor of that name, row-major, valid until `close`. Costs no copy.
    ///
    /// @throws brantas.settings.BrantasException if there is none
    HostTensor tensor(String name);

    /// Bytes of all tensors.
    default long bytes() {
        long sum = 0;
        for (TensorInfo info : tensors().sequencedValues()) {
            sum += info.bytes();
        }
        return sum;
    }

    /// Releases the memory; tensors handed out become unusable.
    @Override
    void close();
}
