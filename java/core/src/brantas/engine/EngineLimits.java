package brantas.engine;

/// Sizes of an engine, fixed when it starts.
///
/// @param sequences requests that run at the same time
/// @param rows tokens of one step; at least the prefill chunk plus the sequences
/// @param pages KV pages shared by all sequences
public record EngineLimits(int sequences, int rows, int pages) {
    /// Limits for so many sequences that share room for so many positions.
    public static EngineLimits of(int sequences, long positions) {
        int pages = Math.toIntExact((positions + Engine.PAGE_SIZE - 1) / Engine.PAGE_SIZE);
        return new EngineLimits(sequences, Scheduler.PREFILL_CHUNK + sequences, pages);
    }
}
