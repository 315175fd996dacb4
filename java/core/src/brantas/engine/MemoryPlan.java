package brantas.engine;

import brantas.format.ModelConfig;
import brantas.model.ModelState;
import brantas.model.Workspace;
import brantas.settings.BrantasException;
import java.util.Locale;

/// What a model and an engine will take, worked out before anything is loaded.
///
/// @param weights bytes of all tensors
/// @param kvPerToken bytes of keys and values for one position
/// @param statePerSequence bytes of recurrent state for one sequence
/// @param workspace bytes of intermediates
/// @param context positions that all sequences share
/// @param sequences sequences at once
public record MemoryPlan(
        long weights,
        long kvPerToken,
        long statePerSequence,
        long workspace,
        long context,
        int sequences) {
    private static final long USUAL_CONTEXT = 32_768;
    private static final long LEAST_CONTEXT = 1_024;
    private static final long JVM = 150L << 20;

    /// Plans an engine on a CPU backend.
    ///
    /// @param context positions wanted; 0 takes the usual number, less if the memory asks for it
    /// @param available bytes that can be taken
    public static MemoryPlan of(
            ModelConfig config, long weights, long context, int sequences, long available) {
        long perToken = ModelState.kvBytesPerToken(config, 4);
        long state = ModelState.stateBytes(config, 4);
        EngineLimits limits = EngineLimits.of(sequences, 0);
        long workspace = Workspace.bytes(config, limits.rows(), sequences);
        long wanted = context;
        if (context == 0) {
            wanted = Math.min(config.maxPositions(), USUAL_CONTEXT);
            long left = available - weights - workspace - sequences * state - JVM;
            long fitting = perToken == 0 ? wanted : left / 2 / perToken;
            wanted = Math.clamp(fitting, Math.min(LEAST_CONTEXT, wanted), wanted);
        }
        return new MemoryPlan(weights, perToken, state, workspace, wanted, sequences);
    }

    /// Everything together, the Java virtual machine included.
    public long total() {
        return weights + kvPerToken * context + statePerSequence * sequences + workspace + JVM;
    }

    /// Refuses what does not fit, with the numbers and what to change.
    public void check(String model, long available) {
        if (total() > available) {
            throw new BrantasException(
                    String.format(
                            Locale.ROOT,
                            "%s needs %s (weights %s, KV cache %s for %d positions, state %s for %d sequences, workspace %s)"
                                    + " and this machine has %s available, %s too little: lower --context or --sequences,"
                                    + " or take a smaller model.",
                            model,
                            gib(total()),
                            gib(weights),
                            gib(kvPerToken * context),
                            context,
                            gib(statePerSequence * sequences),
                            sequences,
                            gib(workspace),
                            gib(available),
                            gib(total() - available)));
        }
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1L << 30));
    }
}
