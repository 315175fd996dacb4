package brantas.simd;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// The one vector width of this backend and the arithmetic on single vectors: loads by raw address,
/// the sum in a fixed order, exp, sigmoid. Every kernel uses this species, because code shared by
/// two widths is not compiled to registers. Addresses are not checked here: ops check rows and
/// columns before they start.
final class Lanes {
    /// Widest species of the machine, at most 512 bits.
    static final VectorSpecies<Float> F =
            FloatVector.SPECIES_PREFERRED.length() > 16
                    ? FloatVector.SPECIES_512
                    : FloatVector.SPECIES_PREFERRED;

    static final VectorSpecies<Integer> I = F.withLanes(int.class);

    /// Lanes of a vector.
    static final int L = F.length();

    /// Columns of a panel: four vectors.
    static final int PANEL = 4 * L;

    /// Weights that one int vector holds as bf16; the unit in which `k` is permuted.
    static final int UNIT = 2 * L;

    /// All memory: kernels address it absolutely, which keeps bounds of single tensors out of
    /// loops.
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    /// `0, 1, 2, …`
    static final FloatVector IOTA = FloatVector.zero(F).addIndex(1);

    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorShuffle<Float> BY8 = crossing(8);
    private static final VectorShuffle<Float> BY4 = crossing(4);
    private static final VectorShuffle<Float> BY2 = crossing(2);
    private static final VectorShuffle<Float> BY1 = crossing(1);
    private static final VectorMask<Float> BIT8 = lanesWith(8);
    private static final VectorMask<Float> BIT4 = lanesWith(4);
    private static final VectorMask<Float> BIT2 = lanesWith(2);
    private static final VectorShuffle<Float> EVENS = VectorShuffle.makeUnzip(F, 0);
    private static final VectorShuffle<Float> ODDS = VectorShuffle.makeUnzip(F, 1);

    private static final VectorShuffle<Float> ZIP_LOW = VectorShuffle.makeZip(F, 0);
    private static final VectorShuffle<Float> ZIP_HIGH = VectorShuffle.makeZip(F, 1);

    private static final float LOG2_E = 1.442695f;
    private static final float LN2_HIGH = 0.6933594f;
    private static final float LN2_LOW = -0.00021219444f;
    private static final float ROUND = 12582912f;
    private static final float LOWEST = -87.3f;
    private static final float HIGHEST = 88.3f;

    private Lanes() {}

    private static VectorShuffle<Float> crossing(int by) {
        return VectorShuffle.fromOp(F, i -> (i ^ by) & (F.length() - 1));
    }

    private static VectorMask<Float> lanesWith(int bit) {
        boolean[] lanes = new boolean[F.length()];
        for (int i = 0; i < lanes.length; i++) {
            lanes[i] = (i & bit) != 0;
        }
        return VectorMask.fromArray(F, lanes, 0);
    }

    static FloatVector load(long address) {
        return FloatVector.fromMemorySegment(F, ALL, address, LE);
    }

    static void store(FloatVector v, long address) {
        v.intoMemorySegment(ALL, address, LE);
    }

    /// `UNIT` bf16 values as int lanes: lane `i` holds value `2i` low and `2i + 1` high.
    static IntVector pairs(long address) {
        return IntVector.fromMemorySegment(I, ALL, address, LE);
    }

    /// The even values of [#pairs].
    static FloatVector even(IntVector pairs) {
        return pairs.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    /// The odd values of [#pairs].
    static FloatVector odd(IntVector pairs) {
        return pairs.lanewise(VectorOperators.AND, 0xffff0000).reinterpretAsFloats();
    }

    static float get(long address) {
        return ALL.get(FLOAT, address);
    }

    static void set(long address, float value) {
        ALL.set(FLOAT, address, value);
    }

    /// `n` rounded up to a multiple of `unit`.
    static int pad(int n, int unit) {
        return (n + unit - 1) / unit * unit;
    }

    /// Where value `k` of a row stands in the permuted order: inside a unit all even values come
    /// first, which is how two vector operations widen bf16.
    static int slot(int k) {
        int inside = k % UNIT;
        return k - inside + (inside & 1) * L + (inside >> 1);
    }

    /// The sum of the lanes by halving. Not `reduceLanes`, whose order differs between the
    /// interpreter and compiled code.
    static float sum(FloatVector v) {
        FloatVector s = v;
        if (L >= 16) {
            s = s.add(s.rearrange(BY8));
        }
        if (L >= 8) {
            s = s.add(s.rearrange(BY4));
        }
        if (L >= 4) {
            s = s.add(s.rearrange(BY2));
        }
        return s.add(s.rearrange(BY1)).lane(0);
    }

    /// [#sum] of 8 vectors of an array at once: lane [#sumLane] of the result is the sum of vector
    /// `i`, by the same additions as alone.
    static void sums8(float[] vectors, float[] to) {
        if (L != 16) {
            sumEach(vectors, 8, to);
            return;
        }
        FloatVector a = merge(pairSum(vectors, 0), pairSum(vectors, 2 * L), BIT4, BY4);
        FloatVector b = merge(pairSum(vectors, 4 * L), pairSum(vectors, 6 * L), BIT4, BY4);
        FloatVector c = merge(a, b, BIT2, BY2);
        c.add(c.rearrange(BY1)).intoArray(to, 0);
    }

    /// [#sums8] of 4 vectors.
    static void sums4(float[] vectors, float[] to) {
        if (L != 16) {
            sumEach(vectors, 4, to);
            return;
        }
        FloatVector a = merge(pairSum(vectors, 0), pairSum(vectors, 2 * L), BIT4, BY4);
        FloatVector b = a.add(a.rearrange(BY2));
        b.add(b.rearrange(BY1)).intoArray(to, 0);
    }

    private static void sumEach(float[] vectors, int count, float[] to) {
        for (int i = 0; i < count; i++) {
            to[i] = sum(FloatVector.fromArray(F, vectors, i * L));
        }
    }

    /// Where [#sums8] leaves the sum of vector `i`.
    static int sumLane(int i) {
        return L == 16 ? (i & 1) * 8 + (i >> 1 & 1) * 4 + (i >> 2) * 2 : i;
    }

    private static FloatVector pairSum(float[] vectors, int i) {
        FloatVector p = FloatVector.fromArray(F, vectors, i);
        return merge(p, FloatVector.fromArray(F, vectors, i + L), BIT8, BY8);
    }

    /// One halving of two vectors: lanes with the bit hold `q`'s, the others `p`'s.
    private static FloatVector merge(
            FloatVector p, FloatVector q, VectorMask<Float> bit, VectorShuffle<Float> cross) {
        return p.blend(q, bit).add(q.blend(p, bit).rearrange(cross));
    }

    /// Copies a row of `count` values to the permuted order, zero-padded to a multiple of `UNIT`.
    static void permute(long from, int count, float[] to, int at) {
        int whole = count - count % UNIT;
        for (int k = 0; k < whole; k += UNIT) {
            FloatVector a = load(from + 4L * k);
            FloatVector b = load(from + 4L * (k + L));
            a.rearrange(EVENS, b).intoArray(to, at + k);
            a.rearrange(ODDS, b).intoArray(to, at + k + L);
        }
        if (whole < count) {
            Arrays.fill(to, at + whole, at + whole + UNIT, 0f);
            for (int k = whole; k < count; k++) {
                to[at + slot(k)] = get(from + 4L * k);
            }
        }
    }

    /// Copies `count` values to the heap, where products read them.
    static void copy(long from, float[] to, int count) {
        MemorySegment.copy(ALL, FLOAT, from, to, 0, count);
    }

    /// `array`, or a longer one if it holds fewer than `count` values.
    static float[] room(float[] array, long count) {
        return array.length >= count ? array : new float[Math.toIntExact(count)];
    }

    /// Stores two vectors with their lanes alternating: the inverse of [#even] and [#odd].
    static void interleave(FloatVector evens, FloatVector odds, long to) {
        store(evens.rearrange(ZIP_LOW, odds), to);
        store(evens.rearrange(ZIP_HIGH, odds), to + 4L * L);
    }

    /// e to the x, within 2 ulp; 0 below −87.3, constant above 88.3 (no infinity). The same bits in
    /// the interpreter and compiled, unlike `lanewise(EXP)`.
    static FloatVector exp(FloatVector x) {
        VectorMask<Float> under = x.compare(VectorOperators.LT, LOWEST);
        FloatVector y = x.min(HIGHEST).max(LOWEST);
        FloatVector biased = y.fma(broadcast(LOG2_E), broadcast(ROUND));
        FloatVector n = biased.sub(ROUND);
        FloatVector r = n.fma(broadcast(-LN2_HIGH), y);
        r = n.fma(broadcast(-LN2_LOW), r);
        FloatVector p = r.fma(broadcast(0.00019875691f), broadcast(0.0013981999f));
        p = p.fma(r, broadcast(0.008333452f));
        p = p.fma(r, broadcast(0.041665796f));
        p = p.fma(r, broadcast(0.16666666f));
        p = p.fma(r, broadcast(0.5f));
        p = p.fma(r.mul(r), r.add(1f));
        IntVector power = biased.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        return p.reinterpretAsInts().add(power).reinterpretAsFloats().blend(0f, under);
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(F, value);
    }

    /// 1 / (1 + e^−x).
    static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(F, 1f).div(exp(x.neg()).add(1f));
    }

    /// [#sigmoid] of one value, for columns behind the last whole vector.
    static float sigmoid(float x) {
        return (float) (1 / (1 + Math.exp(-x)));
    }

    /// A piece of native memory that grows to the largest size asked for and is then reused: packed
    /// activations and partial results. Its contents do not survive growth.
    @SuppressWarnings("MustBeClosedChecker") // closed by its own close and when it grows
    static final class Scratch implements AutoCloseable {
        private Arena arena = Arena.ofShared();
        private long capacity;
        private long address;

        /// The address of at least so many bytes, 64-byte aligned.
        long reserve(long bytes) {
            if (bytes > capacity) {
                arena.close();
                arena = Arena.ofShared();
                address = arena.allocate(bytes, 64).address();
                capacity = bytes;
            }
            return address;
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
