package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What is said of devices, and the choice among them.
class DevicesTest {
    private static final String UUID = "GPU-b7a27a50-e01a-4cda-800d-ec1ce05eed01";

    @BeforeEach
    @AfterEach
    void reset() {
        Emulator.reset();
    }

    private static DeviceInfo card(int index, String uuid, long free) {
        return new DeviceInfo(index, "Card", uuid, 9, 0, 80L << 30, free, 132, 232_448, 12_060);
    }

    @Test
    void theDeviceIsDescribed() {
        Emulator.choose("MEMORY", 1L << 30);
        Emulator.choose("CAPABILITY", "9.0");

        List<DeviceInfo> all = Devices.find().list();

        assertThat(all)
                .containsExactly(
                        new DeviceInfo(
                                0,
                                "Emulated CUDA device",
                                UUID,
                                9,
                                0,
                                1L << 30,
                                1L << 30,
                                2,
                                227 << 10,
                                12_060));
        assertThat(all.getFirst().emulated()).isTrue();
        assertThat(all.getFirst().capability()).isEqualTo("9.0");
        assertThat(all.getFirst().driver()).isEqualTo("12.6");
        assertThat(all.getFirst().title()).isEqualTo("Emulated CUDA device (device 0)");
        assertThat(card(1, UUID, 0).emulated()).isFalse();
    }

    @Test
    void theDeviceIsFoundByAllItsNames() {
        Devices devices = Devices.find();

        for (String name : List.of("auto", "most-free", "0", UUID, "gpu-B7A2", "b7a27a50-e01a")) {
            assertThat(devices.choose(name).uuid()).as(name).isEqualTo(UUID);
        }
        for (String name : List.of("1", "-1", "", "GPU-", "GPU-ffff", "fast")) {
            assertThatThrownBy(() -> devices.choose(name))
                    .isInstanceOf(BrantasException.class)
                    .hasMessage(
                            "There is no CUDA device \""
                                    + name
                                    + "\": use auto or 0 (Emulated CUDA device, "
                                    + UUID
                                    + ").");
        }
    }

    @Test
    void amongSeveralTheChoiceIsUnambiguous() {
        List<DeviceInfo> all =
                List.of(
                        card(0, "GPU-1a000000-0000-0000-0000-000000000000", 5),
                        card(1, "GPU-1b000000-0000-0000-0000-000000000000", 7),
                        card(2, "GPU-2c000000-0000-0000-0000-000000000000", 7));

        assertThat(Devices.mostFree(all).index()).isEqualTo(1);
        assertThat(Devices.named("1b", all).index()).isEqualTo(1);
        // An index, although UUIDs begin so too.
        assertThat(Devices.named("1", all).index()).isEqualTo(1);
        assertThatThrownBy(() -> Devices.named("GPU-1", all))
                .isInstanceOf(BrantasException.class)
                .hasMessage(
                        "\"GPU-1\" names several CUDA devices: use 0 (Card,"
                                + " GPU-1a000000-0000-0000-0000-000000000000) or 1 (Card,"
                                + " GPU-1b000000-0000-0000-0000-000000000000).");
    }

    @Test
    void aDriverThatIsTooOldIsRefused() {
        Emulator.choose("DRIVER_VERSION", 11_080);

        assertThatThrownBy(Devices::find)
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith(
                        "The NVIDIA driver supports CUDA 11.8 and Brantas needs 12.0");
    }

    @Test
    void aDeviceWithoutRoomForAContextHasNothingFree() {
        Emulator.choose("FAIL_CONTEXT", 1);

        assertThat(Devices.find().choose("0").freeMemory()).isZero();
    }

    @Test
    void aContextThatIsRefusedIsOneSentence() {
        Devices devices = Devices.find();
        DeviceInfo info = devices.choose("0");
        Map<String, Long> before = Emulator.held();
        Emulator.choose("FAIL_CONTEXT", 1);

        assertThatThrownBy(() -> devices.open(info))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith(
                        "cuDevicePrimaryCtxRetain failed for a context on Emulated CUDA device"
                                + " (device 0): CUDA_ERROR_OUT_OF_MEMORY");
        devices.open(info).close();
        assertThat(Emulator.held()).isEqualTo(before);
    }
}
