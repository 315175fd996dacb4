package brantas.predict;

import brantas.predict.Figures.Section;
import java.util.Locale;

/// How long a launch takes on a GPU: a gap and dependent loads before and after, and between them
/// the slowest of four: the stream from memory, loads through the L2 cache, the tensor cores, and
/// ordinary arithmetic. A stream is as fast as the bytes that resident blocks keep on their way
/// allow, up to what memory gives; tensor cores as fast as `mma.sync`, shared memory and what
/// nothing hides let them be. Blocks come in waves, the last one as full as it is.
final class TimeModel {
    /// Below this part of its floor a kernel has to say why.
    static final double TARGET = 0.7;

    private final Figures figures;
    private final Section general;
    private final Gpu gpu;

    TimeModel(Figures figures, Gpu gpu) {
        this.figures = figures;
        this.general = figures.general();
        this.gpu = gpu;
    }

    /// Seconds of the parts of a launch; the longest of the last four counts.
    private record Parts(double fixed, double memory, double cache, double tensor, double issue) {
        double work() {
            return Math.max(Math.max(memory, cache), Math.max(tensor, issue));
        }
    }

    KernelTime time(Launch launch) {
        KernelForm form = figures.kernel(launch.form());
        Cost cost = launch.cost();
        double stream = cost.bytes() / gpu.bandwidth();
        double floor = Math.max(stream, cost.flops() / gpu.tensorFlops());
        Parts parts = parts(form, cost);
        double all = Math.max(parts.fixed() + parts.work(), floor);
        String reason = floor < TARGET * all ? reason(form, cost, parts, floor) : "";
        return new KernelTime(
                launch.name(),
                launch.purpose(),
                launch.calls(),
                launch.calls() * all,
                launch.calls() * floor,
                launch.calls() * cost.bytes(),
                launch.calls() * cost.moved(),
                launch.calls() * cost.flops(),
                reason);
    }

    /// Cycles that a block of this kernel takes for a step when it is alone.
    double stepCycles(KernelForm form) {
        double warpsAQuarter = Math.ceil(form.warpShare());
        double tensor = warpsAQuarter * form.mma() * mmaCycles();
        return Math.max(tensor, shared(form)) + form.stepCycles();
    }

    private double mmaCycles() {
        return gpu.mmaCycles() / gpu.mmaFraction();
    }

    private double shared(KernelForm form) {
        return form.sharedStep() / general.value("shared_bytes_per_cycle");
    }

    /// Cycles of a multiprocessor that a step costs when several blocks take turns.
    private double busyCycles(KernelForm form) {
        double tensor = form.warpShare() * form.mma() * mmaCycles();
        return Math.max(tensor, shared(form)) / general.value("tensor_overlap");
    }

    private boolean programmatic() {
        return gpu.capability() >= general.value("programmatic_from");
    }

    private double micros(String key) {
        return general.value(key) * 1e-6;
    }

    private double latency(KernelForm form) {
        return micros(form.sourceCache() ? "cache_latency_us" : "memory_latency_us");
    }

    private Parts parts(KernelForm form, Cost cost) {
        double gap = micros(programmatic() ? "dependent_gap_us" : "launch_gap_us");
        double first = programmatic() && form.prefetch() ? 0 : latency(form);
        double fixed = gap + first + form.roundTrips() * micros("cache_latency_us");
        double cycles = gpu.multiprocessors() * gpu.clock();
        double cache = cost.cached() / (cycles * general.value("l2_bytes_per_cycle"));
        double issue = cost.instructions() / (cycles * 128 * general.value("issue_fraction"));
        return new Parts(fixed, memory(form, cost), cache, tensor(form, cost), issue);
    }

    /// One wave after the other through the resident blocks.
    private double memory(KernelForm form, Cost cost) {
        double slots = (double) gpu.multiprocessors() * gpu.resident(form);
        double each = cost.moved() / cost.blocks();
        double full = Math.floor(cost.blocks() / slots);
        double rest = cost.blocks() - full * slots;
        double time = full > 0 ? full * slots * each / rate(form, cost, slots) : 0;
        double last = rest > 0 ? rest * each / rate(form, cost, rest) : 0;
        return time + last;
    }

    /// Bytes per second that so many blocks at a time move.
    private double rate(KernelForm form, Cost cost, double blocks) {
        double each = cost.moved() / cost.blocks();
        double way = latency(form) * each / form.inFlight();
        double steps = cost.steps() * stepCycles(form) / gpu.clock();
        double alone = Math.max(way, steps) + form.chainCycles() / gpu.clock();
        double busy = Math.min(blocks, gpu.multiprocessors());
        double entry = busy * general.value("sm_bytes_per_cycle") * gpu.clock();
        double most = gpu.bandwidth() * general.value("bandwidth_fraction");
        return Math.min(most, Math.min(entry, blocks * each / alone));
    }

    private double tensor(KernelForm form, Cost cost) {
        if (form.mma() == 0 || cost.steps() == 0) {
            return 0;
        }
        int resident = gpu.resident(form);
        double slots = (double) gpu.multiprocessors() * resident;
        double full = Math.floor(cost.blocks() / slots);
        double rest = Math.ceil((cost.blocks() - full * slots) / gpu.multiprocessors());
        double cycles = full * round(form, resident) + (rest > 0 ? round(form, rest) : 0);
        double before = latency(form) + form.chainCycles() / gpu.clock();
        return cost.steps() * cycles / gpu.clock() + before;
    }

    /// Cycles in which so many blocks of a multiprocessor do a step each.
    private double round(KernelForm form, double blocks) {
        return Math.max(stepCycles(form), blocks * busyCycles(form));
    }

    private String reason(KernelForm form, Cost cost, Parts parts, double floor) {
        double lost = parts.fixed() + parts.work() - floor;
        if (parts.fixed() >= lost / 2) {
            return "latency: launch and dependent loads take %s µs beside %s µs of work"
                    .formatted(shown(parts.fixed() * 1e6), shown(parts.work() * 1e6));
        }
        if (parts.work() == parts.tensor()) {
            return tensorReason(form, cost);
        }
        if (parts.work() == parts.cache()) {
            double rate = general.value("l2_bytes_per_cycle");
            return "L2 cache: blocks load %s MB at %s B a cycle and multiprocessor"
                    .formatted(shown(cost.cached() * 1e-6), shown(rate));
        }
        if (parts.work() == parts.issue()) {
            return "arithmetic: %s million lane instructions"
                    .formatted(shown(cost.instructions() * 1e-6));
        }
        return streamReason(form, cost);
    }

    private String streamReason(KernelForm form, Cost cost) {
        double blocks =
                Math.min(cost.blocks(), (double) gpu.multiprocessors() * gpu.resident(form));
        if (blocks >= gpu.multiprocessors() && cost.moved() > 1.2 * cost.bytes()) {
            return "reads what it needs %s times".formatted(shown(cost.moved() / cost.bytes()));
        }
        double rate = rate(form, cost, blocks) / gpu.bandwidth();
        return "parallelism: %s of its blocks at a time on %d multiprocessors stream at %.0f %% of the bandwidth"
                .formatted(shown(blocks), gpu.multiprocessors(), 100 * rate);
    }

    private String tensorReason(KernelForm form, Cost cost) {
        double useful = cost.flops() / 4096 / (cost.blocks() * cost.steps() * form.mma());
        double fill = useful / Math.max(1, form.threads() / 32);
        double busiest = shared(form) > form.warpShare() * form.mma() * mmaCycles() ? 1 : 0;
        if (cost.blocks() <= gpu.multiprocessors()) {
            return "serial: %s blocks on %d multiprocessors, each %s steps of %s cycles in a row"
                    .formatted(
                            shown(cost.blocks()),
                            gpu.multiprocessors(),
                            shown(cost.steps()),
                            shown(stepCycles(form)));
        }
        return "tensor cores: mma.sync reaches %.0f %% of the dense rate, %.0f %% of it does what is counted%s"
                .formatted(
                        100 * gpu.mmaFraction(),
                        100 * Math.min(1, fill),
                        busiest > 0 ? ", shared memory is the busier" : "");
    }

    private static String shown(double value) {
        String format = Math.abs(value) < 9.95 && value != Math.rint(value) ? "%.1f" : "%.0f";
        return String.format(Locale.ROOT, format, value);
    }
}
