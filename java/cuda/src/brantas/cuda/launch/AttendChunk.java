package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Stream;
import brantas.op.AttentionShape;
import java.util.List;

/// Gated causal attention of sequences with several rows over the paged cache: the kernel of
/// `attend_chunk.cu`. Grid: x tiles of tokens, as many as fill 64 matrix rows with the heads of a
/// group, y KV heads.
public final class AttendChunk {
    /// Matrix rows of a block: pairs of token and head of the group.
    private static final int PACKED = 64;

    private static final Kernel KERNEL =
            Kernel.named("attend_chunk")
                    .address("dst")
                    .address("q")
                    .address("projected")
                    .address("keys")
                    .address("values")
                    .address("step")
                    .int32("dst_stride")
                    .int32("q_stride")
                    .int32("projected_stride")
                    .int32("kv_heads")
                    .int32("group")
                    .int32("page_size")
                    .block(128)
                    .shared(98368)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public AttendChunk(Module module) {
        function = module.function(KERNEL);
    }

    /// What attention reads and writes beside the cache; also for [AttendStep].
    ///
    /// @param dst bf16 `[rows, heads · headDim]`
    /// @param q bf16 `[rows, heads · headDim]`, from [StoreKv]
    /// @param projected bf16 `[rows, shape.projected()]`, for the gate
    public record Operands(Matrix dst, Matrix q, Matrix projected) {}

    /// Tokens of a sequence that one tile takes.
    public static int tokensPerTile(AttentionShape shape) {
        checkShape(shape);
        return PACKED / shape.group();
    }

    /// Tiles that `sequences` sequences with `rows` rows in all have at most.
    public static int mostTiles(AttentionShape shape, int rows, int sequences) {
        int tokens = tokensPerTile(shape);
        return Math.toIntExact((rows + (long) sequences * (tokens - 1)) / tokens);
    }

    /// Writes the rows of all sequences behind the single ones.
    ///
    /// @param step address of the step block
    /// @param tiles at least as many as the sequences have; blocks beyond exit
    public void launch(
            Stream stream,
            Operands operands,
            StoreKv.Pages pages,
            AttentionShape shape,
            long step,
            int tiles) {
        checkShape(shape);
        if (tiles == 0) {
            return;
        }
        function.begin()
                .address(operands.dst().address())
                .address(operands.q().address())
                .address(operands.projected().address())
                .address(pages.keys())
                .address(pages.values())
                .address(step)
                .int32(operands.dst().stride())
                .int32(operands.q().stride())
                .int32(operands.projected().stride())
                .int32(shape.kvHeads())
                .int32(shape.group())
                .int32(pages.pageSize())
                .launch(stream, tiles, shape.kvHeads(), 1);
    }

    /// Refuses what the attention kernels are not built for.
    static void checkShape(AttentionShape shape) {
        if (shape.headDim() != 256) {
            throw new IllegalArgumentException(
                    "The attention kernels are built for heads of 256, not of " + shape.headDim());
        }
        boolean whole = shape.heads() == shape.group() * shape.kvHeads();
        if (!whole || shape.group() < 1 || shape.group() > 16) {
            throw new IllegalArgumentException(
                    "The attention kernels take 1 to 16 query heads a KV head, not "
                            + shape.heads()
                            + " for "
                            + shape.kvHeads());
        }
    }
}
