package brantas;

import brantas.format.Checkpoint;
import brantas.format.Checkpoint.Load;
import brantas.format.KnownSizes;
import brantas.format.ModelConfig;
import brantas.format.Progress;
import brantas.predict.Goal;
import brantas.predict.KernelTime;
import brantas.predict.Plan;
import brantas.predict.Request;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/// Speed that a model is predicted to have on a GPU that need not be here: a plan from byte counts,
/// operations, launches and stated figures, not a measurement.
///
/// @param model name or folder name
/// @param gpu short name
/// @param gpuTitle its full name
/// @param weights form of the weights
/// @param lengths what was asked for
/// @param bytesPerToken that decoding cannot do without, by formula
/// @param bytesRead that the kernels of a decode step move for each token
/// @param decode tokens per second of all sequences together, and the floor
/// @param prefill tokens per second of a prompt, and the floor
/// @param launchesPerToken kernels of a decode step
/// @param hostMicros of a step in which the device waits for the host
/// @param serialCyclesPerChunk of the delta rule's scan over a prompt
/// @param memory bytes needed and present
/// @param kernels all of them, decode first
/// @param goals what was aimed at for this combination
/// @param assumptions every figure used, with where it comes from
public record Prediction(
        String model,
        String gpu,
        String gpuTitle,
        String weights,
        Lengths lengths,
        double bytesPerToken,
        double bytesRead,
        Speed decode,
        Speed prefill,
        int launchesPerToken,
        double hostMicros,
        double serialCyclesPerChunk,
        Memory memory,
        List<Kernel> kernels,
        List<Target> goals,
        List<String> assumptions) {
    /// What was asked for.
    ///
    /// @param context positions of each sequence that decodes
    /// @param batch sequences that decode together
    /// @param prompt tokens of a prompt
    /// @param chunk tokens of it in one step
    public record Lengths(int context, int batch, int prompt, int chunk) {
        /// One sequence at 4,096 positions; a prompt of 8,192 tokens in one step.
        public static final Lengths DEFAULT = new Lengths(4_096, 1, 8_192, 8_192);
    }

    /// Tokens per second.
    ///
    /// @param floor if the device gave what its data sheet says and nothing else took time
    public record Speed(double tokensPerSecond, double floor) {
        /// The part of the floor that is reached.
        public double fraction() {
            return tokensPerSecond / floor;
        }
    }

    /// Bytes of weights, states and caches, and of the device.
    public record Memory(double needed, double available) {
        /// Whether it would run at all.
        public boolean fits() {
            return needed <= available;
        }
    }

    /// A kernel's calls for one purpose, in a decode step or over a prompt.
    ///
    /// @param phase `decode` or `prefill`
    /// @param microseconds of all calls together
    /// @param bytes that must be moved
    /// @param floorFraction part of the time that it would take at best
    /// @param belowTarget whether that is less than 0.7
    /// @param reason why, else empty
    public record Kernel(
            String phase,
            String name,
            String purpose,
            int calls,
            double microseconds,
            double bytes,
            double flops,
            double floorFraction,
            boolean belowTarget,
            String reason) {
        static Kernel of(String phase, KernelTime k) {
            return new Kernel(
                    phase,
                    k.name(),
                    k.purpose(),
                    k.calls(),
                    k.seconds() * 1e6,
                    k.bytes(),
                    k.flops(),
                    k.floorFraction(),
                    k.belowTarget(),
                    k.reason());
        }
    }

    /// Something that was aimed at.
    ///
    /// @param what in words
    /// @param measure as `goals.txt` explains it
    /// @param wanted with relation and unit
    public record Target(
            String what, String measure, String wanted, double predicted, boolean reached) {
        static Target of(Goal g) {
            String value =
                    g.value() == Math.rint(g.value())
                            ? Long.toString((long) g.value())
                            : Double.toString(g.value());
            String wanted = (g.least() ? "≥ " : "≤ ") + value + " " + g.unit();
            return new Target(g.what(), g.measure(), wanted, g.predicted(), g.reached());
        }
    }

    /// Predicts for a known size such as `35B-A3B`.
    public static Prediction ofSize(String size, String gpu, Lengths lengths) {
        return of(size, KnownSizes.config(size), gpu, lengths);
    }

    /// Predicts for the model of a checkpoint folder; reads headers only.
    public static Prediction of(Path folder, String gpu, Lengths lengths) {
        try (Checkpoint c = Checkpoint.open(folder, Load.MAP, Progress.NONE)) {
            return of(c.name(), c.config(), gpu, lengths);
        }
    }

    /// The GPUs there are figures of.
    public static List<String> gpus() {
        return Plan.gpus();
    }

    private static Prediction of(String name, ModelConfig config, String gpu, Lengths l) {
        Plan p = Plan.of(config, gpu, new Request(name, l.context, l.batch, l.prompt, l.chunk));
        List<Kernel> kernels = new ArrayList<>();
        Stream<Kernel> decode = p.decode().stream().map(k -> Kernel.of("decode", k));
        Stream<Kernel> prefill = p.prefill().stream().map(k -> Kernel.of("prefill", k));
        Stream.concat(decode, prefill).forEach(kernels::add);
        return new Prediction(
                name,
                p.gpu().name(),
                p.gpu().title(),
                p.weights(),
                l,
                p.stepBytes() / l.batch,
                p.movedBytes() / l.batch,
                new Speed(p.decodeTokensPerSecond(), p.floorTokensPerSecond()),
                new Speed(p.prefillTokensPerSecond(), p.prefillFloorTokensPerSecond()),
                p.launches(),
                p.hostSeconds() * 1e6,
                p.chunkCycles(),
                new Memory(p.memoryBytes(), p.gpu().memory()),
                kernels,
                p.goals().stream().map(Target::of).toList(),
                p.assumptions());
    }
}
