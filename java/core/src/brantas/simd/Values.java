package brantas.simd;

import brantas.op.Weight;
import brantas.tensor.HostTensor;

/// A small weight as fp32 on the heap: norms, gates, convolution taps.
final class Values implements Weight {
    private final String name;
    private final long bytes;
    private final float[] values;
    private final float[] columns;

    Values(HostTensor tensor) {
        name = tensor.name();
        bytes = tensor.data().byteSize();
        values = tensor.toFloats();
        int rank = tensor.shape().length;
        columns = rank < 2 ? values : transposed(values, tensor.dim(rank - 1));
    }

    private static float[] transposed(float[] from, int width) {
        int height = from.length / Math.max(1, width);
        float[] out = new float[from.length];
        for (int i = 0; i < out.length; i++) {
            out[i % width * height + i / width] = from[i];
        }
        return out;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    /// Row-major, as stored.
    float[] values() {
        return values;
    }

    /// `[last dimension, rest]`: for taps `[channels, taps]` one run of channels per tap.
    float[] columns() {
        return columns;
    }
}
