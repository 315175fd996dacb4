package brantas.cuda.bench;

import brantas.cuda.KernelImage;
import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.bench.Timing.Effort;
import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Manifest;
import brantas.cuda.driver.Module;
import brantas.settings.BrantasException;
import brantas.spi.KernelLab;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;

/// A device with its kernels loaded, and what can be done with it.
final class CudaBench implements KernelLab.Bench {
    private final Device device;
    private final Path image;
    private final Module module;
    private final Peaks peaks;
    private final Workbench bench;

    CudaBench(Device device) {
        this.device = device;
        this.image = KernelImage.find();
        this.module = device.load(image, Manifest.read());
        this.peaks = Peaks.of(device.info().name());
        Launchers launchers = Launchers.of(module, device.info());
        this.bench = new Workbench(device, device.stream("bench"), launchers);
    }

    @Override
    public KernelLab.About about() {
        DeviceInfo info = device.info();
        return new KernelLab.About(
                info.name(),
                info.emulated(),
                info.capability(),
                info.multiprocessors(),
                info.totalMemory(),
                info.driver(),
                image.toString(),
                hash(image),
                module.programmaticLaunch(),
                peaks.bytesPerSecond(),
                peaks.flopsPerSecond(),
                peaks.cacheBytes());
    }

    private static String hash(Path file) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(digest.digest(Files.readAllBytes(file)));
        } catch (IOException e) {
            throw new BrantasException(file + " cannot be read: build the kernels again.", e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /// Every launch of both steps, and the shapes of published tables.
    static List<KernelCase> cases(KernelLab.Model model, Lengths lengths) {
        List<KernelCase> all = new ArrayList<>();
        all.addAll(RowCases.decode(model, lengths));
        all.addAll(GemvCases.decode(model, lengths));
        all.addAll(StepCases.decode(model, lengths));
        all.addAll(ChoiceCases.decode(model));
        all.addAll(RowCases.prefill(model, lengths));
        all.addAll(LinearCases.prefill(model, lengths));
        all.addAll(DeltaCases.prefill(model, lengths));
        all.addAll(AttentionCases.prefill(model, lengths));
        all.addAll(ChoiceCases.prefill(model, lengths));
        all.addAll(ExpertCases.prefill(model, lengths));
        return all;
    }

    @Override
    public List<KernelLab.KernelTime> measure(
            KernelLab.Model model, Consumer<KernelLab.KernelTime> each) {
        Lengths lengths = bench.emulated() ? Lengths.TINY : Lengths.PUBLISHED;
        KernelLab.Model measured = bench.emulated() ? Tiny.of(model) : model;
        List<KernelLab.KernelTime> all = new ArrayList<>();
        for (KernelCase c : cases(measured, lengths)) {
            KernelLab.KernelTime time = time(c);
            each.accept(time);
            all.add(time);
        }
        return all;
    }

    private KernelLab.KernelTime time(KernelCase c) {
        int copies = copies(c);
        Effort effort = bench.emulated() ? Effort.TOKEN : Effort.FULL;
        try {
            Run run = c.setup().on(bench, copies);
            Timing timing = Timing.of(bench, run.launch(), copies, effort);
            return new KernelLab.KernelTime(
                    c.phase(),
                    c.kernel(),
                    c.purpose(),
                    c.shape(),
                    timing.median(),
                    timing.least(),
                    timing.repeats(),
                    timing.launches(),
                    copies,
                    c.bytes(),
                    c.flops());
        } finally {
            bench.clear();
        }
    }

    /// As many copies as are twice the L2 cache, where they fit.
    private int copies(KernelCase c) {
        if (c.footprint() == KernelCase.ONE_COPY) {
            return 1;
        }
        if (bench.emulated()) {
            return 2;
        }
        long wanted = Math.ceilDiv(2 * peaks.cacheBytes(), c.footprint());
        long fitting = device.freeMemory() / 2 / c.footprint();
        return (int) Math.clamp(Math.min(wanted, fitting), 1L, 64L);
    }

    @Override
    public List<KernelLab.Finding> run(KernelLab.Trial trial, KernelLab.Model model) {
        KernelLab.Model tried = bench.emulated() ? Tiny.of(model) : model;
        return switch (trial) {
            case LOAD -> Trials.load(module);
            case DETERMINISM -> Determinism.of(bench, tried);
            case GAPS -> Trials.gaps(bench);
            case COPY -> Trials.copy(bench);
            case VARIANTS -> Variants.of(bench, module, tried);
        };
    }

    @Override
    public void close() {
        device.close();
    }
}
