package brantas.cuda.bench;

import java.util.List;
import java.util.Locale;

/// What data sheets say of devices, by the names that drivers give them: memory bandwidth in GB/s,
/// dense bf16 products with fp32 accumulation in TFLOP/s, and the L2 cache in MB.
record Peaks(String name, double bandwidth, double tensor, int cache) {
    /// More than the L2 cache of any device so far.
    private static final int LARGE_CACHE = 128;

    /// The first whose name is part of the device's: longer names stand before shorter ones.
    private static final List<Peaks> KNOWN =
            List.of(
                    new Peaks("h100 pcie", 2_039, 756, 50),
                    new Peaks("h100 nvl", 3_938, 835, 60),
                    new Peaks("h100", 3_350, 989.4, 50),
                    new Peaks("h200", 4_800, 989.4, 50),
                    new Peaks("b200", 8_000, 2_250, 126),
                    new Peaks("a100-sxm4-40gb", 1_555, 312, 40),
                    new Peaks("a100-pcie-40gb", 1_555, 312, 40),
                    new Peaks("a100", 2_039, 312, 40),
                    new Peaks("l40s", 864, 362, 96),
                    new Peaks("rtx pro 6000", 1_792, 503.8, 128),
                    new Peaks("rtx 5090 laptop", 896, 0, 64),
                    new Peaks("rtx 5090", 1_792, 209.5, 96),
                    new Peaks("rtx 4090 laptop", 576, 0, 64),
                    new Peaks("rtx 4090", 1_008, 165.2, 72),
                    new Peaks("rtx 3090", 936, 71, 6));

    /// Of a device; zeros where nothing is known, and a cache that is not too small.
    static Peaks of(String device) {
        String name = device.toLowerCase(Locale.ROOT);
        return KNOWN.stream()
                .filter(p -> name.contains(p.name))
                .findFirst()
                .orElse(new Peaks("", 0, 0, LARGE_CACHE));
    }

    double bytesPerSecond() {
        return bandwidth * 1e9;
    }

    double flopsPerSecond() {
        return tensor * 1e12;
    }

    long cacheBytes() {
        return cache * 1_000_000L;
    }
}
