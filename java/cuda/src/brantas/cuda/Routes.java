package brantas.cuda;

import brantas.cuda.driver.DeviceMemory;
import brantas.cuda.launch.ExpertGemm;
import brantas.cuda.launch.Route;
import brantas.op.ExpertShape;
import brantas.op.Routing;

/// What the router chose for each row, and the memory in which the experts then work: rows in
/// expert order, their tiles, inner rows, and each expert's own output.
///
/// @param ids i32 `[rows, perToken]`
/// @param scales fp32 `[rows, perToken]`
/// @param gates fp32 `[rows]`, of the shared expert
/// @param logits fp32 `[rows, experts + 1]`, of the router at work
/// @param arrivals of the router's blocks; zeros, as the device gives memory out, and again after
///     each launch
/// @param order i32 `[rows · (perToken + 1)]`
/// @param tiles four i32 each
/// @param tileCount i32
/// @param inner bf16 `[rows · (perToken + 1), widest inner]`
/// @param out fp32 `[rows · (perToken + 1), hidden]`
record Routes(
        ExpertShape shape,
        int rows,
        DeviceMemory ids,
        DeviceMemory scales,
        DeviceMemory gates,
        DeviceMemory logits,
        DeviceMemory arrivals,
        DeviceMemory order,
        DeviceMemory tiles,
        DeviceMemory tileCount,
        DeviceBuffer inner,
        DeviceBuffer out)
        implements Routing {
    private static final int TILE_BYTES = 16;

    static Routes of(Store store, ExpertShape shape, int hidden, int rows) {
        long positions = (long) rows * (shape.perToken() + 1);
        int widest = Math.max(shape.inner(), shape.sharedInner());
        return new Routes(
                shape,
                rows,
                store.allocate("expert ids", 4 * positions),
                store.allocate("expert weights", 4 * positions),
                store.allocate("shared gates", 4L * rows),
                store.allocate(
                        "router logits", Route.Workspace.logitBytes(shape.experts(), rows)),
                store.allocate("router arrivals", Route.Workspace.arrivalBytes(rows)),
                store.allocate("expert order", 4 * positions),
                store.allocate("expert tiles", TILE_BYTES * (long) mostTiles(shape, rows)),
                store.allocate("expert tile count", 4),
                store.buffer(
                        "expert inner",
                        Math.toIntExact(positions),
                        ExpertWeights.padded(widest),
                        false),
                store.buffer("expert out", Math.toIntExact(positions), hidden, true));
    }

    /// The lowest tiles are the most.
    private static int mostTiles(ExpertShape shape, int rows) {
        int lowest = ExpertGemm.tileRows(0, 1, 1);
        return ExpertGemm.tiles(rows, shape.perToken(), shape.experts(), lowest);
    }
}
