package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Emulator;
import brantas.engine.Engine;
import brantas.engine.EngineLimits;
import brantas.engine.Generation;
import brantas.engine.GenerationRequest;
import brantas.model.ModelLoader;
import brantas.model.Qwen35;
import brantas.op.Backend;
import brantas.settings.Sampling;
import brantas.spi.BackendProvider.Choice;
import com.sun.management.ThreadMXBean;
import java.lang.System.Logger.Level;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a decoded token costs in Java, for the shapes of a published size: planning, the step
/// block, the launch of the graph, the way back of the token. Kernels do nothing here and weights
/// are not moved, and the time inside the stand-in for the driver is taken off. The time is printed
/// and not judged; what is judged is that a step allocates nothing.
@Tag("thorough")
class StepCostTest {
    private static final int WARM_UP = 4_000;
    private static final int STEPS = 4_000;

    @TempDir Path folder;

    @AfterEach
    void forget() {
        Emulator.reset();
    }

    @Test
    void aStepOf35BAllocatesNothing() {
        Emulator.choose("KERNELS", "skip");
        Emulator.choose("DATA", "skip-large");
        Emulator.choose("MEMORY", 160L << 30);
        try (ZeroWeights weights = new ZeroWeights("35B-A3B", folder);
                Backend ops = new CudaProvider().open(new Choice("auto", true, false))) {
            Qwen35 model = ModelLoader.load(ops, weights);
            BitSet allowed = new BitSet();
            allowed.set(0, model.config().vocabSize());
            EngineLimits limits = EngineLimits.of(1, WARM_UP + STEPS + 64);
            try (Engine engine = new Engine(model, limits, allowed)) {
                Generation generation =
                        engine.submit(
                                new GenerationRequest(
                                        new int[] {17},
                                        WARM_UP + STEPS,
                                        Sampling.GREEDY,
                                        Set.of()));
                take(generation, WARM_UP);
                long engineThread = engineThread();
                ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
                long allocated = threads.getThreadAllocatedBytes(engineThread);
                long inside = Emulator.count("nanoseconds_inside");
                long cpu = threads.getThreadCpuTime(engineThread);
                double[] micros = take(generation, STEPS - 64);
                allocated = threads.getThreadAllocatedBytes(engineThread) - allocated;
                cpu = threads.getThreadCpuTime(engineThread) - cpu;
                inside = Emulator.count("nanoseconds_inside") - inside;
                Arrays.sort(micros);
                System.getLogger("brantas.conformance")
                        .log(
                                Level.INFO,
                                "a step of 35B-A3B: median {0} µs; in the mean {1} µs of processor"
                                        + " time, and {2} µs in the stand-in for the driver; {3}"
                                        + " bytes allocated in {4} steps",
                                micros[micros.length / 2],
                                cpu / 1e3 / micros.length,
                                inside / 1e3 / micros.length,
                                allocated,
                                micros.length);
                assertThat(allocated).as("bytes in all").isLessThan(micros.length);
                EmulatedEngine.all(generation);
            }
        }
    }

    /// Microseconds between one token and the next.
    private static double[] take(Generation generation, int tokens) {
        double[] micros = new double[tokens];
        long before = System.nanoTime();
        for (int i = 0; i < tokens; i++) {
            assertThat(generation.next()).isNotNegative();
            long now = System.nanoTime();
            micros[i] = (now - before) / 1e3;
            before = now;
        }
        return micros;
    }

    private static long engineThread() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("brantas-engine"))
                .findFirst()
                .orElseThrow()
                .threadId();
    }
}
