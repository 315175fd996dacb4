package brantas.cuda.launch;

import static brantas.cuda.launch.PlantedKernel.HMMA;
import static brantas.cuda.launch.PlantedKernel.LDG_128;
import static brantas.cuda.launch.PlantedKernel.LDG_32;
import static brantas.cuda.launch.PlantedKernel.LDL;
import static brantas.cuda.launch.PlantedKernel.NOP;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brantas.cuda.launch.CheckCommand.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The checker of machine code on cubins that were put together here: what is within its budgets
/// passes, and each planted violation is one sentence with kernel, target, value, budget and
/// remedy.
class MachineCodeTest {
    private static final List<String> ALL = List.of("80", "86", "89", "90", "100", "120");
    private static final String MANIFEST =
            """
            abi 01234567
            kernel product args 8 block 128 shared 1024 fields a:u64@0
            kernel sum args 8 block 256 shared 0 fields a:u64@0
            """;
    private static final String RULES =
            """
            # by hand
            rule *        LDL=0 STL=0 blocks>=1
            rule prod*    hot HMMA>=2 HMMA<=4 LDG.128>=1
            """;
    private static final PlantedKernel PRODUCT =
            new PlantedKernel("product", 96, 0, List.of(LDG_128, LDG_32, HMMA, HMMA, NOP));
    private static final PlantedKernel SUM = new PlantedKernel("sum", 32, 0, List.of(LDG_32, NOP));

    private static CheckCommand command;

    @TempDir private Path folder;

    @BeforeAll
    static void compile(@TempDir Path classes) throws IOException {
        command = new CheckCommand(classes);
    }

    @BeforeEach
    void build() throws Exception {
        Files.writeString(folder.resolve("manifest.txt"), MANIFEST);
        Files.writeString(folder.resolve("toolkit.txt"), "release 13.0, V13.0.88\n");
        Files.writeString(folder.resolve("budgets.txt"), RULES);
        plant(PRODUCT, SUM);
        assertThat(update(ALL).err()).isEmpty();
    }

    private void plant(PlantedKernel... kernels) throws IOException {
        for (String sm : ALL) {
            plant(sm, kernels);
        }
    }

    private void plant(String sm, PlantedKernel... kernels) throws IOException {
        List<PlantedKernel> all = new ArrayList<>(List.of(kernels));
        all.add(new PlantedKernel("brantas_abi_01234567", 4, 0, List.of(NOP)));
        Files.write(folder.resolve("sm_" + sm + ".cubin"), PlantedKernel.cubin(all));
        Files.writeString(folder.resolve("sm_" + sm + ".cubin.log"), PlantedKernel.log(all));
    }

    private Outcome check(List<String> targets, String... options) throws Exception {
        List<String> words = new ArrayList<>(List.of("--native", folder.toString()));
        words.addAll(List.of("--budgets", folder.resolve("budgets.txt").toString()));
        words.addAll(List.of("--evidence", folder.resolve("committed.json").toString()));
        words.addAll(List.of(options));
        words.addAll(targets);
        return command.run(words);
    }

    private Outcome update(List<String> targets) throws Exception {
        return check(targets, "--update");
    }

    private void edit(String file, String from, String to) throws IOException {
        String text = Files.readString(folder.resolve(file));
        assertThat(text).contains(from);
        Files.writeString(folder.resolve(file), text.replace(from, to));
    }

    private void violates(String... words) throws Exception {
        Outcome outcome = check(ALL);
        assertThat(outcome.status()).isEqualTo(1);
        assertThat(outcome.err().lines()).allMatch(l -> l.startsWith("brantas: "));
        assertThat(outcome.err().lines())
                .as("a sentence with all of these")
                .anySatisfy(line -> assertThat(line).contains(words).endsWith("."));
    }

    @Test
    void whatWasMeasuredPassesAndIsReported() throws Exception {
        Outcome outcome = check(ALL);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.status()).isZero();
        assertThat(outcome.out()).contains("product *").contains("96/5");
        assertThat(Files.readString(folder.resolve("evidence.txt")))
                .contains("4 instructions: HMMA 2, LDG.128 1, LDG.32 1")
                .contains("product *: blocks of 128 threads with 1024 bytes");
        assertThat(Files.readString(folder.resolve("committed.json")))
                .isEqualTo(Files.readString(folder.resolve("evidence.json")))
                .contains(
                        "\"90\": {\"registers\": 96, \"blocks\": 5, \"warps\": 20, \"hmma\": 2,"
                                + " \"instructions\": 4}");
        assertThat(Files.readString(folder.resolve("budgets.txt")))
                .startsWith(RULES)
                .contains("toolkit 13.0.88 targets 80 86 89 90 100 120\nproduct ");
    }

    @Test
    void aSpillIsRefusedWithAndWithoutBudgets() throws Exception {
        plant("89", new PlantedKernel("product", 96, 16, PRODUCT.code()), SUM);
        violates("product on sm_89 spills 32 bytes", "stack frame of 16", "allowed are 0");
        Outcome open =
                command.run(
                        List.of(
                                "--native",
                                folder.toString(),
                                "--budgets",
                                folder.resolve("budgets.txt").toString(),
                                "89"));
        assertThat(open.status()).isEqualTo(1);
        assertThat(open.err()).contains("product on sm_89 spills").hasLineCount(1);
    }

    @Test
    void localMemoryIsRefused() throws Exception {
        plant("120", PRODUCT, new PlantedKernel("sum", 32, 0, List.of(LDG_32, LDL)));
        violates("kernel sum on sm_120 has LDL 1", "demands LDL=0", "by constants");
    }

    @Test
    void anOpcodeThatHasToBeThereIsMissed() throws Exception {
        plant("90", new PlantedKernel("product", 96, 0, List.of(LDG_128, HMMA)), SUM);
        violates("hot kernel product on sm_90 has HMMA 1", "rule for prod* demands HMMA>=2");
        plant("90", new PlantedKernel("product", 96, 0, List.of(LDG_32, HMMA, HMMA)), SUM);
        violates("product on sm_90 has LDG.128 0", "demands LDG.128>=1");
    }

    @Test
    void moreOfAnOpcodeThanAllowedIsRefused() throws Exception {
        List<long[]> five = List.of(LDG_128, HMMA, HMMA, HMMA, HMMA, HMMA);
        plant("80", new PlantedKernel("product", 96, 0, five), SUM);
        violates("product on sm_80 has HMMA 5", "demands HMMA<=4");
    }

    @Test
    void growthOfRegistersIsRefusedAndSoIsLosingABlock() throws Exception {
        plant("100", new PlantedKernel("product", 97, 0, PRODUCT.code()), SUM);
        violates("product on sm_100 takes 97 registers, budget 96", "make -C native-build budgets");
        violates("product on sm_100 runs 4 blocks", "budget 5, limited by registers");
        plant("100", new PlantedKernel("product", 95, 0, PRODUCT.code()), SUM);
        violates("evidence.json is not of this build", "product on sm_100");
        assertThat(update(ALL).status()).isZero();
        assertThat(check(ALL).status()).isZero();
    }

    @Test
    void unknownAndForgottenKernelsAreErrors() throws Exception {
        edit("budgets.txt", "sum  ", "gone ");
        violates("kernel sum has no row", "make -C native-build budgets");
        violates("kernel gone of the budgets no longer exists", "remove its row");
        edit("budgets.txt", "rule prod*", "rule quot*");
        violates("no kernel is called quot*", "correct or remove");
    }

    @Test
    void theCommittedDocumentIsComparedWhole() throws Exception {
        edit("committed.json", "\"hot\": true", "\"hot\": false");
        violates("evidence.json is not of this build", "hot of product", "false", "true");
        assertThat(update(ALL).status()).isZero();
        edit("committed.json", "  \"90\"", "   \"90\"");
        violates("evidence.json has been edited by hand");
    }

    @Test
    void aBuildOfSomeTargetsIsHeldAgainstThoseAndCannotUpdate() throws Exception {
        plant("80", new PlantedKernel("product", 97, 0, PRODUCT.code()), SUM);
        assertThat(check(List.of("90", "120")).status()).isZero();
        assertThat(check(List.of("80", "90")).err()).contains("product on sm_80");
        Outcome refused = update(List.of("90"));
        assertThat(refused.status()).isEqualTo(1);
        assertThat(refused.err()).contains("sm_90 alone were built").hasLineCount(1);
    }

    @Test
    void numbersOfAnotherToolkitAreNotComparedAndThatIsSaid() throws Exception {
        Files.writeString(folder.resolve("toolkit.txt"), "release 12.8, V12.8.61\n");
        plant("90", new PlantedKernel("product", 200, 0, PRODUCT.code()), SUM);
        Outcome outcome = check(ALL);
        assertThat(outcome.status()).isZero();
        assertThat(outcome.out()).contains("skipped: registers, blocks", "13.0.88", "12.8.61");
        plant("90", new PlantedKernel("product", 96, 0, List.of(LDL)), SUM);
        violates("product on sm_90 has LDL 1");
    }

    @Test
    void aVariableLaunchNeedsAStatedShape() throws Exception {
        edit("manifest.txt", "block 256 shared 0", "block 256 shared variable");
        violates("the launch of sum open: add a launch line");
        edit("budgets.txt", "# by hand\n", "launch su* block 256 shared 65536 (rows of 16384)\n");
        assertThat(update(ALL).status()).isZero();
        assertThat(check(List.of("80")).out()).contains("32/2");
        edit("manifest.txt", "block 256 shared variable", "block 256 shared 0");
        violates("the manifest says how sum is launched", "remove its launch line");
    }

    @Test
    void aKernelForSomeTargetsNeedNotFitTheOthers() throws Exception {
        edit("manifest.txt", "shared 1024", "shared 104480");
        Outcome outcome = update(ALL);
        assertThat(outcome.err()).contains("product on sm_86 has blocks 0", "demands blocks>=1");
        edit("budgets.txt", "# by hand\n", "only product 80 90 100\n");
        assertThat(update(ALL).status()).isZero();
    }

    @Test
    void filesThatDoNotBelongTogetherAreRefused() throws Exception {
        edit("manifest.txt", "abi 01234567", "abi 76543210");
        violates("sm_80.cubin does not belong to manifest.txt");
        edit("manifest.txt", "abi 76543210", "abi 01234567");
        edit("sm_80.cubin.log", "Used 96", "Used 95");
        violates("sm_80.cubin and its log do not agree about product");
        byte[] whole = Files.readAllBytes(folder.resolve("sm_80.cubin"));
        Files.write(folder.resolve("sm_80.cubin"), Arrays.copyOf(whole, 300));
        violates("sm_80.cubin ends in the middle: remove it");
        Files.writeString(folder.resolve("sm_80.cubin"), "code");
        violates("sm_80.cubin is no 64-bit ELF file for CUDA");
        Files.delete(folder.resolve("sm_80.cubin"));
        violates("there is no", "sm_80.cubin: build it");
    }

    @ParameterizedTest
    @CsvSource({
        "rule prod* HMMA>2, is no condition such as HMMA>=1",
        "rule prod* HMMMA>=2, HMMMA is not counted",
        "rule prod*, none of the forms",
        "only prod* sm_80, none of the forms",
        "launch sum block 128 shared 0, none of the forms",
        "sum 32/8, none of the forms",
    })
    void aBadLineOfTheBudgetsIsRefusedWithItsNumber(String line, String sentence) throws Exception {
        Path file = folder.resolve("bad.txt");
        Files.writeString(file, "# budgets\n\n" + line + "\n");
        assertThatThrownBy(() -> command.readBudgets(file))
                .hasMessageContaining("bad.txt:3: ")
                .hasMessageContaining(sentence);
    }

    @ParameterizedTest
    @CsvSource({
        "sum 1/1 two, none of the forms",
        "rule sum HMMA>=1, none of the forms",
        "sum 1/1 2/2 3/3, sum has 3 cells for 2 targets",
        "ok 1/1 2/2, ok has a row already",
    })
    void aBadRowOfTheTableIsRefused(String line, String sentence) throws Exception {
        Path file = folder.resolve("bad.txt");
        Files.writeString(file, "toolkit 13.0.88 targets 80 90\nok 1/1 2/2\n" + line + "\n");
        assertThatThrownBy(() -> command.readBudgets(file))
                .hasMessageContaining("bad.txt:3: ")
                .hasMessageContaining(sentence);
    }

    /// By hand from the tables of the programming guide.
    @ParameterizedTest
    @CsvSource({
        "80, 16, 1024, 0, 2, threads",
        "86, 32, 1024, 0, 1, threads",
        "90, 168, 128, 0, 3, registers",
        "90, 255, 64, 0, 4, registers",
        "80, 16, 32, 0, 32, blocks",
        "86, 16, 32, 0, 16, blocks",
        "120, 16, 32, 0, 24, blocks",
        "90, 64, 128, 49152, 4, shared",
        "89, 64, 128, 49152, 2, shared",
        "89, 64, 128, 101376, 1, shared",
        "89, 64, 128, 101377, 0, shared",
        "100, 64, 128, 232448, 1, shared",
    })
    void occupancy(String sm, int registers, int block, int shared, int blocks, String limit)
            throws Exception {
        assertThat(command.occupancy(sm, registers, block, shared))
                .contains("blocks=" + blocks + ",", "warps=" + blocks * block / 32, limit);
    }
}
