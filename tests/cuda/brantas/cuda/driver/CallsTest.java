package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// What becomes of the driver's codes, and what it says of a driver that does not start.
class CallsTest {
    private final DriverLibrary driver = new DriverLibrary(name -> Optional.empty(), 12_060);
    private final Calls calls = new Calls(driver, "Card (device 0)");

    @Test
    void successPasses() {
        assertThatCode(() -> calls.check(0, "cuMemFree", "a block")).doesNotThrowAnyException();
        assertThatCode(calls::requireUsable).doesNotThrowAnyException();
    }

    @Test
    void failuresNameOperationSubjectDeviceAndCode() {
        assertThatThrownBy(() -> calls.check(1, "cuMemFree", "a block"))
                .isInstanceOf(DeviceException.class)
                .hasMessage("cuMemFree failed for a block on Card (device 0): CUDA error 1");
        assertThat(calls.unusable()).isFalse();
    }

    @Test
    void memoryThatIsOutIsForTheUser() {
        assertThatThrownBy(() -> calls.check(2, "cuGraphInstantiate", "a graph"))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "cuGraphInstantiate failed for a graph on Card (device 0): CUDA error 2:"
                                + " free memory there, or lower --context or --sequences.");
    }

    @Test
    void theFirstFatalErrorIsNamedByAllLaterOnes() {
        assertThatThrownBy(() -> calls.check(700, "cuStreamSynchronize", "stream main"))
                .isInstanceOf(DeviceException.class)
                .hasMessage(
                        "cuStreamSynchronize failed for stream main on Card (device 0): CUDA error"
                                + " 700; the cause may be work that was started earlier, which"
                                + " BRANTAS_SYNCHRONOUS=1 names");
        assertThat(calls.unusable()).isTrue();
        assertThatThrownBy(() -> calls.check(719, "cuLaunchKernel", "kernel gemv"))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(
                        "cuLaunchKernel failed for kernel gemv on Card (device 0): CUDA error 719;"
                                + " the device is unusable since an earlier error:"
                                + " cuStreamSynchronize failed for stream main");
        assertThatThrownBy(() -> calls.check(2, "cuMemAlloc", "x"))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("cuStreamSynchronize failed for stream main");
        assertThatThrownBy(calls::requireUsable)
                .hasMessageStartingWith(
                        "Card (device 0) is unusable since an earlier error: cuStreamSynchronize");
    }

    @Test
    void driversThatDoNotStartComeWithARemedy() {
        assertThat(DriverLibrary.startFailure(100, "x"))
                .hasMessage(
                        "The NVIDIA driver sees no device: check nvidia-smi and"
                                + " CUDA_VISIBLE_DEVICES, or use --backend simd.");
        assertThat(DriverLibrary.startFailure(803, "x")).hasMessageContaining("restart the");
        assertThat(DriverLibrary.startFailure(999, "x")).hasMessageContaining("does not start");
        assertThat(DriverLibrary.startFailure(34, "x")).hasMessageContaining("stub library");
        assertThat(DriverLibrary.startFailure(5, "CUDA_ERROR_X (5)"))
                .hasMessage(
                        "The NVIDIA driver does not start (CUDA_ERROR_X (5)): check nvidia-smi, or"
                                + " use --backend simd.");
    }

    @Test
    void driversOlderThanTheBindingsAreRefused() {
        assertThatCode(() -> DriverLibrary.requireVersion(12_000)).doesNotThrowAnyException();
        assertThatThrownBy(() -> DriverLibrary.requireVersion(11_080))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "The NVIDIA driver supports CUDA 11.8 and Brantas needs 12.0: install"
                                + " driver 525 or later, or use --backend simd.");
    }

    @Test
    void uuidsAreWrittenAsToolsWriteThem() {
        byte[] bytes = new byte[16];
        for (int i = 0; i < 16; i++) {
            bytes[i] = (byte) (i * 17);
        }
        assertThat(Devices.uuidText(bytes)).isEqualTo("GPU-00112233-4455-6677-8899-aabbccddeeff");
    }
}
