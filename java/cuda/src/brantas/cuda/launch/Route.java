package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.ExpertGemv.Choice;
import java.util.List;

/// The router of a mixture of experts: the kernels of `route.cu`. Grid: one block a row, or one for
/// eight rows where there are more rows than a device has multiprocessors to spare; a row gets the
/// same bits from both.
public final class Route {
    /// More than these many rows share their loads of the router by eight.
    private static final int ALONE = 256;

    private static final int TOGETHER = 8;

    /// Experts there may be.
    public static final int MOST_EXPERTS = 512;

    /// Experts that a row may choose.
    public static final int MOST_SLOTS = 16;

    static final List<Kernel> KERNELS =
            List.of(kernel("route", 2064), kernel("route_eight", 16512));

    private final Function alone;
    private final Function together;

    public Route(Module module) {
        alone = module.function(KERNELS.get(0));
        together = module.function(KERNELS.get(1));
    }

    /// Chooses each row's experts, their weights in the sum, and the shared expert's gate.
    ///
    /// @param dst what is written, for rows numbered as those of `x`
    /// @param x bf16 `[rows, hidden]`
    /// @param router bf16 `[experts + 1, hidden]`, the last row being the shared gate's
    public void launch(Stream stream, Choice dst, Matrix x, Matrix router, Rows rows) {
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
        boolean several = rows.count() > ALONE;
        int blocks = several ? Math.ceilDiv(rows.count(), TOGETHER) : rows.count();
        (several ? together : alone)
                .begin()
                .address(dst.ids())
                .address(dst.scales())
                .address(dst.gates())
                .address(x.address())
                .address(router.address())
                .rows(rows)
                .int32(x.stride())
                .int32(router.stride())
                .int32(Gemm.depth(router))
                .int32(experts)
                .int32(dst.slots())
                .int32(0)
                .launch(stream, blocks, 1, 1);
    }

    private static Kernel kernel(String name, int sharedBytes) {
        return Kernel.named(name)
                .address("ids")
                .address("scales")
                .address("gates")
                .address("x")
                .address("router")
                .rows("rows")
                .int32("x_stride")
                .int32("router_stride")
                .int32("depth")
                .int32("experts")
                .int32("slots")
                .int32("padding")
                .block(512)
                .shared(sharedBytes)
                .build();
    }
}
