package brantas;

import brantas.engine.GreedyParity;
import brantas.format.FeedForwardConfig;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.model.Shapes;
import brantas.spi.KernelLab;
import brantas.spi.KernelLab.About;
import brantas.spi.KernelLab.Finding;
import brantas.spi.KernelLab.KernelTime;
import brantas.spi.KernelLab.Trial;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/// A GPU looked at kernel by kernel: what each takes at the shapes of a known size, and trials of
/// the device itself. On the emulated device everything runs with tiny shapes, and times mean
/// nothing.
public final class GpuLab implements AutoCloseable {
    private final KernelLab.Bench bench;

    private GpuLab(KernelLab.Bench bench) {
        this.bench = bench;
    }

    /// How far two backends choose the same tokens, see [#parity].
    ///
    /// @param tokens compared
    /// @param together tokens from the beginning that both generate by themselves
    /// @param equal same choices when both are led along the CPU's text
    /// @param widest by how much the CPU prefers its own choice where they differ, at most, as a
    ///   part of its largest logit
    public record Parity(int tokens, int together, int equal, double widest) {}

    /// Opens the device that the options name.
    ///
    /// @throws brantas.settings.BrantasException if there is none that can be used
    public static GpuLab open(Options options) {
        return new GpuLab(Backends.lab(options));
    }

    /// What the device is.
    public About about() {
        return bench.about();
    }

    /// Measures the kernels of a known size such as `35B-A3B`.
    public List<KernelTime> measure(String size, Consumer<KernelTime> each) {
        return bench.measure(model(size), each);
    }

    /// Tries something at the shapes of a known size.
    public List<Finding> run(Trial trial, String size) {
        return bench.run(trial, model(size));
    }

    private static KernelLab.Model model(String size) {
        ModelConfig config = KnownSizes.config(size);
        int inner =
                config.feedForward() instanceof FeedForwardConfig.Dense d ? d.intermediate() : 0;
        return new KernelLab.Model(size, Shapes.all(config), config.hiddenSize(), inner);
    }

    /// Compares the greedy choices of the GPU with the CPU's.
    ///
    /// @param folder a checkpoint
    /// @param options which GPU
    /// @param tokens that are generated
    public static Parity parity(Path folder, Options options, int tokens) {
        ModelText text = ModelText.open(folder);
        int[] prompt = text.prompt(Request.of("Why is the sky blue?").mode(Mode.FAST)).ids();
        long positions = 2L * (prompt.length + tokens) + 96;
        Options one = options.withSequences(1);
        try (LoadedModel cpu = LoadedModel.open(folder, one.withBackend("simd"), positions);
                LoadedModel gpu = LoadedModel.open(folder, one.withBackend("cuda"), positions)) {
            GreedyParity p = GreedyParity.of(cpu.model(), gpu.model(), prompt, tokens);
            return new Parity(p.tokens(), p.together(), p.equal(), p.widest());
        }
    }

    @Override
    public void close() {
        bench.close();
    }
}
