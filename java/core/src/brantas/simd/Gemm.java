package brantas.simd;

import static brantas.simd.Lanes.F;
import static brantas.simd.Lanes.L;
import static brantas.simd.Lanes.PANEL;
import static brantas.simd.Lanes.UNIT;
import static brantas.simd.Lanes.store;

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

    /// Bytes of the panels of so many tokens, each of `k` values.
    static long panelBytes(int tokens, int k) {
        return 4L * Lanes.pad(tokens, PANEL) * Lanes.pad(k, UNIT);
    }

    /// Packs columns `[from, to)` of up to `PANEL` token rows into one panel `[k permuted, token]`;
    /// lanes without a token become zero.
    ///
    /// @param rows addresses of rows; the first token is at `first`
    /// @param from multiple of `UNIT`
    /// @param to multiple of `UNIT`, or the last column
    static void pack(long panel, long[] rows, int first, int tokens, int from, int to) {
        int width = Lanes.pad(tokens, L);
        int padded = Lanes.pad(to, UNIT);
        for (int k = from; k < padded; k++) {
            long row = panel + 4L * PANEL * Lanes.slot(k);
            int filled = k < to ? tokens : 0;
            for (int t = 0; t < filled; t++) {
                Lanes.set(row + 4L * t, Lanes.get(rows[first + t] + 4L * k));
            }
            for (int t = filled; t < width; t++) {
                Lanes.set(row + 4L * t, 0f);
            }
        }
    }

    /// Weight rows `[from, to)`, at most `BLOCK`, times at most `TOKENS` packed tokens, added to
    /// result rows `[at, at + to − from)`, which [#clear] made zero.
    ///
    /// @param panels address of the first token's panel
    void multiply(Matrix w, int from, int to, int at, long panels, int tokens) {
        int depth = w.inPadded();
        long panelBytes = 4L * PANEL * depth;
        tile.left(wide, WIDE_STRIDE).right(PANEL).result(result, STRIDE);
        for (int k = 0; k < depth; k += DEPTH) {
            int count = Math.min(DEPTH, depth - k);
            for (int n = from; n < to; n++) {
                Matrix.widen(w.partOf(n), n, k, count, wide, (n - from) * WIDE_STRIDE);
            }
            tile.depth(count);
            long panel = panels + 4L * PANEL * k;
            for (int t = 0; t < tokens; t += PANEL, panel += panelBytes) {
                int vectors = Math.min(4, (tokens - t + L - 1) / L);
                tile.multiply(to - from, vectors, 0, panel, at * STRIDE + t);
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

    /// `SiLU(gate row) · up row` of the result, as one row of a panel.
    void silu(int gate, int up, int tokens, long to) {
        for (int t = 0; t < tokens; t += L) {
            FloatVector g = FloatVector.fromArray(F, result, gate * STRIDE + t);
            FloatVector silu = g.mul(Lanes.sigmoid(g));
            store(silu.mul(FloatVector.fromArray(F, result, up * STRIDE + t)), to + 4L * t);
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
