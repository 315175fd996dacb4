package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.CudaProvider;
import brantas.cuda.driver.Emulator;
import brantas.engine.Engine;
import brantas.engine.EngineLimits;
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
import java.util.BitSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a decoded token costs in Java, for the shapes of a published size: planning, the step
/// block, the launch of the graph, the way back of the token. Kernels do nothing here and weights
/// are not moved, and the time inside the stand-in for the driver is taken off. The time is printed
/// and not judged; what is judged is that a step allocates nothing but room for its id.
@Tag("thorough")
class StepCostTest {
    private static final int STEPS = 40_000;

    /// For each id of a request: in the sequence and on its way to a reader that may be slow, in
    /// arrays that double.
    private static final int ID_BYTES = 32;

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
            EngineLimits limits = EngineLimits.of(1, 2 * STEPS);
            try (Engine engine = new Engine(model, limits, allowed)) {
                run(engine, STEPS);
                ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
                long thread = engineThread();
                long allocated = -threads.getThreadAllocatedBytes(thread);
                long cpu = -threads.getThreadCpuTime(thread);
                long inside = -Emulator.count("nanoseconds_inside");
                run(engine, STEPS);
                allocated += threads.getThreadAllocatedBytes(thread);
                cpu += threads.getThreadCpuTime(thread);
                inside += Emulator.count("nanoseconds_inside");
                System.getLogger("brantas.conformance")
                        .log(
                                Level.INFO,
                                "a step of 35B-A3B: {0} µs of processor time in the mean, {1} of them"
                                        + " in the stand-in for the driver; {2} bytes allocated in"
                                        + " {3} steps",
                                cpu / 1e3 / STEPS,
                                inside / 1e3 / STEPS,
                                allocated,
                                STEPS);
                assertThat(allocated / STEPS).as("bytes a step").isLessThan(ID_BYTES);
            }
        }
    }

    private static void run(Engine engine, int tokens) {
        int[] prompt = {17};
        EmulatedEngine.all(
                engine.submit(new GenerationRequest(prompt, tokens, Sampling.GREEDY, Set.of())));
    }

    private static long engineThread() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("brantas-engine"))
                .findFirst()
                .orElseThrow()
                .threadId();
    }
}
