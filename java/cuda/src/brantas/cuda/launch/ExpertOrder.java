package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import brantas.cuda.launch.ExpertGemm.Order;
import java.util.List;

/// Rows by the experts that they chose, and the tiles of it: the kernel of `expert_order.cu`. Grid:
/// one block.
public final class ExpertOrder {
    private static final int MOST_EXPERTS = 512;

    private static final Kernel KERNEL =
            Kernel.named("expert_order")
                    .address("order")
                    .address("tiles")
                    .address("tile_count")
                    .address("ids")
                    .rows("rows")
                    .int32("slots")
                    .int32("experts")
                    .int32("tile_rows")
                    .int32("padding")
                    .block(512)
                    .shared(37000)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public ExpertOrder(Module module) {
        function = module.function(KERNEL);
    }

    /// Sorts the assignments of `order.rows()` by expert.
    ///
    /// @param order what is written
    /// @param ids address of i32 `[rows, slots]`, from [Route]
    /// @param experts routed experts; the shared one's tiles follow theirs
    public void launch(Stream stream, Order order, long ids, int experts) {
        if (experts > MOST_EXPERTS) {
            throw new IllegalArgumentException(
                    "Rows are ordered by up to " + MOST_EXPERTS + " experts, not by " + experts);
        }
        Math.addExact(order.assignments(), order.rows().count());
        function.begin()
                .address(order.order())
                .address(order.tiles())
                .address(order.tileCount())
                .address(ids)
                .rows(order.rows())
                .int32(order.slots())
                .int32(experts)
                .int32(order.tileRows())
                .int32(0)
                .launch(stream, 1, 1, 1);
    }
}
