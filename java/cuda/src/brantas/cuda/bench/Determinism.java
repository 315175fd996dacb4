package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Stream;
import brantas.spi.KernelLab.Finding;
import brantas.spi.KernelLab.Model;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The same launch from the same memory, again and again: every bit of what it writes must be the
/// same. Kernels that split a sum over blocks or wait for each other would show here what an
/// emulated device cannot: an order that depends on the time.
final class Determinism {
    private static final int REPEATS = 1_000;
    private static final int FEW = 3;

    /// Kernels whose work is split, shared or carried on.
    private static final Set<String> TRIED =
            Set.of(
                    "delta_step",
                    "delta_prepare",
                    "delta_scan",
                    "attend_step",
                    "expert_gemv_up",
                    "expert_gemv_down",
                    "expert_gemm_up",
                    "expert_gemm_down",
                    "expert_order");

    private Determinism() {}

    static List<Finding> of(Workbench bench, Model model) {
        Lengths lengths = bench.emulated() ? Lengths.TINY : Lengths.SHORT;
        List<Finding> all = new ArrayList<>();
        for (KernelCase c : CudaBench.cases(model, lengths)) {
            if (TRIED.contains(c.kernel()) && !c.phase().equals("table")) {
                all.add(repeat(bench, c, bench.emulated() ? FEW : REPEATS));
            }
        }
        return all;
    }

    private static Finding repeat(Workbench bench, KernelCase c, int times) {
        try {
            Run run = c.setup().on(bench, 1);
            bench.stream().synchronize();
            List<DeviceMemory> before = new ArrayList<>();
            List<MemorySegment> first = new ArrayList<>();
            for (DeviceMemory memory : run.results()) {
                DeviceMemory copy = bench.room("before", memory.bytes());
                bench.stream().copy(copy, 0, memory, 0, memory.bytes());
                before.add(copy);
            }
            int different = 0;
            for (int i = 0; i < times; i++) {
                for (int r = 0; r < before.size(); r++) {
                    DeviceMemory memory = run.results().get(r);
                    bench.stream().copy(memory, 0, before.get(r), 0, memory.bytes());
                }
                run.launch().accept(0);
                different += compare(bench, run.results(), first) ? 0 : 1;
            }
            String text =
                    different == 0
                            ? times + " times the same bits"
                            : different + " of " + times + " runs gave other bits than the first";
            return new Finding(
                    c.kernel(),
                    different == 0,
                    text,
                    Map.of("repeats", (double) times, "different", (double) different));
        } finally {
            bench.clear();
        }
    }

    /// Whether results are as those of the first run, which it takes down.
    private static boolean compare(
            Workbench bench, List<DeviceMemory> results, List<MemorySegment> first) {
        boolean taking = first.isEmpty();
        boolean same = true;
        Stream stream = bench.stream();
        for (int r = 0; r < results.size(); r++) {
            DeviceMemory memory = results.get(r);
            try (PinnedMemory back = bench.device().allocatePinned("results", memory.bytes())) {
                stream.copyOut(back, memory);
                stream.synchronize();
                if (taking) {
                    byte[] bytes = new byte[Math.toIntExact(memory.bytes())];
                    MemorySegment kept = MemorySegment.ofArray(bytes);
                    kept.copyFrom(back.segment());
                    first.add(kept);
                } else {
                    same &= back.segment().mismatch(first.get(r)) < 0;
                }
            }
        }
        return same;
    }
}
