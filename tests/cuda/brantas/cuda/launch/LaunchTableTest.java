package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import brantas.cuda.driver.Kernel;
import brantas.cuda.launch.LaunchTable.Choice;
import brantas.cuda.launch.LaunchTable.Family;
import brantas.settings.BrantasException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/// The launch table that Brantas comes with, and tables that it refuses.
class LaunchTableTest {
    private static final String GOOD =
            """
            # family capability rows variant blocks
            gemv any 1-8 8 8   # a remark
            gemv any 9- 32 4
            gemm any 1- 64 0

            gemm 9.0 1-64 64 0
            gemm 9.0 65- 128 1
            expert_gemm any 1-127 128 0
            expert_gemm any 128- 256 1
            """;

    private static final Map<Family, List<Kernel>> KERNELS =
            Map.of(
                    Family.GEMV, Gemv.KERNELS,
                    Family.GEMM, Gemm.KERNELS,
                    Family.EXPERT_GEMM, ExpertGemm.KERNELS);
    private static final List<String> CAPABILITIES =
            List.of("any", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0");

    @ParameterizedTest
    @EnumSource(Family.class)
    void everyLineOfTheShippedTableNamesKernels(Family family) {
        List<String> names =
                KERNELS.getOrDefault(family, List.of()).stream().map(Kernel::name).toList();
        List<String> results =
                family == Family.EXPERT_GEMM
                        ? List.of("up", "down")
                        : Stream.of(Gemm.Result.values()).map(Gemm.Result::tag).toList();
        for (String capability : CAPABILITIES) {
            List<Choice> choices = LaunchTable.read().choices(family, capability);
            assertThat(choices).isNotEmpty();
            for (Choice choice : choices) {
                for (String result : results) {
                    assertThat(names)
                            .contains(family.tag() + "_" + result + "_" + choice.variant());
                }
            }
        }
    }

    /// Of those that outrun the second-level cache, and of no other.
    @ParameterizedTest
    @EnumSource(names = "GEMV", mode = EnumSource.Mode.EXCLUDE)
    void manyRowsTakeWideTilesOnDevicesOfDataCentres(Family family) {
        for (String capability : CAPABILITIES) {
            List<Choice> choices = LaunchTable.read().choices(family, capability);
            boolean wide = List.of("8.0", "9.0", "10.0").contains(capability);
            assertThat(LaunchTable.pick(choices, 8192).variant()).isEqualTo(wide ? 256 : 128);
            assertThat(LaunchTable.pick(choices, 127).variant()).isEqualTo(128);
        }
    }

    @Test
    void linesOfTheDeviceComeBeforeThoseOfAny() {
        LaunchTable table = LaunchTable.parse(GOOD);

        List<Choice> hopper = table.choices(Family.GEMM, "9.0");
        assertThat(hopper)
                .containsExactly(
                        new Choice(1, 64, 64, 0), new Choice(65, Integer.MAX_VALUE, 128, 1));
        assertThat(table.choices(Family.GEMM, "8.9"))
                .containsExactly(new Choice(1, Integer.MAX_VALUE, 64, 0));
        assertThat(LaunchTable.pick(hopper, 1).variant()).isEqualTo(64);
        assertThat(LaunchTable.pick(hopper, 64).variant()).isEqualTo(64);
        assertThat(LaunchTable.pick(hopper, 65).variant()).isEqualTo(128);
        assertThat(table.choices(Family.GEMV, "9.0")).hasSize(2);
    }

    static List<Arguments> bad() {
        return List.of(
                arguments("gemv any 1-8 8 8 ", "gemv any 1-8 8", ", line 2: \"gemv any 1-8 8\" is"),
                arguments("gemv any 1-8 8", "gemv all 1-8 8", "is not of the form"),
                arguments(
                        "gemv any 1-8",
                        "gemx any 1-8",
                        "there is no family gemx, only gemv, gemm and expert_gemm."),
                arguments("1-8 8 8", "1-8 12 8", "gemv has no variant 12, only [8, 16, 32]."),
                arguments("1-8 8 8", "1-8 8 0", "line 2: 0 blocks per multiprocessor"),
                arguments("1-8 8 8", "1-8 8 65", "line 2: 65 blocks per multiprocessor"),
                arguments("9- 32", "10- 32", "line 3: rows 10- do not begin at 9"),
                arguments("9- 32", "9-7 32", "line 3: rows 9-7 do not begin at 9"),
                arguments("1-8 8 8", "1- 8 8", "line 3: rows 9- follow a line without an end."),
                arguments("65- 128", "65-99 128", "ends at 99 rows for gemm on 9.0: leave"),
                arguments(
                        "gemm any 1- ", "gemm 8.0 1- ", "has no lines for gemm on any device: add"),
                arguments(
                        "gemm any 1-127 128 0\n",
                        "gemm any 1- 256 0\n",
                        "line 8: expert_gemm has variant 256 from 128 rows on."),
                arguments(
                        "127 128 0",
                        "127 64 0",
                        "expert_gemm has no variant 64, only [128, 256]."));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void aBadTableIsRefusedWithOneSentence(String good, String instead, String sentence) {
        assertThat(GOOD).contains(good);
        assertThatThrownBy(() -> LaunchTable.parse(GOOD.replace(good, instead)))
                .isInstanceOf(BrantasException.class)
                .hasMessageStartingWith("The launch table dense.txt")
                .hasMessageContaining(sentence);
    }
}
