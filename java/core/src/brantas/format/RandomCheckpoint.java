package brantas.format;

import brantas.format.WeightNames.Expected;
import brantas.settings.BrantasException;
import brantas.tensor.DType;
import brantas.tensor.HostTensor;
import com.sun.management.OperatingSystemMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.LongStream;

/// A checkpoint of the right shape with random values, made in native memory: speed and memory of a
/// size can be measured without its weights. Values are chosen so that activations stay finite;
/// what comes out means nothing. The same configuration and seed give the same bytes on every
/// machine, whatever the number of threads.
public final class RandomCheckpoint implements TensorSource {
    private static final long BLOCK = 1 << 20;
    private static final int TABLE = 1 << 12;
    private static final double SPREAD = 0.02;
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;

    private final String name;
    private final ModelConfig config;
    private final Arena arena = Arena.ofShared();
    private final SequencedMap<String, TensorInfo> infos = new LinkedHashMap<>();
    private final Map<String, HostTensor> tensors = new LinkedHashMap<>();

    private RandomCheckpoint(String name, ModelConfig config) {
        this.name = name;
        this.config = config;
    }

    /// Makes every tensor of a configuration, draft head and vision tower included where it has
    /// them, experts fused.
    ///
    /// @param name for messages
    /// @param seed of the values
    /// @throws BrantasException if the machine has too little memory for it
    public static RandomCheckpoint create(
            String name, ModelConfig config, long seed, Progress progress) {
        ModelConfig settled = config.resolved(false);
        List<Expected> table = WeightNames.all(settled);
        long total = 0;
        for (Expected e : table) {
            total += e.elements() * dtype(e.name()).bytes();
        }
        checkMemory(name, total);
        RandomCheckpoint made = new RandomCheckpoint(name, settled);
        try {
            long done = 0;
            for (int i = 0; i < table.size(); i++) {
                done += made.make(table.get(i), mix(seed + i * GOLDEN));
                progress.at(name, done, total);
            }
        } catch (OutOfMemoryError e) {
            made.close();
            throw tooLarge(name, total, "less (" + e.getMessage() + ")");
        }
        return made;
    }

    private static void checkMemory(String name, long total) {
        if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean machine
                && total > machine.getTotalMemorySize()) {
            throw tooLarge(name, total, gib(machine.getTotalMemorySize()) + " GiB in all");
        }
    }

    private static BrantasException tooLarge(String name, long total, String found) {
        return new BrantasException(
                "random weights of "
                        + name
                        + " need "
                        + gib(total)
                        + " GiB of memory, found "
                        + found
                        + "; choose a smaller size.");
    }

    private static long gib(long bytes) {
        return Math.ceilDiv(bytes, 1L << 30);
    }

    private static DType dtype(String name) {
        return name.endsWith("A_log") || name.endsWith("linear_attn.norm.weight")
                ? DType.F32
                : DType.BF16;
    }

    private long make(Expected e, long seed) {
        DType dtype = dtype(e.name());
        long bytes = e.elements() * dtype.bytes();
        MemorySegment data = arena.allocate(bytes, 64);
        if (dtype == DType.F32) {
            fillFloats(data, e.name(), seed);
        } else {
            fill(data, quantiles(e.name()), seed);
        }
        tensors.put(e.name(), new HostTensor(e.name(), dtype, e.shape(), data));
        infos.put(
                e.name(),
                new TensorInfo(e.name(), dtype, e.shape(), Path.of("random " + name), bytes));
        return bytes;
    }

    /// Decay rates spread over slow and fast heads; the plain norm's weights lie around one.
    private static void fillFloats(MemorySegment data, String name, long seed) {
        boolean decay = name.endsWith("A_log");
        for (long i = 0; i < data.byteSize() / 4; i++) {
            double uniform = (mix(seed + i * GOLDEN) >>> 11) * 0x1p-53;
            double value = decay ? Math.log(0.05 + 8 * uniform) : 0.9 + 0.2 * uniform;
            data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
        }
    }

    /// Every value is one of 4,096 equally likely bf16 numbers; blocks have their own seeds, so the
    /// result does not depend on which thread fills which.
    private static void fill(MemorySegment data, short[] quantiles, long seed) {
        long bytes = data.byteSize();
        LongStream.range(0, Math.ceilDiv(bytes, BLOCK))
                .parallel()
                .forEach(block -> {
                    long from = block * BLOCK;
                    fillBlock(
                            data.asSlice(from, Math.min(BLOCK, bytes - from)),
                            quantiles,
                            mix(seed ^ block));
                });
    }

    private static void fillBlock(MemorySegment data, short[] quantiles, long seed) {
        long words = data.byteSize() / 8;
        long x = seed | 1;
        for (long i = 0; i < words; i++) {
            x = step(x);
            data.setAtIndex(ValueLayout.JAVA_LONG, i, four(x, quantiles));
        }
        x = step(x);
        for (long i = words * 4; i < data.byteSize() / 2; i++) {
            data.setAtIndex(
                    ValueLayout.JAVA_SHORT, i, (short) (four(x, quantiles) >> (16 * (i & 3))));
        }
    }

    private static long step(long x) {
        long a = x ^ (x << 13);
        a ^= a >>> 7;
        return a ^ (a << 17);
    }

    private static long four(long x, short[] quantiles) {
        return value(x >>> 4, quantiles)
                | (value(x >>> 20, quantiles) << 16)
                | (value(x >>> 36, quantiles) << 32)
                | (value(x >>> 52, quantiles) << 48);
    }

    private static long value(long random, short[] quantiles) {
        return quantiles[(int) random & (TABLE - 1)] & 0xffffL;
    }

    /// The 4,096 values of a tensor: bell-shaped around zero, with exceptions where a model needs
    /// them. `dt_bias` around -4 gives the small time steps of trained models, convolutions are
    /// wide enough that queries and keys do not vanish, vision norms lie around one.
    private static short[] quantiles(String name) {
        boolean one = name.startsWith(WeightNames.VISION) && name.matches(".*norm\\d?\\.weight");
        double centre = name.endsWith("dt_bias") ? -4 : one ? 1 : 0;
        double spread =
                name.endsWith("dt_bias") ? 1 : name.endsWith("conv1d.weight") ? 0.3 : SPREAD;
        short[] out = new short[TABLE];
        for (int i = 0; i < TABLE; i++) {
            // Logistic quantiles, scaled to unit variance: close to normal and without a table.
            double p = (i + 0.5) / TABLE;
            double unit = Math.log(p / (1 - p)) * Math.sqrt(3) / Math.PI;
            out[i] = bf16((float) (centre + spread * unit));
        }
        return out;
    }

    private static short bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }

    private static long mix(long z) {
        long a = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        a = (a ^ (a >>> 27)) * 0x94d049bb133111ebL;
        return a ^ (a >>> 31);
    }

    @Override
    public ModelConfig config() {
        return config;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public SequencedMap<String, TensorInfo> tensors() {
        return Collections.unmodifiableSequencedMap(infos);
    }

    @Override
    public HostTensor tensor(String tensor) {
        HostTensor found = tensors.get(tensor);
        if (found == null) {
            throw new BrantasException(
                    name
                            + ": there is no tensor "
                            + JsonFile.quote(tensor)
                            + "; choose a size that has it.");
        }
        return found;
    }

    @Override
    public void close() {
        arena.close();
    }
}
