package brantas.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cuda.CudaProvider;
import brantas.op.AttentionShape;
import brantas.op.Backend;
import brantas.op.DeltaShape;
import brantas.op.ExpertShape;
import brantas.plain.PlainBackend;
import brantas.simd.FusedPrograms;
import brantas.simd.Program;
import brantas.simd.Program.Seq;
import brantas.simd.Programs;
import brantas.simd.Programs.DeltaInput;
import brantas.spi.BackendProvider.Choice;
import brantas.tensor.DType;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every op of the cuda backend, on the emulated device, against the referee with the same
/// roundings to bf16, and bit for bit against itself in other batches.
///
/// Both sides round a result once, so they differ only where the error `e` inside the op tips a
/// rounding over. With values spread evenly a difference of `d` tips a share `d / u` of roundings
/// whose steps are `u`, and each moves a value by `u`: the mean square of what is left is `d · u`.
/// Steps are 2⁻⁸ to 2⁻⁷ of a value, 2⁻⁷·⁵ in the mean, and the mean of `|error|` is 0.8 of its root
/// mean square; so the relative L2 of a sequence is near `√(0.8 · e · 2⁻⁷·⁵)`. Twice that is
/// allowed, and for small sequences, where one value decides, a step in eight of its values' worth:
/// `2⁻⁶ / √n`. Besides no value is further off than one step of its own, and `4 e` of the largest
/// where terms cancel. What is fp32 to the end may be `2 e` away.
///
/// Errors inside, relative:
/// * nothing but copies: 0;
/// * fp32 sums of up to 1,056 terms, and exponentials of a few units in the last place: 1e-6;
/// * attention: one query or key in eight thousand is tipped, which changes a probability by 2.4e-4
///   for one vector in 16, and probabilities are pairs of bf16: 6e-5;
/// * experts, and ops that round in their middle: one value in eight thousand is tipped there, by
///   2⁻⁸: 5e-5;
/// * experts behind a norm: one row in a hundred has a tipped value in front of all its products,
///   which moves each by `2⁻⁸ / √77` of its size, two fifths of that allowed for: 2e-4;
/// * the delta rule in chunks of C: 4.5e-4 with fp16 operands (C = 64), 5e-6 with pairs of bf16 (C
///   = 32). Where all keys are nearly one, what a chunk writes is `√2` of the values and cancels
///   down to one of them, while its C roundings, of 1.2e-4 and 1.9e-6, add up: `√(2 C)` times them
///   is 1.4e-3 and 1.5e-5.
class CudaOpsTest {
    private static final long SEED = 20_26;
    private static final double COPY = 0;
    private static final double FP32 = 1e-6;
    private static final double ATTENTION = 6e-5;
    private static final double EXPERTS = 5e-5;
    private static final double NORMED = 2e-4;
    private static final double CHUNKS = 4.5e-4;
    private static final double EXACT_CHUNKS = 5e-6;
    private static final double ALIKE = 1.4e-3;
    private static final double EXACT_ALIKE = 1.5e-5;

    /// Single rows, and sequences around the sizes of tiles and chunks.
    private static final List<Seq> MIX =
            List.of(
                    new Seq(0, 3, 1),
                    new Seq(1, 0, 1),
                    new Seq(2, 70, 1),
                    new Seq(3, 2, 1),
                    new Seq(4, 1, 1),
                    new Seq(5, 0, 2),
                    new Seq(6, 5, 17),
                    new Seq(7, 64, 3),
                    new Seq(8, 0, 70),
                    new Seq(9, 33, 65));

    /// The same in fewer rows.
    private static final List<Seq> FEW =
            List.of(
                    new Seq(0, 3, 1),
                    new Seq(1, 0, 1),
                    new Seq(2, 33, 1),
                    new Seq(3, 0, 2),
                    new Seq(4, 5, 17),
                    new Seq(5, 31, 3),
                    new Seq(6, 0, 35));

    /// An op with its sequences.
    ///
    /// @param error relative, inside the op
    /// @param wide whether the result stays fp32
    /// @param exact which backend runs it
    record Op(Program program, List<Seq> sequences, double error, boolean wide, boolean exact) {
        static Op of(Program program, List<Seq> sequences, double error) {
            return new Op(program, sequences, error, false, false);
        }

        @Override
        public String toString() {
            return program + (exact ? ", exact" : "");
        }
    }

    static Stream<Op> ops() {
        List<Op> all = new ArrayList<>();
        all.add(Op.of(linear("linear", false, 96, 24), MIX, FP32));
        all.add(Op.of(linear("linear", false, 1056, 61, 3, 1, 50), MIX, FP32));
        all.add(Op.of(linear("linear", false, 77, 300), MIX, FP32));
        all.add(Op.of(linear("linear", false, 1, 1), MIX, FP32));
        all.add(Op.of(linear("linearAdd", true, 545, 7, 6), MIX, FP32));
        all.add(Op.of(linear("linearAdd", true, 64, 130), MIX, FP32));
        all.add(new Op(Programs.logits(SEED, 77, 131), MIX, FP32, true, false));
        for (int cols : new int[] {37, 256, 1031}) {
            all.add(Op.of(Programs.norm(SEED, cols), MIX, FP32));
        }
        all.add(Op.of(Programs.swiGlu(SEED, 35, 21), MIX, FP32));
        all.add(Op.of(Programs.swiGlu(SEED, 64, 513), MIX, FP32));
        all.add(Op.of(Programs.embed(SEED, DType.BF16, 64), MIX, COPY));
        all.add(Op.of(Programs.embed(SEED, DType.BF16, 33), MIX, COPY));
        all.add(Op.of(Programs.gatedNorm(SEED, delta(1, 3)), FEW, FP32));
        all.add(Op.of(Programs.gatedNorm(SEED, delta(2, 2)), FEW, FP32));
        attention(all);
        for (boolean exact : new boolean[] {false, true}) {
            scans(all, exact);
        }
        experts(all);
        fused(true).forEach(op -> all.add(op));
        return all.stream();
    }

    /// Ops that join others.
    private static List<Op> fused(boolean joined) {
        List<Op> all = new ArrayList<>();
        for (int hidden : new int[] {40, 257, 1031}) {
            Program p = FusedPrograms.normLinear(SEED, hidden, 2 * hidden - 63, joined);
            all.add(Op.of(p, MIX, EXPERTS));
        }
        all.add(Op.of(FusedPrograms.normSwiGlu(SEED, 77, 35, joined), MIX, EXPERTS));
        all.add(Op.of(FusedPrograms.normSwiGlu(SEED, 520, 72, joined), FEW, EXPERTS));
        all.add(Op.of(FusedPrograms.gatedLinearAdd(SEED, delta(1, 3), 50, joined), MIX, EXPERTS));
        all.add(Op.of(FusedPrograms.gatedLinearAdd(SEED, delta(2, 10), 64, joined), FEW, EXPERTS));
        ExpertShape few = new ExpertShape(16, 4, 21, 45);
        all.add(Op.of(FusedPrograms.normRoute(SEED, few, 77, joined), MIX, NORMED));
        ExpertShape many = new ExpertShape(512, 10, 9, 24);
        all.add(Op.of(FusedPrograms.normRoute(SEED, many, 130, joined), FEW, NORMED));
        all.add(new Op(FusedPrograms.logits(SEED, 77, 131, joined), MIX, EXPERTS, true, false));
        return all;
    }

    /// What is joined keeps the roundings, and the order of additions, of its parts.
    @Test
    void joinedOpsGiveTheBitsOfTheirParts() {
        List<Op> joined = fused(true);
        List<Op> parts = fused(false);
        for (int i = 0; i < joined.size(); i++) {
            Op op = joined.get(i);
            Map<Integer, float[]> expected =
                    run(cuda(false), parts.get(i).program(), op.sequences());
            run(cuda(false), op.program(), op.sequences())
                    .forEach((id, values) ->
                            assertThat(values)
                                    .as("%s: sequence %s", op, id)
                                    .containsExactly(expected.get(id)));
        }
    }

    private static Program linear(String name, boolean add, int in, int... out) {
        return Programs.linear(name, SEED, DType.BF16, add, in, out);
    }

    private static DeltaShape delta(int keyHeads, int valueHeads) {
        return new DeltaShape(keyHeads, valueHeads, 128, 128, 4, 1e-6f);
    }

    private static void attention(List<Op> all) {
        int[] groups = {1, 2, 3, 4, 6, 8, 16};
        int[] pageSizes = {32, 24, 5};
        for (int i = 0; i < groups.length; i++) {
            int kvHeads = groups[i] < 4 ? 2 : 1;
            int rotary = List.of(64, 32, 256).get(i % 3);
            AttentionShape shape =
                    new AttentionShape(kvHeads * groups[i], kvHeads, 256, rotary, 1e-6f);
            all.add(Op.of(Programs.attention(SEED, shape, pageSizes[i % 3]), FEW, ATTENTION));
        }
    }

    private static void scans(List<Op> all, boolean exact) {
        double alike = exact ? EXACT_ALIKE : ALIKE;
        for (DeltaInput input : DeltaInput.values()) {
            double usual = exact ? EXACT_CHUNKS : CHUNKS;
            double error = input == DeltaInput.RANDOM ? usual : alike;
            all.add(new Op(Programs.delta(SEED, delta(1, 2), input), MIX, error, false, exact));
        }
        int[][] many = {{2, 2}, {1, 3}, {1, 4}, {1, 8}, {2, 10}};
        int[][] some = {{1, 3}, {2, 10}};
        for (int[] heads : exact ? some : many) {
            DeltaShape shape = delta(heads[0], heads[1]);
            Program program = Programs.delta(SEED, shape, DeltaInput.CORRELATED);
            all.add(new Op(program, FEW, alike, false, exact));
        }
    }

    private static void experts(List<Op> all) {
        for (ExpertShape shape :
                List.of(
                        new ExpertShape(16, 4, 21, 45),
                        new ExpertShape(256, 8, 16, 8),
                        new ExpertShape(512, 10, 9, 24))) {
            all.add(Op.of(Programs.experts(SEED, DType.BF16, shape, 77), MIX, EXPERTS));
        }
        ExpertShape one = new ExpertShape(16, 1, 40, 13);
        all.add(Op.of(Programs.crowdedExperts(SEED, one, 64), MIX, EXPERTS));
        ExpertShape four = new ExpertShape(256, 4, 19, 32);
        all.add(Op.of(Programs.crowdedExperts(SEED, four, 45), MIX, EXPERTS));
    }

    @ParameterizedTest
    @MethodSource("ops")
    void agreesWithTheReferee(Op op) {
        Map<Integer, float[]> expected = run(new PlainBackend(true), op.program(), op.sequences());
        Map<Integer, float[]> actual = run(cuda(op.exact()), op.program(), op.sequences());
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        double worst = 0;
        for (Map.Entry<Integer, float[]> entry : expected.entrySet()) {
            float[] got = Objects.requireNonNull(actual.get(entry.getKey()));
            worst = Math.max(worst, check(op, entry.getKey(), got, entry.getValue()));
        }
        String seen = String.format(Locale.ROOT, "%s: %.2f of what is allowed", op, worst);
        System.getLogger("brantas.conformance").log(Level.INFO, seen);
    }

    /// @return the distance of a sequence, as a share of what is allowed
    private static double check(Op op, int id, float[] got, float[] expected) {
        String what = op + ", sequence " + id;
        double difference = 0;
        double size = 0;
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            assertThat(Float.isFinite(got[i])).as("%s: finite at %d", what, i).isTrue();
            difference += Math.pow((double) got[i] - expected[i], 2);
            size += Math.pow(expected[i], 2);
            largest = Math.max(largest, Math.abs(expected[i]));
        }
        for (int i = 0; i < expected.length; i++) {
            assertThat((double) got[i])
                    .as("%s: value %d", what, i)
                    .isBetween(
                            expected[i] - slack(op, got[i], expected[i], largest),
                            expected[i] + slack(op, got[i], expected[i], largest));
        }
        double roundings = 2 * Math.sqrt(0.8 * op.error() * Math.pow(2, -7.5));
        double one = op.error() == 0 ? 0 : Math.pow(2, -6) / Math.sqrt(expected.length);
        double allowed = op.wide() ? 2 * op.error() : Math.hypot(roundings, one);
        double distance = Math.sqrt(difference / size);
        assertThat(distance).as("%s: relative L2", what).isLessThanOrEqualTo(allowed);
        return allowed == 0 ? 0 : distance / allowed;
    }

    private static double slack(Op op, float got, float expected, double largest) {
        double inside = 4 * op.error() * largest;
        if (op.wide() || op.error() == 0) {
            return inside;
        }
        float larger = Math.max(Math.abs(got), Math.abs(expected));
        return inside + 0x1p16 * Math.ulp(larger);
    }

    /// Half of the sequences alone, the others in other company.
    @ParameterizedTest
    @MethodSource("ops")
    void givesTheSameBitsInEveryBatch(Op op) {
        Map<Integer, float[]> together = run(cuda(op.exact()), op.program(), op.sequences());
        List<Seq> shuffled = new ArrayList<>(op.sequences());
        Collections.shuffle(shuffled, new Random(op.program().seed));
        List<List<Seq>> batches = new ArrayList<>();
        batches.add(shuffled.subList(0, shuffled.size() / 2));
        for (Seq s : shuffled.subList(shuffled.size() / 2, shuffled.size())) {
            batches.add(List.of(s));
        }
        for (List<Seq> batch : batches) {
            run(cuda(op.exact()), op.program(), batch)
                    .forEach((id, values) ->
                            assertThat(values)
                                    .as("%s: sequence %s of %s", op, id, batch)
                                    .containsExactly(together.get(id)));
        }
    }

    private static Backend cuda(boolean exact) {
        return new CudaProvider().open(new Choice("auto", true, exact));
    }

    private static Map<Integer, float[]> run(Backend backend, Program program, List<Seq> seqs) {
        try (backend) {
            return program.run(backend, seqs);
        }
    }
}
