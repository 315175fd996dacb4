package brantas.cuda.bench;

import brantas.cuda.bench.KernelCase.Run;
import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.driver.Rows;
import brantas.cuda.launch.AttendChunk;
import brantas.cuda.launch.Matrix;
import brantas.cuda.launch.StoreKv;
import brantas.op.AttentionShape;
import brantas.spi.KernelLab.Model;
import java.util.List;

/// Attention over the paged cache, and what fills it. Caches take turns.
final class AttentionCases {
    private AttentionCases() {}

    /// The launches of a prompt's step.
    static List<KernelCase> prefill(Model model, Lengths lengths) {
        AttentionShape shape = model.shapes().attention();
        KernelCase attend = chunk(shape, lengths.prompt());
        return List.of(
                store("prefill", shape, lengths.prompt(), lengths.prompt()),
                attend,
                attend.inTable("attention prefill"));
    }

    /// Norm, rotation and cache of so many rows: a prompt where they are as many as positions,
    /// otherwise single rows.
    static KernelCase store(String phase, AttentionShape shape, int rows, int context) {
        double vectors = shape.heads() + 2.0 * shape.kvHeads();
        return new KernelCase(
                phase,
                "store_kv",
                "norms, rotation, cache",
                rows + " rows, " + shape.heads() + " + 2×" + shape.kvHeads() + " heads",
                4 * rows * vectors * shape.headDim(),
                10 * rows * vectors * shape.headDim(),
                2L * rows * shape.projected(),
                (bench, copies) -> {
                    Cache cache = Cache.of(bench, shape, 1, rows == context ? 1 : rows, context);
                    Matrix[] projected =
                            LinearCases.weights(bench, copies, rows, shape.projected());
                    DeviceMemory q = bench.room("queries", 2L * rows * shape.width());
                    DeviceMemory turns = bench.floats("rotations", rows * shape.rotaryDim(), 1);
                    long norms = bench.floats("norms", 2 * shape.headDim(), 0.5).address();
                    long step = rows == context ? bench.prompt(rows) : bench.singles(rows, context);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .storeKv()
                                            .launch(
                                                    bench.stream(),
                                                    new StoreKv.Operands(
                                                            Workbench.matrix(
                                                                    q, rows, shape.width()),
                                                            projected[i],
                                                            Workbench.matrix(
                                                                    turns, rows, shape.rotaryDim()),
                                                            norms,
                                                            norms + 4L * shape.headDim()),
                                                    cache.pages(0),
                                                    shape,
                                                    step,
                                                    Rows.of(0, rows)),
                            List.of(q, cache.keys[0], cache.values[0]));
                });
    }

    private static KernelCase chunk(AttentionShape shape, int rows) {
        double kv = 4.0 * rows * shape.kvHeads() * shape.headDim();
        return new KernelCase(
                "prefill",
                "attend_chunk",
                "attention",
                "1×" + rows + ", " + shape.heads() + " heads on " + shape.kvHeads(),
                kv + 6.0 * rows * shape.width(),
                4.0 * rows * shape.width() * (rows + 1) / 2,
                (long) kv,
                (bench, copies) -> {
                    Cache cache = Cache.of(bench, shape, copies, 1, rows);
                    Matrix q = bench.noise("queries", rows, shape.width(), 1);
                    Matrix projected = bench.noise("projected", rows, shape.projected(), 1);
                    DeviceMemory out = bench.room("attention out", 2L * rows * shape.width());
                    Matrix dst = Workbench.matrix(out, rows, shape.width());
                    long step = bench.prompt(rows);
                    int tiles = AttendChunk.mostTiles(shape, rows, 1);
                    return new Run(
                            i ->
                                    bench.launchers()
                                            .attendChunk()
                                            .launch(
                                                    bench.stream(),
                                                    new AttendChunk.Operands(dst, q, projected),
                                                    cache.pages(i),
                                                    shape,
                                                    step,
                                                    tiles),
                            List.of(out));
                });
    }

    /// Copies of a cache.
    record Cache(DeviceMemory[] keys, DeviceMemory[] values) {
        static Cache of(
                Workbench bench, AttentionShape shape, int copies, int sequences, int context) {
            long positions = Workbench.positions(sequences, context);
            long each = positions * shape.kvHeads() * shape.headDim();
            Cache cache = new Cache(new DeviceMemory[copies], new DeviceMemory[copies]);
            for (int i = 0; i < copies; i++) {
                cache.keys[i] = bench.noise("keys", each, 1);
                cache.values[i] = bench.noise("values", each, 1);
            }
            return cache;
        }

        StoreKv.Pages pages(int copy) {
            return new StoreKv.Pages(keys[copy].address(), values[copy].address(), Workbench.PAGE);
        }
    }
}
