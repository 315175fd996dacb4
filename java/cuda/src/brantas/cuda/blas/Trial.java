package brantas.cuda.blas;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Event;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.Gemm;
import brantas.cuda.launch.Gemm.Result;
import brantas.cuda.launch.Matrix;
import java.util.Locale;

/// Which of two ways to multiply is faster on this device: measured between events on one product
/// of a prompt's size, bf16 `[512, 2048] · [2048, 2048]ᵀ`, with fewer outputs on a device of few
/// multiprocessors. Each way runs once to warm up and then a few times in turn with the other; its
/// fastest time counts, because all that disturbs a measurement makes it longer.
final class Trial {
    private static final int ROWS = 512;
    private static final int DEPTH = 2048;
    private static final int OUTPUTS = 2048;
    private static final int OUTPUTS_OF_ONE = 128;
    private static final int RUNS = 3;

    private final Device device;
    private final Stream stream;
    private final int outputs;

    Trial(Device device, Stream stream) {
        this.device = device;
        this.stream = stream;
        outputs = Math.min(OUTPUTS, OUTPUTS_OF_ONE * device.info().multiprocessors());
    }

    /// Measures both.
    ///
    /// @return empty if cuBLAS is to be used, else why not
    String reason(Gemm ours, VendorGemm vendor) {
        String reason = measured(ours, vendor);
        // Nothing later is of these sizes.
        device.trim();
        return reason;
    }

    private String measured(Gemm ours, VendorGemm vendor) {
        // Zeros: values change neither way's work.
        try (DeviceMemory x = device.allocate("a trial's rows", 2L * ROWS * DEPTH);
                DeviceMemory weight = device.allocate("a trial's weight", 2L * outputs * DEPTH);
                DeviceMemory dst = device.allocate("a trial's result", 2L * ROWS * outputs);
                Event start = device.event(true);
                Event end = device.event(true)) {
            Matrix from = new Matrix(x.address(), ROWS, DEPTH, DEPTH);
            Matrix by = new Matrix(weight.address(), outputs, DEPTH, DEPTH);
            Matrix to = new Matrix(dst.address(), ROWS, outputs, outputs);
            Rows rows = Rows.of(0, ROWS);
            Runnable our = () -> ours.launch(stream, Result.BF16, to, from, by, rows);
            Runnable their = () -> vendor.launch(Result.BF16, to, from, by, rows);
            our.run();
            their.run();
            float ourBest = Float.MAX_VALUE;
            float theirBest = Float.MAX_VALUE;
            for (int i = 0; i < RUNS; i++) {
                ourBest = Math.min(ourBest, milliseconds(our, start, end));
                theirBest = Math.min(theirBest, milliseconds(their, start, end));
            }
            return reason(ourBest, theirBest);
        }
    }

    private float milliseconds(Runnable product, Event start, Event end) {
        stream.record(start);
        product.run();
        stream.record(end);
        end.synchronize();
        return end.millisecondsSince(start);
    }

    /// The decision alone: a tie goes to our kernel, whose rows do not depend on each other.
    static String reason(float ours, float theirs) {
        if (theirs < ours) {
            return "";
        }
        return String.format(
                Locale.ROOT,
                "a product takes it %.3g ms and our kernel %.3g ms on this device",
                theirs,
                ours);
    }
}
