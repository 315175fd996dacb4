package brantas.cuda.launch;

import brantas.cuda.driver.DeviceInfo;
import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.ArrayList;
import java.util.List;

/// The experts' matrix products for many rows, in expert order: the kernels of `expert_gemm.cu`.
/// Grid: as many tiles of rows as the order can have at most × blocks of 128 weight rows, or of 256
/// as the [LaunchTable] says; blocks beyond the true number of tiles end at once. The choice does
/// not show in the result.
public final class ExpertGemm {
    /// The experts of a layer; weights bf16.
    ///
    /// @param count of routed experts
    /// @param up of one routed expert `[2 · inner in groups of eight, hidden]`: eight gate rows,
    ///   then the eight up rows that belong to them; the next expert follows without a gap
    /// @param down of one routed expert `[hidden, inner]`; the next one follows without a gap
    /// @param sharedUp as `up`, with the shared expert's inner size
    /// @param sharedDown as `down`
    public record Experts(int count, Matrix up, Matrix down, Matrix sharedUp, Matrix sharedDown) {
        /// Columns that rows of the inner matrix need.
        public int innerCols() {
            return Math.max(up.rows(), sharedUp.rows()) / 2;
        }

        /// Elements from one expert's matrix to the next.
        static long step(Matrix matrix) {
            return (long) matrix.rows() * matrix.stride();
        }
    }

    /// Rows in expert order: what the kernel of `expert_order.cu` leaves behind.
    ///
    /// @param order address of i32 `[rows · slots + rows]`
    /// @param tiles address of the tiles: expert, first position, count, padding
    /// @param tileCount address of their number, i32
    /// @param tileRows height of a tile, from [ExpertGemm#tileRows]
    /// @param slots experts of a row
    /// @param rows the rows that were ordered
    public record Order(
            long order, long tiles, long tileCount, int tileRows, int slots, Rows rows) {
        int assignments() {
            return Math.multiplyExact(rows.count(), slots);
        }
    }

    private static final List<Integer> TILE_ROWS = List.of(16, 32, 64, 128);
    private static final List<Integer> SHARED_BYTES = List.of(36864, 40960, 49152, 49152);

    /// Weight rows of a block.
    static final int COLS = 128;

    /// The same of the wide form, which is for the tallest tiles.
    static final int WIDE_COLS = 256;

    static final int MOST_TILE_ROWS = 128;
    private static final int WIDE_SHARED_BYTES = 73728;

    static final List<Kernel> KERNELS = kernels();

    /// In the order of the heights, the wide form last.
    private final List<Function> upward = new ArrayList<>();

    private final List<Function> downward = new ArrayList<>();
    private final List<LaunchTable.Choice> choices;
    private final int multiprocessors;

    /// @param device that the module is loaded on
    public ExpertGemm(Module module, DeviceInfo device) {
        for (Kernel kernel : KERNELS) {
            (upward.size() <= TILE_ROWS.size() ? upward : downward).add(module.function(kernel));
        }
        choices = LaunchTable.read().choices(LaunchTable.Family.EXPERT_GEMM, device.capability());
        multiprocessors = device.multiprocessors();
    }

    /// The height of tiles that wastes little for this many rows: at an even load the last tile of
    /// an expert is half empty.
    ///
    /// @param slots experts of a row
    public static int tileRows(int rows, int slots, int experts) {
        long mean = (long) rows * slots / experts;
        return mean < 12 ? 16 : mean < 40 ? 32 : mean < 128 ? 64 : 128;
    }

    /// Tiles that `rows` rows give at most, whatever they choose.
    ///
    /// @param slots experts of a row
    public static int tiles(int rows, int slots, int experts, int tileRows) {
        long assignments = (long) rows * slots;
        long used = Math.min(assignments, experts);
        long routed = (assignments + used * (tileRows - 1)) / tileRows;
        return Math.toIntExact(routed + Math.ceilDiv(rows, tileRows));
    }

    /// `inner[position] = silu(gate · x[row]) · (up · x[row])` with the expert and the row of the
    /// position.
    ///
    /// @param inner bf16 `[rows · slots + rows, innerCols]`
    /// @param x bf16 `[rows, hidden]`
    public void up(Stream stream, Matrix inner, Matrix x, Experts experts, Order order) {
        if (order.rows().count() == 0) {
            return;
        }
        int rows = Math.max(experts.up().rows(), experts.sharedUp().rows());
        int cols = cols(experts, order, rows);
        upward.get(variant(order, cols))
                .begin()
                .address(inner.address())
                .address(x.address())
                .address(order.order())
                .address(order.tiles())
                .address(order.tileCount())
                .address(experts.up().address())
                .address(experts.sharedUp().address())
                .int64(Experts.step(experts.up()))
                .int32(inner.stride())
                .int32(x.stride())
                .int32(experts.up().stride())
                .int32(Gemm.depth(experts.up()))
                .int32(experts.count())
                .int32(order.slots())
                .int32(order.rows().from())
                .int32(order.assignments())
                .int32(experts.up().rows())
                .int32(experts.sharedUp().rows())
                .launch(stream, blocks(experts, order, rows, cols), 1, 1);
    }

    /// `out[assignment] = down · inner[position]` with the expert and the assignment of the
    /// position.
    ///
    /// @param out fp32 `[rows · slots + rows, hidden]`: row · slots + slot, the shared expert's
    ///   rows behind
    /// @param inner bf16 `[rows · slots + rows, innerCols]`
    public void down(Stream stream, Matrix out, Matrix inner, Experts experts, Order order) {
        if (order.rows().count() == 0) {
            return;
        }
        int rows = experts.down().rows();
        int cols = cols(experts, order, rows);
        downward.get(variant(order, cols))
                .begin()
                .address(out.address())
                .address(inner.address())
                .address(order.order())
                .address(order.tiles())
                .address(order.tileCount())
                .address(experts.down().address())
                .address(experts.sharedDown().address())
                .int64(Experts.step(experts.down()))
                .int32(out.stride())
                .int32(inner.stride())
                .int32(experts.down().stride())
                .int32(experts.sharedDown().stride())
                .int32(experts.count())
                .int32(rows)
                .launch(stream, blocks(experts, order, rows, cols), 1, 1);
    }

    /// Weight rows of a block.
    private int cols(Experts experts, Order order, int weightRows) {
        LaunchTable.Choice choice = LaunchTable.pick(choices, order.tileRows());
        long fewest = (long) choice.blocks() * multiprocessors;
        int cols = choice.variant();
        return blocks(experts, order, weightRows, cols) < fewest ? COLS : cols;
    }

    private static int variant(Order order, int cols) {
        int variant = TILE_ROWS.indexOf(order.tileRows());
        if (variant < 0) {
            throw new IllegalArgumentException(
                    "Tiles of " + order.tileRows() + " rows; there are those of " + TILE_ROWS);
        }
        return cols == WIDE_COLS ? TILE_ROWS.size() : variant;
    }

    private static int blocks(Experts experts, Order order, int weightRows, int cols) {
        int tiles = tiles(order.rows().count(), order.slots(), experts.count(), order.tileRows());
        return Math.multiplyExact(tiles, Math.ceilDiv(weightRows, cols));
    }

    private static List<Kernel> kernels() {
        List<Kernel> all = new ArrayList<>();
        for (int i = 0; i < TILE_ROWS.size(); i++) {
            all.add(up(TILE_ROWS.get(i), COLS, SHARED_BYTES.get(i)));
        }
        all.add(up(WIDE_COLS, WIDE_COLS, WIDE_SHARED_BYTES));
        for (int i = 0; i < TILE_ROWS.size(); i++) {
            all.add(down(TILE_ROWS.get(i), COLS, SHARED_BYTES.get(i)));
        }
        all.add(down(WIDE_COLS, WIDE_COLS, WIDE_SHARED_BYTES));
        return List.copyOf(all);
    }

    private static Kernel up(int variant, int threads, int sharedBytes) {
        return Kernel.named("expert_gemm_up_" + variant)
                .address("inner")
                .address("x")
                .address("order")
                .address("tiles")
                .address("tile_count")
                .address("weight")
                .address("shared_weight")
                .int64("expert_stride")
                .int32("inner_stride")
                .int32("x_stride")
                .int32("weight_stride")
                .int32("depth")
                .int32("experts")
                .int32("slots")
                .int32("from")
                .int32("assignments")
                .int32("inner_rows")
                .int32("shared_rows")
                .block(threads)
                .shared(sharedBytes)
                .build();
    }

    private static Kernel down(int variant, int threads, int sharedBytes) {
        return Kernel.named("expert_gemm_down_" + variant)
                .address("out")
                .address("inner")
                .address("order")
                .address("tiles")
                .address("tile_count")
                .address("weight")
                .address("shared_weight")
                .int64("expert_stride")
                .int32("out_stride")
                .int32("inner_stride")
                .int32("weight_stride")
                .int32("shared_stride")
                .int32("experts")
                .int32("hidden")
                .block(threads)
                .shared(sharedBytes)
                .build();
    }
}
