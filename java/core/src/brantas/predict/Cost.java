package brantas.predict;

/// What one launch has to do.
///
/// @param bytes that must come from or go to memory however well it is done: its floor
/// @param moved bytes that this kernel moves, weights read twice counted twice
/// @param cached bytes that blocks load through the L2 cache beside those
/// @param flops useful floating-point operations
/// @param instructions of single lanes, where arithmetic is ordinary and plentiful
/// @param blocks of the grid that have work
/// @param steps of a block on tensor cores; 0 where they do not count
record Cost(
        double bytes,
        double moved,
        double cached,
        double flops,
        double instructions,
        double blocks,
        double steps) {
    static Cost of(double bytes, double blocks) {
        return new Cost(bytes, bytes, 0, 0, 0, Math.max(1, blocks), 0);
    }

    Cost moving(double all) {
        return new Cost(bytes, all, cached, flops, instructions, blocks, steps);
    }

    Cost caching(double all) {
        return new Cost(bytes, moved, all, flops, instructions, blocks, steps);
    }

    Cost computing(double all) {
        return new Cost(bytes, moved, cached, all, instructions, blocks, steps);
    }

    Cost issuing(double all) {
        return new Cost(bytes, moved, cached, flops, all, blocks, steps);
    }

    Cost stepping(double each) {
        return new Cost(bytes, moved, cached, flops, instructions, blocks, each);
    }
}
