package brantas.predict;

import brantas.format.ModelConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The prediction for a model on a GPU: every kernel of a decode step and of a prompt with its
/// time, and what they add up to. Kernels follow each other without overlap.
///
/// @param decode kernels of one decode step, in the order of a layer
/// @param prefill kernels of a whole prompt, likewise
/// @param stepBytes that a decode step must move by formula
/// @param hostSeconds between the last kernel of a step and the first of the next
/// @param steps of the prompt
/// @param memoryBytes weights, states and caches
/// @param chunkCycles that the delta rule's scan takes for a chunk, one after the other
public record Plan(
        Request request,
        Gpu gpu,
        String weights,
        List<KernelTime> decode,
        List<KernelTime> prefill,
        double stepBytes,
        double hostSeconds,
        int steps,
        double memoryBytes,
        double chunkCycles,
        List<String> assumptions) {
    /// Predicts.
    ///
    /// @param gpu short name of a GPU
    public static Plan of(ModelConfig config, String gpu, Request request) {
        Figures figures = Figures.load();
        Gpu device = figures.gpu(gpu);
        Sizes sizes = new Sizes(config);
        WeightForm form = WeightForm.BF16;
        TimeModel model = new TimeModel(figures, device);
        Merged decode = new Merged(model);
        decode.add(DecodeStep.of(sizes, form, request.batch(), request.context()));
        Merged prefill = new Merged(model);
        int steps = 0;
        for (int past = 0; past < request.prompt(); past += request.chunk(), steps++) {
            int rows = Math.min(request.chunk(), request.prompt() - past);
            prefill.add(PrefillStep.of(sizes, form, device, rows, past));
        }
        prefill.add(DecodeStep.lastPosition(sizes, form));
        String scan = PrefillStep.scanVariant(sizes, device);
        return new Plan(
                request,
                device,
                form.name(),
                decode.kernels(),
                prefill.kernels(),
                sizes.stepBytes(form, request.batch(), request.context()),
                figures.general().value("host_step_us") * 1e-6,
                steps,
                sizes.memoryBytes(form, request.batch(), request.context()),
                model.stepCycles(figures.kernel(scan)),
                assumptions(figures, device));
    }

    /// The short names of the GPUs that can be asked for.
    public static List<String> gpus() {
        return Figures.load().gpus();
    }

    private static List<String> assumptions(Figures figures, Gpu gpu) {
        List<String> all = new ArrayList<>(figures.general().lines());
        gpu.sources().forEach(line -> all.add(gpu.name() + " " + line));
        all.add("weights: bf16, read once a step");
        all.add("experts: uniform routing");
        all.add("prompt: one sequence; the host stays ahead of the device");
        return all;
    }

    /// Kernels by name and purpose.
    private record Merged(TimeModel model, Map<String, KernelTime> all) {
        Merged(TimeModel model) {
            this(model, new LinkedHashMap<>());
        }

        void add(List<Launch> launches) {
            for (Launch launch : launches) {
                String key = launch.name() + "/" + launch.purpose();
                all.merge(key, model.time(launch), KernelTime::and);
            }
        }

        List<KernelTime> kernels() {
            return List.copyOf(all.values());
        }
    }

    private static double seconds(List<KernelTime> kernels) {
        return kernels.stream().mapToDouble(KernelTime::seconds).sum();
    }

    /// Tokens per second of all sequences together.
    public double decodeTokensPerSecond() {
        return request.batch() / (seconds(decode) + hostSeconds);
    }

    /// The same if memory gave its bandwidth and nothing else took time.
    public double floorTokensPerSecond() {
        return request.batch() * gpu.bandwidth() / stepBytes;
    }

    /// Tokens of a prompt per second.
    public double prefillTokensPerSecond() {
        return request.prompt() / (seconds(prefill) + steps * hostSeconds);
    }

    /// The same if every kernel took its own floor.
    public double prefillFloorTokensPerSecond() {
        return request.prompt() / prefill.stream().mapToDouble(KernelTime::floor).sum();
    }

    /// Launches of a decode step.
    public int launches() {
        return decode.stream().mapToInt(KernelTime::calls).sum();
    }

    /// Bytes that the kernels of a decode step move.
    public double movedBytes() {
        return decode.stream().mapToDouble(KernelTime::moved).sum();
    }

    /// Whether weights, states and caches fit into the GPU's memory.
    public boolean fits() {
        return memoryBytes <= gpu.memory();
    }

    /// What was aimed at for this combination, and what is predicted.
    public List<Goal> goals() {
        return Goal.of(this);
    }
}
