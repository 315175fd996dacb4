package brantas.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/// The layout of argument structs, and what is refused.
class KernelTest {
    @Test
    void fieldsLieAsTheCompilerPutsThem() {
        Kernel kernel =
                Kernel.named("rms_norm")
                        .address("dst")
                        .int32("cols")
                        .float32("eps")
                        .rows("rows")
                        .int64("stride")
                        .uint32("seed")
                        .int32("padding")
                        .block(256)
                        .shared(128)
                        .build();

        assertThat(kernel.signature())
                .isEqualTo(
                        "kernel rms_norm args 48 block 256 shared 128 fields dst:u64@0 cols:i32@8"
                                + " eps:f32@12 rows:rows@16 stride:i64@32 seed:u32@40"
                                + " padding:i32@44");
        assertThat(kernel).hasToString(kernel.signature());
    }

    @Test
    void sizesThatLaunchesState() {
        Kernel kernel = Kernel.named("scan").int32("rows").blockVariable().sharedVariable().build();

        assertThat(kernel.signature())
                .isEqualTo("kernel scan args 4 block variable shared variable fields rows:i32@0");
    }

    @Test
    void paddingInsideIsDeclaredOrRefused() {
        Kernel.Builder builder = Kernel.named("copy").address("dst").int32("count");

        assertThatThrownBy(() -> builder.address("src"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage(
                        "copy: the compiler pads the struct before src, declare int32(\"padding\")"
                                + " there");
        assertThatThrownBy(() -> builder.rows("rows"))
                .hasMessageContaining("pads the struct before rows");
        assertThat(builder.int32("padding").rows("rows").block(32).build().signature())
                .endsWith("padding:i32@12 rows:rows@16");
    }

    @Test
    void paddingAtTheEndIsDeclaredOrRefused() {
        Kernel.Builder builder = Kernel.named("copy").address("dst").int32("count").block(32);

        assertThatThrownBy(builder::build)
                .hasMessageContaining("pads the struct behind count, declare int32(\"padding\")");
        assertThat(builder.int32("padding").build().bytes()).isEqualTo(16);
    }

    @Test
    void namesAreIdentifiersAndAppearOnce() {
        Kernel.Builder builder = Kernel.named("copy").address("dst");

        assertThatThrownBy(() -> builder.address("dst")).hasMessageContaining("dst appears twice");
        assertThatThrownBy(() -> builder.int32("two words"))
                .hasMessageContaining("\"two words\" names nothing");
        assertThatThrownBy(() -> Kernel.named("")).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void incompleteOrOversizedKernelsAreRefused() {
        assertThatThrownBy(() -> Kernel.named("k").int32("x").build())
                .hasMessageContaining("block size is missing");
        assertThatThrownBy(() -> Kernel.named("k").block(32).build())
                .hasMessageContaining("struct is empty");
        assertThatThrownBy(() -> Kernel.named("k").block(1025))
                .hasMessageContaining("1025 threads");
        assertThatThrownBy(() -> Kernel.named("k").block(0)).hasMessageContaining("0 threads");
        assertThatThrownBy(() -> Kernel.named("k").shared(-1))
                .hasMessageContaining("-1 shared bytes");
        Kernel.Builder large = Kernel.named("k").block(32);
        for (int i = 0; i < 512; i++) {
            large.address("f" + i);
        }
        assertThat(large.build().bytes()).isEqualTo(4096);
        assertThatThrownBy(() -> large.address("more").build())
                .hasMessageContaining("4104 bytes of arguments, 4096 fit");
    }

    @Test
    void rowsDoNotRunBackwards() {
        assertThat(Rows.of(3, 8).count()).isEqualTo(5);
        assertThat(Rows.of(3, 3).count()).isZero();
        assertThatThrownBy(() -> Rows.of(3, 2)).hasMessage("rows 3 to 2");
        assertThatThrownBy(() -> new Rows(64, -1, 2)).hasMessage("rows -1 to 2");
    }
}
