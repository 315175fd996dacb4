package brantas.cli.gpu;

import brantas.GpuLab;
import brantas.spi.KernelLab.About;
import brantas.spi.KernelLab.KernelTime;
import brantas.spi.KernelLab.Trial;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Measured kernels beside what the device could do: the floor of a launch is the longer of its
/// bytes at the bandwidth and its operations at the tensor cores' rate, by the data sheet; where
/// there is none, its bytes at the bandwidth of a measured copy.
///
/// @param model whose shapes they are
/// @param copy bytes per second of a copy within the device
public record KernelTable(String model, About about, double copy, List<KernelTime> times) {
    /// The default model.
    public static final String MODEL = "35B-A3B";

    /// Measures, and shows each line as it comes.
    public static KernelTable measure(GpuLab lab, String model, Consumer<String> line) {
        About about = lab.about();
        Double copy =
                lab.run(Trial.COPY, model)
                        .getFirst()
                        .numbers()
                        .getOrDefault("bytes_per_second", 0.0);
        KernelTable head = new KernelTable(model, about, copy, List.of());
        head.title().forEach(line);
        List<KernelTime> times = lab.measure(model, time -> line.accept(head.line(time)));
        return new KernelTable(model, about, copy, times);
    }

    private List<String> title() {
        String device =
                about.device() + (about.emulated() ? ", tiny shapes: times mean nothing" : "");
        String copied = String.format(Locale.ROOT, "%.0f GB/s copied", copy * 1e-9);
        String columns =
                String.format(
                        "%-7s %-33s %-25s %9s %9s %9s %9s %8s %8s %6s",
                        "phase", "kernel", "purpose", "µs", "least", "MB", "MFLOP", "GB/s",
                        "TFLOP/s", "floor");
        return List.of(model + " on " + device + ", " + copied, columns);
    }

    private String line(KernelTime t) {
        double fraction = floorMicros(t) / t.micros();
        String floor =
                meaningful() ? String.format(Locale.ROOT, "%5.0f%%", 100 * fraction) : "     –";
        return String.format(
                Locale.ROOT,
                "%-7s %-33s %-25s %9.2f %9.2f %9.2f %9.1f %8.1f %8.2f %s  %s",
                t.phase(),
                t.kernel(),
                t.purpose(),
                t.micros(),
                t.least(),
                t.bytes() * 1e-6,
                t.flops() * 1e-6,
                t.bytes() / t.micros() * 1e-3,
                t.flops() / t.micros() * 1e-6,
                floor,
                t.shape());
    }

    private boolean meaningful() {
        return !about.emulated();
    }

    private double bandwidth() {
        return about.bandwidth() > 0 ? about.bandwidth() : copy;
    }

    private boolean boundByMath(KernelTime t) {
        return about.flops() > 0 && t.flops() / about.flops() > t.bytes() / bandwidth();
    }

    /// The least time that a launch could take.
    public double floorMicros(KernelTime t) {
        double seconds = boundByMath(t) ? t.flops() / about.flops() : t.bytes() / bandwidth();
        return seconds * 1e6;
    }

    /// Everything, as JSON.
    public Map<String, @Nullable Object> json() {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        all.put("model", model);
        all.putAll(about(about));
        all.put("meaningful", meaningful());
        all.put("copy_gb_per_second", copy * 1e-9);
        List<Map<String, @Nullable Object>> cases = new ArrayList<>();
        for (KernelTime t : times) {
            cases.add(row(t));
        }
        all.put("cases", cases);
        return all;
    }

    /// A device, as JSON.
    public static Map<String, @Nullable Object> about(About about) {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        all.put("device", about.device());
        all.put("emulated", about.emulated());
        all.put("capability", about.capability());
        all.put("multiprocessors", about.multiprocessors());
        all.put("memory_bytes", about.memoryBytes());
        all.put("driver_cuda", about.driver());
        all.put("kernel_image", about.image());
        all.put("kernel_image_sha256", about.imageHash());
        all.put("programmatic_launch", about.programmatic());
        all.put("datasheet_gb_per_second", known(about.bandwidth() * 1e-9));
        all.put("datasheet_tflops", known(about.flops() * 1e-12));
        return all;
    }

    private static @Nullable Double known(double value) {
        return value > 0 ? value : null;
    }

    private Map<String, @Nullable Object> row(KernelTime t) {
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("phase", t.phase());
        row.put("kernel", t.kernel());
        row.put("purpose", t.purpose());
        row.put("shape", t.shape());
        row.put("microseconds", t.micros());
        row.put("microseconds_min", t.least());
        row.put("repeats", t.repeats());
        row.put("launches_per_graph", t.launches());
        row.put("copies", t.copies());
        row.put("bytes", t.bytes());
        row.put("flops", t.flops());
        row.put("gb_per_second", t.bytes() / t.micros() * 1e-3);
        row.put("tflops", t.flops() / t.micros() * 1e-6);
        row.put("floor_microseconds", meaningful() ? (Double) floorMicros(t) : null);
        row.put("floor_of", meaningful() ? (boundByMath(t) ? "math" : "bytes") : null);
        row.put("floor_fraction", meaningful() ? (Double) (floorMicros(t) / t.micros()) : null);
        row.put("emulated", about.emulated());
        row.put("meaningful", meaningful());
        return row;
    }
}
