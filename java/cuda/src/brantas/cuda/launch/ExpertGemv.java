package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.ExpertGemm.Experts;
import java.util.List;

/// The mixture of experts for rows that are alone in their sequence, two launches without sorting:
/// the kernels of `expert_gemv.cu`. Grid: up blocks of 8 inner columns × (row, slot), down blocks of
/// 16 columns × rows.
public final class ExpertGemv {
    /// What the router chose.
    ///
    /// @param ids address of i32 `[rows, slots]`
    /// @param scales address of f32 `[rows, slots]`: the experts' weights in the sum
    /// @param gates address of f32 `[rows]`: the shared expert's
    /// @param slots experts of a row
    public record Choice(long ids, long scales, long gates, int slots) {}

    /// Columns of a tile of 16 weight rows, half of which are gates.
    private static final int UP_COLS = 8;

    private static final int DOWN_COLS = 16;
    private static final int BLOCK = 256;
    private static final int MOST_GRID_ROWS = 65535;

    private static final Kernel UP =
            Kernel.named("expert_gemv_up")
                    .address("inner")
                    .address("x")
                    .address("ids")
                    .address("weight")
                    .address("shared_weight")
                    .int64("expert_stride")
                    .rows("rows")
                    .int32("inner_stride")
                    .int32("x_stride")
                    .int32("weight_stride")
                    .int32("depth")
                    .int32("slots")
                    .int32("inner_cols")
                    .int32("shared_cols")
                    .int32("padding")
                    .block(BLOCK)
                    .shared(4096)
                    .build();
    private static final Kernel DOWN =
            Kernel.named("expert_gemv_down")
                    .address("dst")
                    .address("inner")
                    .address("ids")
                    .address("scales")
                    .address("gates")
                    .address("weight")
                    .address("shared_weight")
                    .int64("expert_stride")
                    .rows("rows")
                    .int32("dst_stride")
                    .int32("inner_stride")
                    .int32("weight_stride")
                    .int32("shared_stride")
                    .int32("slots")
                    .int32("hidden")
                    .block(BLOCK)
                    .shared(4304)
                    .build();
    static final List<Kernel> KERNELS = List.of(UP, DOWN);

    private final Function up;
    private final Function down;

    public ExpertGemv(Module module) {
        up = module.function(UP);
        down = module.function(DOWN);
    }

    /// `inner[(row, slot)] = silu(gate · x[row]) · (up · x[row])` with the expert of the slot; the
    /// shared expert is the last slot.
    ///
    /// @param inner bf16 `[rows.count() · (slots + 1), innerCols]`
    /// @param x bf16 `[rows, hidden]`
    public void up(
            Stream stream, Matrix inner, Matrix x, Experts experts, Choice choice, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        int products = Math.multiplyExact(rows.count(), choice.slots() + 1);
        if (products > MOST_GRID_ROWS) {
            throw new IllegalArgumentException(
                    rows.count() + " single rows are too many for one launch of their experts");
        }
        up.begin()
                .address(inner.address())
                .address(x.address())
                .address(choice.ids())
                .address(experts.up().address())
                .address(experts.sharedUp().address())
                .int64(Experts.step(experts.up()))
                .rows(rows)
                .int32(inner.stride())
                .int32(x.stride())
                .int32(experts.up().stride())
                .int32(Gemm.depth(experts.up()))
                .int32(choice.slots())
                .int32(experts.up().rows() / 2)
                .int32(experts.sharedUp().rows() / 2)
                .int32(0)
                .launch(stream, Math.ceilDiv(experts.innerCols(), UP_COLS), products, 1);
    }

    /// `dst[row] += Σ scale · (down · inner[(row, slot)]) + gate · (shared down · inner[(row,
    /// last)])`.
    ///
    /// @param dst bf16 `[rows, hidden]`
    /// @param inner from [#up]
    public void down(
            Stream stream, Matrix dst, Matrix inner, Experts experts, Choice choice, Rows rows) {
        if (rows.count() == 0) {
            return;
        }
        down.begin()
                .address(dst.address())
                .address(inner.address())
                .address(choice.ids())
                .address(choice.scales())
                .address(choice.gates())
                .address(experts.down().address())
                .address(experts.sharedDown().address())
                .int64(Experts.step(experts.down()))
                .rows(rows)
                .int32(dst.stride())
                .int32(inner.stride())
                .int32(experts.down().stride())
                .int32(experts.sharedDown().stride())
                .int32(choice.slots())
                .int32(experts.down().rows())
                .launch(stream, Math.ceilDiv(dst.cols(), DOWN_COLS), rows.count(), 1);
    }
}
