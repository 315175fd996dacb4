package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.settings.BrantasException;
import org.junit.jupiter.api.Test;

/// Reading the manifest of the kernel sources.
class ManifestTest {
    @Test
    void hashAndKernelLines() {
        Manifest manifest =
                Manifest.parse(
                        """
                        abi 00c0ffee
                        kernel a args 8 block 32 shared 0 fields x:u64@0
                        kernel b args 4 block 64 shared variable fields n:i32@0
                        struct Step size 64 fields rows:i32@0
                        """);

        assertThat(manifest.abi()).isEqualTo("00c0ffee");
        assertThat(manifest.kernels())
                .containsExactly(
                        "kernel a args 8 block 32 shared 0 fields x:u64@0",
                        "kernel b args 4 block 64 shared variable fields n:i32@0");
    }

    @Test
    void withoutHashItIsDamaged() {
        for (String text : new String[] {"", "kernel a", "abi 123", "abi 00C0FFEE"}) {
            assertThatThrownBy(() -> Manifest.parse(text))
                    .isInstanceOf(BrantasException.class)
                    .hasMessage(
                            "/brantas/cuda/manifest.txt is damaged (no abi line): run"
                                    + " scripts/build-native.");
        }
    }
}
