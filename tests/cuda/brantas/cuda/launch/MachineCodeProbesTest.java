package brantas.cuda.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import brantas.cuda.launch.CheckCommand.Outcome;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The opcodes and widths that the checker of machine code knows, against the compiler: kernels of
/// a few instructions each, one of them with a spill and one with an array in local memory. Needs
/// nvcc and is skipped without.
class MachineCodeProbesTest {
    private static final List<String> WANTED = List.of("80", "90", "100", "120");
    private static final List<String> COMPILERS = List.of("nvcc", "/usr/local/cuda/bin/nvcc");

    /// What has to be in each kernel: names and exact counts.
    private static final Map<String, Map<String, Integer>> EXPECTED =
            Map.of(
                    "widths",
                    Map.of("LDG.128", 1, "LDG.64", 1, "LDG.16", 1, "STG.128", 1, "STG.32", 1),
                    "copies",
                    Map.of("LDGSTS.32", 1, "LDGSTS.64", 1, "LDGSTS.128", 2, "LDL", 0),
                    "product",
                    Map.of("HMMA", 2, "IMMA", 1, "LDSM", 1, "MOVM", 1),
                    "shared",
                    Map.of("LDS.128", 1, "STS.128", 1, "STS.64", 1, "BAR", 2, "ATOMS", 1),
                    "lanes",
                    Map.of("SHFL", 4, "VOTE", 1, "MUFU", 2, "FFMA", 2, "FADD", 2, "FMUL", 1),
                    "atomic",
                    Map.of("ATOMG", 1, "RED", 1));

    private static final String SOURCE =
            """
            #define KERNEL(name) extern "C" __global__ void name(char* p, char* q, int n, float x)
            #define LANE int t = threadIdx.x; extern __shared__ uint4 s[]; \\
                unsigned at = (unsigned)__cvta_generic_to_shared(s + t); float* out = (float*)q;

            KERNEL(brantas_abi_01234567) {}

            KERNEL(widths) {
                LANE
                ((uint4*)q)[t] = ((uint4*)p)[t];
                uint2 two = ((uint2*)p)[999 + t];
                ((unsigned*)q)[9999 + t] = (two.x ^ two.y) + ((unsigned short*)p)[9999 + t];
            }

            KERNEL(copies) {
                LANE
                #define COPY(how, to, bytes) \\
                    asm volatile("cp.async." how ".shared.global [%0], [%1], " bytes ";" \\
                        ::"r"(at + to), "l"(__cvta_generic_to_global(p + 64 * t)));
                COPY("ca", 0, "4") COPY("ca", 1024, "8")
                COPY("ca", 2048, "16") COPY("cg", 4096, "16")
            }

            KERNEL(product) {
                LANE
                unsigned a[4];
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                    : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"(at));
                asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;"
                    : "=r"(a[1]) : "r"(a[0]));
                float c[4] = {};
                #define MMA(type) asm volatile( \\
                    "mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 " \\
                    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%4,%6}, {%0,%1,%2,%3};" \\
                    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) \\
                    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
                MMA("bf16") MMA("f16")
                int d[4] = {};
                asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},"
                    "{%4,%5,%6,%7}, {%4,%6}, {%0,%1,%2,%3};"
                    : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
                ((float4*)q)[t] = {c[0], c[1], c[2], c[3]};
                ((int4*)p)[t] = {d[0], d[1], d[2], d[3]};
            }

            KERNEL(shared) {
                LANE
                s[t] = ((uint4*)p)[t];
                __syncthreads();
                ((uint4*)q)[t] = s[t ^ 1];
                __syncthreads();
                ((volatile unsigned long long*)s)[n] = n;
                atomicOr((unsigned*)s + n + t, 1u << n);
            }

            KERNEL(lanes) {
                LANE
                float v = out[t];
                v = __fmaf_rn(v, x, __shfl_xor_sync(~0u, v, 16));
                v = __fmaf_rn(v, __shfl_sync(~0u, v, n), 1.5f);
                v = __fadd_rn(v, __shfl_up_sync(~0u, v, 1));
                v = __fadd_rn(v, __shfl_down_sync(~0u, v, 2));
                v = __fmul_rn(v, x);
                asm volatile("rsqrt.approx.ftz.f32 %0, %0;" : "+f"(v));
                asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(v));
                out[t] = v;
                ((unsigned*)p)[t] = __ballot_sync(~0u, (t & n) != 0);
            }

            KERNEL(atomic) {
                LANE
                ((int*)q)[t] = atomicAdd((int*)p + t, n);
                atomicAdd((int*)p + t + 1000, n);
            }
            """;
    private static final String FLAWED =
            """
            KERNEL(indexed) {
                LANE
                float kept[64];
                for (int i = 0; i < 64; i++) kept[(i * n) & 63] = ((volatile float*)p)[i];
                out[t] = kept[(n + t) & 63];
            }

            extern "C" __global__ void __launch_bounds__(1024, 1) spilled(
                char* p, char* q, int n, float x) {
                LANE
                float kept[128];
                for (int i = 0; i < 128; i++) kept[i] = ((volatile float*)p)[i * n + t];
                __syncthreads();
                for (int i = 0; i < 128; i++) ((volatile float*)q)[i * n + t] = kept[i];
            }
            """;

    private static CheckCommand command;

    @TempDir private static Path folder;
    private static final List<String> TARGETS = new ArrayList<>();
    private static String compiler = "";

    @BeforeAll
    static void compile(@TempDir Path classes) throws Exception {
        for (String candidate : COMPILERS) {
            if (compiler.isEmpty() && says(candidate, "--version").contains("nvcc")) {
                compiler = candidate;
            }
        }
        assumeTrue(!compiler.isEmpty(), "needs nvcc of the CUDA toolkit");
        String known = says(compiler, "--list-gpu-code");
        WANTED.stream().filter(sm -> known.contains("sm_" + sm)).forEach(TARGETS::add);
        command = new CheckCommand(classes);
        Files.writeString(folder.resolve("toolkit.txt"), says(compiler, "--version"));
        Files.writeString(folder.resolve("budgets.txt"), "rule * LDL=0 STL=0\n");
    }

    private static String says(String... words) throws Exception {
        try {
            Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
            String text =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            return text;
        } catch (IOException e) {
            return ""; // there is no such program
        }
    }

    private static void build(String source, Iterable<String> kernels, List<String> targets)
            throws Exception {
        StringBuilder manifest = new StringBuilder("abi 01234567\n");
        for (String kernel : kernels) {
            manifest.append("kernel ").append(kernel);
            manifest.append(" args 24 block 32 shared 8192 fields p:u64@0\n");
        }
        Files.writeString(folder.resolve("manifest.txt"), manifest);
        Path file = Files.writeString(folder.resolve("probes.cu"), source);
        for (String sm : targets) {
            String cubin = folder.resolve("sm_" + sm + ".cubin").toString();
            String log =
                    says(
                            compiler,
                            "-std=c++20",
                            "-O3",
                            "-arch=sm_" + sm,
                            "-cubin",
                            "-Xptxas",
                            "-v",
                            "-o",
                            cubin,
                            file.toString());
            assertThat(log).contains("Used").doesNotContain("error");
            Files.writeString(Path.of(cubin + ".log"), log);
        }
    }

    private static Outcome check(List<String> targets) throws Exception {
        List<String> words = new ArrayList<>(List.of("--native", folder.toString()));
        words.addAll(List.of("--budgets", folder.resolve("budgets.txt").toString()));
        words.addAll(List.of("--evidence", folder.resolve("committed.json").toString()));
        words.addAll(targets);
        return command.run(words);
    }

    /// Counts of a kernel on a target, from the report.
    private static Map<String, Integer> counts(String kernel, String sm) throws IOException {
        String report = Files.readString(folder.resolve("evidence.txt"));
        String part = report.substring(report.indexOf("\n" + kernel + ": blocks"));
        Matcher line = Pattern.compile("sm_" + sm + " .* instructions: (.*)").matcher(part);
        assertThat(line.find()).isTrue();
        Map<String, Integer> counts = new TreeMap<>();
        for (String word : line.group(1).split(", ", -1)) {
            String[] parts = word.split(" ", -1);
            counts.put(parts[0], Integer.parseInt(parts[1]));
        }
        return counts;
    }

    @Test
    void opcodesAndWidthsAreTheCompilers() throws Exception {
        build(SOURCE, new TreeMap<>(EXPECTED).keySet(), TARGETS);
        Outcome outcome = check(TARGETS);
        assertThat(outcome.err()).doesNotContain("LDL", "spills");
        for (String sm : TARGETS) {
            for (String kernel : EXPECTED.keySet()) {
                Map<String, Integer> found = counts(kernel, sm);
                EXPECTED.get(kernel)
                        .forEach((name, count) ->
                                assertThat(found.getOrDefault(name, 0))
                                        .as("%s of %s on sm_%s: %s", name, kernel, sm, found)
                                        .isEqualTo(count));
            }
        }
    }

    @Test
    void aCompiledSpillAndAnIndexedArrayAreFound() throws Exception {
        List<String> targets = List.of(TARGETS.getFirst(), TARGETS.getLast());
        build(SOURCE + FLAWED, List.of("indexed", "spilled"), targets);
        Outcome outcome = check(targets);
        assertThat(outcome.status()).isEqualTo(1);
        for (String sm : targets) {
            assertThat(outcome.err())
                    .containsPattern("spilled on sm_" + sm + " spills [1-9]\\d* bytes")
                    .containsPattern("kernel spilled on sm_" + sm + " has STL [1-9]")
                    .containsPattern("indexed on sm_" + sm + " spills 0 bytes.* frame of 256")
                    .containsPattern("kernel indexed on sm_" + sm + " has LDL [1-9]");
        }
    }
}
