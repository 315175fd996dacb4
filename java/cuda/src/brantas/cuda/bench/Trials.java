package brantas.cuda.bench;

import brantas.cuda.bench.Timing.Effort;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Manifest;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.Matrix;
import brantas.settings.BrantasException;
import brantas.spi.KernelLab.Finding;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Small trials of a device: whether it takes every kernel, how close kernels follow each other,
/// and how fast it copies.
final class Trials {
    private static final Pattern LINE =
            Pattern.compile("kernel (\\S+) args \\d+ block \\S+ shared (\\d+|variable) .*");

    /// Launches of a decode step of 35B-A3B with 40 layers, without those around them.
    private static final int NODES = 254;

    private Trials() {}

    /// Looks every kernel of the manifest up and asks for its shared memory.
    static List<Finding> load(Module module) {
        List<Finding> all = new ArrayList<>();
        for (String line : Manifest.read().kernels()) {
            Matcher m = LINE.matcher(line);
            if (!m.matches()) {
                throw new IllegalStateException("no line of a manifest: " + line);
            }
            String name = m.group(1);
            int shared = m.group(2).equals("variable") ? 0 : Integer.parseInt(m.group(2));
            Map<String, Double> numbers = Map.of("shared_bytes", (double) shared);
            try {
                module.prepare(name, shared);
                all.add(new Finding(name, true, "loaded", numbers));
            } catch (BrantasException e) {
                all.add(new Finding(name, false, String.valueOf(e.getMessage()), numbers));
            }
        }
        return all;
    }

    /// A graph of kernels that do next to nothing.
    static List<Finding> gaps(Workbench bench) {
        List<Finding> all = new ArrayList<>();
        for (boolean programmatic : new boolean[] {false, true}) {
            String name = programmatic ? "programmatic launch" : "plain launch";
            if (programmatic && !bench.device().withoutProgrammaticLaunch().isEmpty()) {
                String why = bench.device().withoutProgrammaticLaunch();
                all.add(new Finding(name, true, "not here: " + why, Map.of()));
                continue;
            }
            bench.stream().programmatic(programmatic);
            try {
                Matrix x = bench.noise("row", 1, 8, 1);
                long weight = bench.floats("norm", 8, 1).address();
                Effort effort = bench.emulated() ? Effort.TOKEN : Effort.FULL;
                Timing timing =
                        Timing.of(
                                bench,
                                i ->
                                        bench.launchers()
                                                .norm()
                                                .launch(
                                                        bench.stream(),
                                                        x,
                                                        x,
                                                        weight,
                                                        Rows.of(0, 1),
                                                        1e-6f),
                                NODES,
                                effort);
                all.add(gap(name, timing));
            } finally {
                bench.stream().programmatic(true);
                bench.clear();
            }
        }
        return all;
    }

    private static Finding gap(String name, Timing timing) {
        String text =
                String.format(
                        Locale.ROOT,
                        "%.2f µs from kernel to kernel in a graph of %d",
                        timing.median(),
                        timing.launches());
        return new Finding(
                name,
                true,
                text,
                Map.of(
                        "microseconds", timing.median(),
                        "microseconds_min", timing.least(),
                        "nodes", (double) timing.launches()));
    }

    /// Copies a gigabyte within the device; it is read and written.
    static List<Finding> copy(Workbench bench) {
        long bytes =
                bench.emulated()
                        ? 1 << 20
                        : Math.min(1L << 30, (bench.device().freeMemory() / 4) & -(1L << 20));
        try {
            DeviceMemory from = bench.room("copied from", bytes);
            DeviceMemory to = bench.room("copied to", bytes);
            Effort effort = bench.emulated() ? Effort.TOKEN : Effort.FULL;
            Timing timing =
                    Timing.of(bench, i -> bench.stream().copy(to, 0, from, 0, bytes), 1, effort);
            double rate = 2 * bytes / (timing.median() * 1e-6);
            String text = String.format(Locale.ROOT, "%.0f GB/s read and written", rate * 1e-9);
            return List.of(
                    new Finding(
                            "device copy",
                            true,
                            text,
                            Map.of("bytes_per_second", rate, "bytes", (double) bytes)));
        } finally {
            bench.clear();
        }
    }
}
