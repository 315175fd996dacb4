package brantas.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.driver.Emulator;
import brantas.op.Backend;
import brantas.spi.BackendProvider.Choice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// What the backend says of itself, which is what a user sees of how kernels are started.
class DescriptionTest {
    @AfterEach
    void reset() {
        Emulator.reset();
    }

    private static String describe(String capability, boolean graphs) {
        Emulator.choose("CAPABILITY", capability);
        try (Backend backend = new CudaProvider().open(new Choice("auto", graphs, false))) {
            return backend.description();
        }
    }

    @Test
    void programmaticLaunchIsNamedWhereItIsInUse() {
        assertThat(describe("8.0", true))
                .startsWith("emulated device: ")
                .endsWith("compute capability 8.0, 2.0 GiB, driver for CUDA 12.6");
        assertThat(describe("9.0", true))
                .endsWith(
                        "compute capability 9.0, 2.0 GiB, driver for CUDA 12.6, programmatic"
                                + " launch");
        assertThat(describe("9.0", false)).endsWith(", programmatic launch, graphs off");
    }
}
