package brantas.cuda.launch;

import brantas.cuda.driver.Function;
import brantas.cuda.driver.Kernel;
import brantas.cuda.driver.Module;
import brantas.cuda.driver.Rows;
import brantas.cuda.driver.Stream;
import java.util.List;

/// Token embedding: the kernel of `embed.cu`. Grid: one block a row.
public final class Embed {
    private static final Kernel KERNEL =
            Kernel.named("embed")
                    .address("dst")
                    .address("table")
                    .address("step")
                    .address("error")
                    .rows("rows")
                    .int32("cols")
                    .int32("dst_stride")
                    .int32("table_stride")
                    .int32("vocabulary")
                    .block(256)
                    .build();
    static final List<Kernel> KERNELS = List.of(KERNEL);

    private final Function function;

    public Embed(Module module) {
        function = module.function(KERNEL);
    }

    /// `dst[row] = table[token(row)]`; a token outside the vocabulary gives zeros and sets bit 0 of
    /// the error word.
    ///
    /// @param dst bf16 `[rows, hidden]`
    /// @param table bf16 `[vocabulary, hidden]`
    /// @param step address of the step block
    /// @param error address of a u32, zero before
    public void launch(Stream stream, Matrix dst, Matrix table, long step, long error, Rows rows) {
        function.begin()
                .address(dst.address())
                .address(table.address())
                .address(step)
                .address(error)
                .rows(rows)
                .int32(dst.cols())
                .int32(dst.stride())
                .int32(table.stride())
                .int32(table.rows())
                .launch(stream, rows.count(), 1, 1);
    }
}
