package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.cuda.driver.Device;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Devices;
import brantas.cuda.driver.Emulator;
import brantas.cuda.driver.Manifest;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.PinnedMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.op.DeltaShape;
import brantas.tensor.Bf16;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The launchers with a norm on the emulated device: each leaves the bytes that the launchers of
/// its parts leave, and how many rows they take.
class GemvTest {
    private static final int ROWS = 3;
    private static final int OUT = 40;
    private static final float EPS = 1e-6f;

    private final Random random = new Random(11);
    private Device device;
    private Stream stream;
    private Gemv gemv;
    private Module module;

    @BeforeEach
    void open() {
        Emulator.reset();
        Devices devices = Devices.find();
        device = devices.open(devices.list().getFirst());
        stream = device.stream("test");
        module = device.load(Emulator.kernels(), Manifest.read());
        gemv = new Gemv(module, device.info());
    }

    @AfterEach
    void close() {
        device.close();
    }

    /// Bytes on the device, random small bf16 or fp32 values.
    private DeviceMemory values(int count, boolean wide) {
        int bytes = count * (wide ? Float.BYTES : Short.BYTES);
        try (PinnedMemory host = device.allocatePinned("values", bytes)) {
            MemorySegment to = host.segment();
            for (int i = 0; i < count; i++) {
                float value = (float) random.nextGaussian() / 4;
                if (wide) {
                    to.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
                } else {
                    to.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.of(value));
                }
            }
            DeviceMemory memory = device.allocate("values", bytes);
            stream.copyIn(memory, host);
            stream.synchronize();
            return memory;
        }
    }

    private Matrix matrix(int rows, int cols) {
        return new Matrix(values(rows * cols, false).address(), rows, cols, cols);
    }

    /// A result that begins with the bytes of another.
    private DeviceMemory copy(DeviceMemory of) {
        DeviceMemory memory = device.allocate("result", of.bytes());
        stream.copy(memory, 0, of, 0, of.bytes());
        return memory;
    }

    private byte[] bytes(DeviceMemory memory) {
        try (PinnedMemory host = device.allocatePinned("bytes", memory.bytes())) {
            stream.copyOut(host, memory);
            stream.synchronize();
            return host.segment().toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private static Matrix of(DeviceMemory memory, int cols) {
        return new Matrix(memory.address(), ROWS, cols, cols);
    }

    @Test
    void normedIsRmsNormAndProduct() {
        Matrix x = matrix(ROWS, 136);
        Matrix normed = matrix(ROWS, 136);
        Matrix weight = matrix(OUT, 136);
        long norm = values(136, true).address();
        DeviceMemory fused = values(ROWS * OUT, false);
        DeviceMemory parts = copy(fused);
        Rows rows = Rows.of(1, ROWS);

        gemv.normed(stream, of(fused, OUT), new Gemv.Normed(x, norm, EPS), weight, rows);
        new RmsNorm(module).launch(stream, normed, x, norm, rows, EPS);
        gemv.launch(stream, Gemm.Result.BF16, of(parts, OUT), normed, weight, rows);

        assertThat(bytes(fused)).isEqualTo(bytes(parts));
    }

    @Test
    void normedSwiGluIsRmsNormAndProductWithSwiGlu() {
        Matrix x = matrix(ROWS, 136);
        Matrix normed = matrix(ROWS, 136);
        Matrix weight = matrix(96, 136);
        long norm = values(136, true).address();
        DeviceMemory fused = values(ROWS * 48, false);
        DeviceMemory parts = copy(fused);
        Rows rows = Rows.of(0, ROWS);

        gemv.normedSwiGlu(stream, of(fused, 48), new Gemv.Normed(x, norm, EPS), weight, rows);
        new RmsNorm(module).launch(stream, normed, x, norm, rows, EPS);
        gemv.launch(stream, Gemm.Result.SWIGLU, of(parts, 48), normed, weight, rows);

        assertThat(bytes(fused)).isEqualTo(bytes(parts));
    }

    @Test
    void logitsAreThoseOfTheRowsThatTheStepNames() {
        Matrix x = matrix(ROWS, 64);
        Matrix gathered = matrix(ROWS, 64);
        Matrix weight = matrix(OUT, 64);
        long norm = values(64, true).address();
        DeviceMemory fused = values(ROWS * OUT, true);
        DeviceMemory parts = copy(fused);
        // Of three outputs the window has the last two; there is room for a row more.
        long step = step(1, 2, new int[] {0, 2, 1});
        Rows rows = Rows.of(0, ROWS);

        gemv.logits(stream, of(fused, OUT), new Gemv.Normed(x, norm, EPS), weight, step, rows);
        new GatherRows(module).launch(stream, gathered, x, step, rows);
        Rows window = Rows.of(0, 2);
        new RmsNorm(module).launch(stream, gathered, gathered, norm, window, EPS);
        gemv.launch(stream, Gemm.Result.F32, of(parts, OUT), gathered, weight, window);

        assertThat(bytes(fused)).isEqualTo(bytes(parts));
    }

    /// A step block of which only the window and the rows of the outputs are set.
    private long step(int from, int count, int[] outputRows) {
        int header = 72;
        try (PinnedMemory host = device.allocatePinned("step", header + 4L * outputRows.length)) {
            MemorySegment to = host.segment();
            to.setAtIndex(ValueLayout.JAVA_INT, 4, from);
            to.setAtIndex(ValueLayout.JAVA_INT, 5, count);
            to.setAtIndex(ValueLayout.JAVA_INT, 15, header);
            for (int i = 0; i < outputRows.length; i++) {
                to.setAtIndex(ValueLayout.JAVA_INT, header / 4 + i, outputRows[i]);
            }
            DeviceMemory memory = device.allocate("step", host.bytes());
            stream.copyIn(memory, host);
            stream.synchronize();
            return memory.address();
        }
    }

    @Test
    void gatedIsGatedNormAndProductOnTheResidual() {
        DeltaShape shape = new DeltaShape(1, 2, 128, 128, 4, EPS);
        Matrix o = matrix(ROWS, shape.valueWidth());
        Matrix projected = matrix(ROWS, shape.projected() + 4);
        Matrix normed = matrix(ROWS, shape.valueWidth());
        Matrix weight = matrix(OUT, shape.valueWidth());
        long norm = values(128, true).address();
        DeviceMemory fused = values(ROWS * OUT, false);
        DeviceMemory parts = copy(fused);
        Rows rows = Rows.of(0, ROWS);

        gemv.gated(stream, of(fused, OUT), new Gemv.Gated(o, projected, norm, shape), weight, rows);
        new GatedNorm(module)
                .launch(stream, new GatedNorm.Operands(normed, o, projected, norm), shape, rows);
        gemv.launch(stream, Gemm.Result.ADD, of(parts, OUT), normed, weight, rows);

        assertThat(bytes(fused)).isEqualTo(bytes(parts));
    }

    @Test
    void moreRowsThanFitAreRefused() {
        Matrix x = matrix(5, 64);
        Gemv.Normed normed = new Gemv.Normed(x, values(64, true).address(), EPS);
        Matrix weight = matrix(16, 64);
        Matrix dst = matrix(5, 16);

        assertThatThrownBy(() -> gemv.normed(stream, dst, normed, weight, Rows.of(0, 5)))
                .hasMessage("gemv_norm_bf16 takes 4 rows of 64 at most, not 5");
    }

    @Test
    void rowsThatFitSharedMemoryAreTakenTogether() {
        for (int depth = 1; depth <= 8192; depth++) {
            assertThat(Gemv.fusedRows(depth)).as("of %d", depth).isEqualTo(4);
        }
        assertThat(Gemv.fusedRows(16_384)).isEqualTo(2);
        assertThat(Gemv.fusedRows(32_768)).isEqualTo(1);
        assertThat(Gemv.fusedRows(65_536)).isZero();
    }
}
