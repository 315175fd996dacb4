package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.ExpertGemv.Choice;
import java.util.List;

/// The router of a mixture of experts: the kernels of `route.cu`, one that norms a few rows first
/// and one for rows that are normed already; a row gets the same bits from both. Grid: x tiles of
/// 16 router rows, y groups of rows, the last block of a group chooses.
public final class Route {
    /// Rows that share a norm: with more of them, a norm of its own is the cheaper way.
    public static final int NORMED_TOGETHER = 4;

    /// Rows that are normed already and share the loads of the router.
    private static final int TOGETHER = 32;

    /// Router rows of a block.
    private static final int TILE = 16;

    private static final int BLOCK = 256;

    /// Experts there may be.
    public static final int MOST_EXPERTS = 512;

    /// Experts that a row may choose.
    public static final int MOST_SLOTS = 16;

    private static final Kernel WITH_NORM =
            Kernel.named("route")
                    .address("ids")
                    .address("scales")
                    .address("gates")
                    .address("x")
                    .address("norm")
                    .address("normed")
                    .address("router")
                    .address("logits")
                    .address("arrivals")
                    .rows("rows")
                    .int32("x_stride")
                    .int32("normed_stride")
                    .int32("router_stride")
                    .int32("cols")
                    .int32("experts")
                    .int32("slots")
                    .float32("eps")
                    .int32("padding")
                    .block(BLOCK)
                    .sharedVariable()
                    .build();
    private static final Kernel NORMED =
            Kernel.named("route_normed")
                    .address("ids")
                    .address("scales")
                    .address("gates")
                    .address("x")
                    .address("router")
                    .address("logits")
                    .address("arrivals")
                    .rows("rows")
                    .int32("x_stride")
                    .int32("router_stride")
                    .int32("depth")
                    .int32("experts")
                    .int32("slots")
                    .int32("padding")
                    .block(BLOCK)
                    .shared(16400)
                    .build();
    static final List<Kernel> KERNELS = List.of(WITH_NORM, NORMED);

    private final Function withNorm;
    private final Function normed;

    public Route(Module module) {
        withNorm = module.function(WITH_NORM);
        normed = module.function(NORMED);
    }

    /// Where the blocks of a launch meet. Layers may share one, since each uses it up.
    ///
    /// @param logits of `logitBytes`
    /// @param arrivals of `arrivalBytes`: whoever allocates them makes them zero, and each launch
    ///   leaves them so
    public record Workspace(long logits, long arrivals) {
        /// Bytes that the logits of so many rows take.
        public static long logitBytes(int experts, int rows) {
            return (long) rows * (experts + 1) * Float.BYTES;
        }

        /// Bytes that the counters of so many rows take, whichever kernel uses them.
        public static long arrivalBytes(int rows) {
            return (long) Math.ceilDiv(rows, NORMED_TOGETHER) * Integer.BYTES;
        }
    }

    /// Rows and the norm in front of the router.
    ///
    /// @param x bf16 `[rows, hidden]`
    /// @param weight address of fp32 `[hidden]`, deviation from one
    /// @param normed bf16 `[rows, hidden]`, receives the normed rows; not `x`
    public record Unnormed(Matrix x, long weight, float eps, Matrix normed) {}

    /// Norms rows and chooses each one's experts, their weights in the sum, and the shared expert's
    /// gate.
    ///
    /// @param dst what is written, for rows numbered as those of `x`
    /// @param router bf16 `[experts + 1, hidden]`, the last row being the shared gate's
    public void launch(
            Stream stream, Choice dst, Unnormed from, Matrix router, Workspace work, Rows rows) {
        check(dst, router);
        if (rows.count() == 0) {
            return;
        }
        int staged = Math.min(rows.count(), NORMED_TOGETHER);
        withNorm.begin()
                .address(dst.ids())
                .address(dst.scales())
                .address(dst.gates())
                .address(from.x().address())
                .address(from.weight())
                .address(from.normed().address())
                .address(router.address())
                .address(work.logits())
                .address(work.arrivals())
                .rows(rows)
                .int32(from.x().stride())
                .int32(from.normed().stride())
                .int32(router.stride())
                .int32(router.cols())
                .int32(router.rows() - 1)
                .int32(dst.slots())
                .float32(from.eps())
                .int32(0)
                .launch(
                        stream,
                        Math.ceilDiv(router.rows(), TILE),
                        Math.ceilDiv(rows.count(), NORMED_TOGETHER),
                        1,
                        sharedBytes(staged, router.cols()));
    }

    /// The same for rows that are normed already.
    ///
    /// @param dst what is written, for rows numbered as those of `x`
    /// @param x bf16 `[rows, hidden]`
    /// @param router bf16 `[experts + 1, hidden]`, the last row being the shared gate's
    public void launch(
            Stream stream, Choice dst, Matrix x, Matrix router, Workspace work, Rows rows) {
        check(dst, router);
        normed.begin()
                .address(dst.ids())
                .address(dst.scales())
                .address(dst.gates())
                .address(x.address())
                .address(router.address())
                .address(work.logits())
                .address(work.arrivals())
                .rows(rows)
                .int32(x.stride())
                .int32(router.stride())
                .int32(Gemm.depth(router))
                .int32(router.rows() - 1)
                .int32(dst.slots())
                .int32(0)
                .launch(
                        stream,
                        Math.ceilDiv(router.rows(), TILE),
                        Math.ceilDiv(rows.count(), TOGETHER),
                        1);
    }

    private static void check(Choice dst, Matrix router) {
        int experts = router.rows() - 1;
        if (experts < dst.slots() || experts > MOST_EXPERTS || dst.slots() > MOST_SLOTS) {
            throw new IllegalArgumentException(
                    "The router chooses up to "
                            + MOST_SLOTS
                            + " of up to "
                            + MOST_EXPERTS
                            + " experts, not "
                            + dst.slots()
                            + " of "
                            + experts);
        }
    }

    /// Sums of the warps, and the rows.
    private static int sharedBytes(int rows, int cols) {
        return 4240 + rows * Gemv.stagedBytes(cols);
    }
}
