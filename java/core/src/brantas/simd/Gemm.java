package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;
import static brantas.simd.Lanes.UNIT;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/// Blocks of weight rows times packed tokens, for sequences with several rows: lanes run along
/// tokens. Weights are widened to a scratch that stays in cache, `k` is cut into blocks of fixed
/// length whose sums are added in order, so an element's bits do not depend on the tokens beside
/// it. The result is the transposed `[weight row, token]`. One object per thread.
final class Gemm {
    /// Weight rows of a block.
    static final int BLOCK = 48;

    /// Tokens of a block, a multiple of a panel.
    static final int TOKENS = 512;

    /// Length of a block of `k`.
    private static final int DEPTH = 512;

    // Strides off powers of two: columns of the scratch would share cache sets otherwise.
    private static final int WIDE_STRIDE = DEPTH + 16;
    private static final int STRIDE = TOKENS + 16;

    private final float[] wide = new float[BLOCK * WIDE_STRIDE];
    private final float[] result = new float[BLOCK * STRIDE];
    private final Tile tile = new Tile();

    /// Packed tokens, the right operand: per `PANEL` tokens a panel `[k permuted, token]`.
    static final class Panels {
        private float[] values = new float[0];
        private long[] rows = new long[0];
        private int columns;
        private int depth;
        private int tokens;

        /// Makes room.
        ///
        /// @param capacity tokens that may come
        /// @param count tokens now
        /// @param k values of a token
        Panels shape(int capacity, int count, int k) {
            columns = k;
            depth = Lanes.pad(k, UNIT);
            tokens = count;
            values = Lanes.room(values, (long) Lanes.pad(capacity, PANEL) * depth);
            if (rows.length < capacity) {
                rows = new long[capacity];
            }
            return this;
        }

        /// Tells where a token's values are.
        void row(int token, long address) {
            rows[token] = address;
        }

        /// Panels in use.
        int blocks() {
            return (tokens + PANEL - 1) / PANEL;
        }

        int tokens() {
            return tokens;
        }

        /// The packed values.
        float[] values() {
            return values;
        }

        /// Index of row `k` of a panel.
        int at(int block, int k) {
            return PANEL * (block * depth + Lanes.slot(k));
        }

        /// Packs columns `[from, to)` of the tokens of a panel; lanes without a token become zero.
        ///
        /// @param from multiple of `UNIT`
        /// @param to multiple of `UNIT`, or beyond the last column
        void pack(int block, int from, int to) {
            int first = block * PANEL;
            int count = Math.min(PANEL, tokens - first);
            int width = Lanes.pad(count, L);
            for (int k = from; k < Math.min(depth, to); k += UNIT) {
                int at = at(block, k);
                if (k + UNIT <= columns) {
                    for (int t = 0; t < count; t++) {
                        scatter(rows[first + t] + 4L * k, values, at + t);
                    }
                } else {
                    packTail(first, count, k, at);
                }
                for (int i = at; count < width && i < at + UNIT * PANEL; i += PANEL) {
                    Arrays.fill(values, i + count, i + width, 0f);
                }
            }
        }

        /// One unit of a token: a column of the panel. Token by token, because rows of tokens are
        /// often a power of two apart and would push each other out of the cache.
        private static void scatter(long from, float[] to, int at) {
            for (int i = 0; i < L; i++) {
                to[at + i * PANEL] = Lanes.get(from + 8L * i);
            }
            for (int i = 0; i < L; i++) {
                to[at + (L + i) * PANEL] = Lanes.get(from + 8L * i + 4);
            }
        }

        /// The last unit, with zeros behind the last column.
        private void packTail(int first, int count, int k, int at) {
            for (int i = 0; i < UNIT; i++) {
                int row = at + PANEL * Lanes.slot(i);
                for (int t = 0; t < count; t++) {
                    values[row + t] =
                            k + i < columns ? Lanes.get(rows[first + t] + 4L * (k + i)) : 0f;
                }
            }
        }
    }

    /// Weight rows `[from, to)`, at most `BLOCK`, times packed tokens, added to result rows `[at,
    /// at + to − from)`, which [#clear] made zero.
    void multiply(Matrix w, int from, int to, int at, Panels p) {
        int depth = w.inPadded();
        tile.left(wide, WIDE_STRIDE).right(p.values, PANEL).result(result, STRIDE);
        for (int k = 0; k < depth; k += DEPTH) {
            int count = Math.min(DEPTH, depth - k);
            for (int n = from; n < to; n++) {
                Matrix.widen(w.partOf(n), n, k, count, wide, (n - from) * WIDE_STRIDE);
            }
            tile.depth(count);
            for (int b = 0; b < p.blocks(); b++) {
                int t = b * PANEL;
                int vectors = Math.min(4, (p.tokens - t + L - 1) / L);
                tile.multiply(to - from, vectors, 0, p.at(b, k), at * STRIDE + t);
            }
        }
    }

    /// Zeroes the result for so many rows and tokens, slack included.
    void clear(int rows, int tokens) {
        int width = Lanes.pad(tokens, L);
        for (int n = 0; n < Math.min(BLOCK, Lanes.pad(rows, Tile.ROWS)); n++) {
            Arrays.fill(result, n * STRIDE, n * STRIDE + width, 0f);
        }
    }

    /// `SiLU(gate row) · up row` of the result, as row `k` of the panels.
    void silu(int gate, int up, Panels to, int k) {
        for (int t = 0; t < to.tokens; t += L) {
            FloatVector g = FloatVector.fromArray(F, result, gate * STRIDE + t);
            FloatVector silu = g.mul(Lanes.sigmoid(g));
            FloatVector u = FloatVector.fromArray(F, result, up * STRIDE + t);
            silu.mul(u).intoArray(to.values, to.at(t / PANEL, k) + t % PANEL);
        }
    }

    /// Writes (or adds) result column `token` to `rows` consecutive values.
    void column(int token, int rows, long dst, boolean add) {
        float[] from = result;
        int at = token;
        if (add) {
            for (int n = 0; n < rows; n++, at += STRIDE) {
                Lanes.set(dst + 4L * n, Lanes.get(dst + 4L * n) + from[at]);
            }
        } else {
            for (int n = 0; n < rows; n++, at += STRIDE) {
                Lanes.set(dst + 4L * n, from[at]);
            }
        }
    }
}
