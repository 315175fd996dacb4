package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import brantas.op.AttentionShape;
import java.util.List;

/// Norm and rotation of queries and keys, keys and values into the paged cache: the kernel of
/// `store_kv.cu`. Grid: x one block a row, y one a group of eight head vectors, a warp each.
public final class StoreKv {
    /// Head vectors of a block.
    private static final int VECTORS = 8;

    private static final int HEAD_DIM = 256;

    private static final Kernel KERNEL =
            Kernel.named("store_kv")
                    .address("q")
                    .address("projected")
                    .address("query_norm")
                    .address("key_norm")
                    .address("rotations")
                    .address("keys")
                    .address("values")
                    .address("step")
                    .rows("rows")
                    .int32("heads")
                    .int32("kv_heads")
                    .int32("rotary")
                    .int32("page_size")
                    .int32("q_stride")
                    .int32("projected_stride")
                    .int32("rotations_stride")
                    .float32("eps")
                    .block(256)
                    .shared(8192)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public StoreKv(Module module) {
        function = module.function(KERNEL);
    }

    /// What the kernel reads and writes beside the cache.
    ///
    /// @param q bf16 `[rows, heads · headDim]`, receives the queries
    /// @param projected bf16 `[rows, shape.projected()]`
    /// @param rotations fp32 `[rows, rotaryDim]`, from [Rotations]
    /// @param queryNorm address of fp32 `[headDim]`, zero-centred
    /// @param keyNorm address of fp32 `[headDim]`, zero-centred
    public record Operands(
            Matrix q, Matrix projected, Matrix rotations, long queryNorm, long keyNorm) {}

    /// The cache of a layer.
    ///
    /// @param keys address of bf16 `[page, position, kvHead, headDim]`
    /// @param values address of as much
    /// @param pageSize positions of a page
    public record Pages(long keys, long values, int pageSize) {}

    /// Writes queries to `q`, and keys and values to the page of each row's position; page −1 is
    /// not written.
    ///
    /// @param step address of the step block
    public void launch(
            Stream stream,
            Operands operands,
            Pages pages,
            AttentionShape shape,
            long step,
            Rows rows) {
        check(shape);
        int vectors = shape.heads() + 2 * shape.kvHeads();
        function.begin()
                .address(operands.q().address())
                .address(operands.projected().address())
                .address(operands.queryNorm())
                .address(operands.keyNorm())
                .address(operands.rotations().address())
                .address(pages.keys())
                .address(pages.values())
                .address(step)
                .rows(rows)
                .int32(shape.heads())
                .int32(shape.kvHeads())
                .int32(shape.rotaryDim())
                .int32(pages.pageSize())
                .int32(operands.q().stride())
                .int32(operands.projected().stride())
                .int32(operands.rotations().stride())
                .float32(shape.eps())
                .launch(stream, rows.count(), Math.ceilDiv(vectors, VECTORS), 1);
    }

    private static void check(AttentionShape shape) {
        if (shape.headDim() != HEAD_DIM) {
            throw new IllegalArgumentException(
                    "store_kv is built for heads of 256, not of " + shape.headDim());
        }
        if (shape.rotaryDim() % 2 != 0 || shape.rotaryDim() > HEAD_DIM) {
            throw new IllegalArgumentException(
                    "store_kv rotates an even number of channels up to 256, not "
                            + shape.rotaryDim());
        }
    }
}
